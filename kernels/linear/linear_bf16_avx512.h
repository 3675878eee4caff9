/* What the AVX-512 kernels on bf16_x16 share: widening, and the loops of the streaming kernels. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_BF16_AVX512_H
#define PIO_KERNELS_LINEAR_LINEAR_BF16_AVX512_H

#include <immintrin.h>

#include "kernels/dtype/layouts.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/linear_finish_avx512.h"

/* The even and the odd columns of 16 pairs, as float32. */
static PIO_ALWAYS_INLINE __m512 pio_bf16_even(__m512i pairs) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}

static PIO_ALWAYS_INLINE __m512 pio_bf16_odd(__m512i pairs) {
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000u)));
}

enum { PIO_BF16_GEMV_TOKENS = 8, PIO_BF16_AHEAD_BYTES = 4096 };

/* sums[t] = the products of a panel with T tokens. */
typedef void (*pio_bf16_panel)(const pio_linear_args *a, const uint8_t *panel, const int T,
                               __m512 sums[PIO_BF16_GEMV_TOKENS]);

/* Runs of panels, or of pairs of a gate and an up panel, for T tokens. */
static PIO_ALWAYS_INLINE void pio_bf16_gemv_tokens(const pio_linear_args *a, pio_worker *worker, const int T,
                                                   const bool swiglu, pio_bf16_panel multiply) {
    const uint64_t panel_bytes = pio_bf16_x16_panel_bytes(a->cols);
    const int32_t step = swiglu ? 2 : 1;
    int32_t total = PIO_CEIL_DIV(a->n_out, PIO_X16_ROWS * step), first, end;
    while (pio_linear_take_run(worker, total, 2, &first, &end)) {
        const uint8_t *panel = PIO_AT(const uint8_t, a->w) + (uint64_t)(first * step) * panel_bytes;
        for (int32_t i = first; i < end; i++, panel += (uint64_t)step * panel_bytes) {
            __m512 sums[PIO_BF16_GEMV_TOKENS], up[PIO_BF16_GEMV_TOKENS];
            multiply(a, panel, T, sums);
            if (swiglu) multiply(a, panel + panel_bytes, T, up);
            for (int t = 0; t < T; t++) {
                if (swiglu)
                    pio_linear_store_swiglu_x16(a, t, i * PIO_SWIGLU_BLOCK, sums[t], up[t]);
                else
                    pio_linear_store_x16(a, t, i * PIO_X16_ROWS, sums[t]);
            }
        }
    }
}

#define PIO_BF16_GEMV_CASE(n)                                                                                          \
    case n:                                                                                                            \
        pio_bf16_gemv_tokens(a, worker, n, swiglu, multiply);                                                          \
        break;

static PIO_ALWAYS_INLINE void pio_bf16_gemv_run(const pio_linear_args *a, pio_worker *worker, const bool swiglu,
                                                pio_bf16_panel multiply) {
    switch (pio_linear_live(a)) {
        PIO_BF16_GEMV_CASE(1)
        PIO_BF16_GEMV_CASE(2)
        PIO_BF16_GEMV_CASE(3)
        PIO_BF16_GEMV_CASE(4)
        PIO_BF16_GEMV_CASE(5)
        PIO_BF16_GEMV_CASE(6)
        PIO_BF16_GEMV_CASE(7)
        PIO_BF16_GEMV_CASE(8)
    default:
        break;
    }
}

#endif
