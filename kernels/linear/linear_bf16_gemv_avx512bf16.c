/* Linear layers on bf16_x16 for a few tokens, x in BF16: the weights are streamed once from memory, panel by panel, and
 * multiplied with every token by vdpbf16ps while they pass; see linear_bf16_gemm_avx512bf16.c for how it rounds. */
#include "kernels/families.h"
#include "kernels/linear/linear_bf16_avx512.h"

static PIO_ALWAYS_INLINE __m512bh pair(const pio_linear_args *a, int t, int32_t i) {
    return (__m512bh)_mm512_set1_epi32(PIO_AT(const int32_t, a->x + (pio_u64)t * (pio_u64)a->x_stride)[i]);
}

static PIO_ALWAYS_INLINE void multiply(const pio_linear_args *a, pio_bf16_panels panels, const int P, const int T,
                                       pio_bf16_sums sums) {
    pio_bf16_sums c;
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) c[0][t] = c[1][t] = _mm512_setzero_ps();
    int32_t n_pairs = PIO_CEIL_DIV(a->cols, 2);
    for (int32_t k = 0; k < n_pairs; k++, panels.at += 64) {
        __m512bh w[2];
        pio_bf16_prefetch_ahead(&panels, P);
        PIO_UNROLL(2)
        for (int i = 0; i < P; i++) w[i] = (__m512bh)_mm512_load_si512(panels.at + (uint64_t)i * panels.bytes);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) {
            __m512bh x = pair(a, t, k);
            PIO_UNROLL(2)
            for (int i = 0; i < P; i++) c[i][t] = _mm512_dpbf16_ps(c[i][t], w[i], x);
        }
    }
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++)
        for (int i = 0; i < P; i++) sums[i][t] = c[i][t];
}

void pio_linear_bf16_gemv_avx512bf16(const void *args, pio_worker *worker) {
    pio_bf16_gemv_run(args, worker, false, multiply);
}

void pio_linear_swiglu_bf16_gemv_avx512bf16(const void *args, pio_worker *worker) {
    pio_bf16_gemv_run(args, worker, true, multiply);
}
