/* What the AVX-512 kernels on bf16_x16 share: widening, and the loops of the streaming kernels. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_BF16_AVX512_H
#define PIO_KERNELS_LINEAR_LINEAR_BF16_AVX512_H

#include <immintrin.h>

#include "kernels/dialect/cases.h"
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

enum { PIO_BF16_GEMV_TOKENS = 8 };

/* 1 or 2 panels, the second `bytes` after the first. */
typedef struct pio_bf16_panels {
    const uint8_t *at;
    uint64_t bytes;
    int64_t ahead; /* pio_worker_ahead */
} pio_bf16_panels;

static PIO_ALWAYS_INLINE void pio_bf16_prefetch_ahead(const pio_bf16_panels *panels, const int P) {
    PIO_UNROLL(2)
    for (int i = 0; i < P; i++)
        _mm_prefetch((const char *)panels->at + (uint64_t)i * panels->bytes + panels->ahead, _MM_HINT_T0);
}

/* sums[i][t] = the products of panel i with T tokens. */
typedef __m512 pio_bf16_sums[2][PIO_BF16_GEMV_TOKENS];
typedef void (*pio_bf16_multiply_panels)(const pio_linear_args *a, pio_bf16_panels panels, const int P, const int T,
                                         pio_bf16_sums sums);

/* y of the panels 2 i and 2 i + 1 (a gate and an up panel) from their sums. */
static PIO_ALWAYS_INLINE void pio_bf16_gemv_store(const pio_linear_args *a, int32_t i, bool pair, const int T,
                                                  const bool swiglu, pio_bf16_sums sums) {
    for (int t = 0; t < T; t++) {
        if (swiglu) {
            pio_linear_store_swiglu_x16(a, t, i * PIO_SWIGLU_BLOCK, sums[0][t], sums[1][t]);
        } else {
            pio_linear_store_x16(a, t, 2 * i * PIO_X16_ROWS, sums[0][t]);
            if (pair) pio_linear_store_x16(a, t, (2 * i + 1) * PIO_X16_ROWS, sums[1][t]);
        }
    }
}

/* Runs of pairs of panels for T tokens. With several tokens both panels are multiplied at once, since every broadcast
 * number of x then serves twice: loads would be the limit otherwise. One token is not limited by loads, and a single
 * stream from memory is the faster. */
static PIO_ALWAYS_INLINE void pio_bf16_gemv_tokens(const pio_linear_args *a, pio_worker *worker, const int T,
                                                   const bool swiglu, pio_bf16_multiply_panels multiply) {
    const uint64_t panel_bytes = pio_bf16_x16_panel_bytes(a->cols);
    const int32_t n_panels = PIO_CEIL_DIV(a->n_out, PIO_X16_ROWS);
    int32_t first, end;
    while (pio_linear_take_run(worker, PIO_CEIL_DIV(n_panels, 2), 1, &first, &end)) {
        for (int32_t i = first; i < end; i++) {
            const bool pair = 2 * i + 1 < n_panels;
            pio_bf16_panels panels = {PIO_AT(const uint8_t, a->w) + (uint64_t)(2 * i) * panel_bytes,
                                      pair ? panel_bytes : 0, /* a lone last panel is multiplied twice, stored once */
                                      pio_worker_ahead(worker->reads_far)};
            pio_bf16_sums sums;
            multiply(a, panels, T > 1 ? 2 : 1, T, sums);
            panels.at += panels.bytes;
            if (T == 1) multiply(a, panels, 1, T, sums + 1);
            pio_bf16_gemv_store(a, i, pair, T, swiglu, sums);
        }
    }
}

#define PIO_BF16_GEMV_DO(n) pio_bf16_gemv_tokens(a, worker, n, swiglu, multiply)

static PIO_ALWAYS_INLINE void pio_bf16_gemv_run(const pio_linear_args *a, pio_worker *worker, const bool swiglu,
                                                pio_bf16_multiply_panels multiply) {
    PIO_CASES_8(pio_linear_live(a), PIO_BF16_GEMV_DO)
}

#endif
