/* Linear layers on bf16_x16 for a few tokens, x in BF16: the weights are streamed once from memory, panel by panel, and
 * multiplied with every token by vdpbf16ps while they pass; see linear_bf16_gemm_avx512bf16.c for how it rounds. */
#include "kernels/families.h"
#include "kernels/linear/linear_bf16_avx512.h"

static PIO_ALWAYS_INLINE __m512bh pair(const pio_linear_args *a, int t, int32_t i) {
    return (__m512bh)_mm512_set1_epi32(PIO_AT(const int32_t, a->x + (pio_u64)t * (pio_u64)a->x_stride)[i]);
}

static PIO_ALWAYS_INLINE void multiply(const pio_linear_args *a, const uint8_t *panel, const int T,
                                       __m512 sums[PIO_BF16_GEMV_TOKENS]) {
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) sums[t] = _mm512_setzero_ps();
    int32_t n_pairs = PIO_CEIL_DIV(a->cols, 2);
    for (int32_t i = 0; i < n_pairs; i++, panel += 64) {
        __m512bh w = (__m512bh)_mm512_load_si512(panel);
        _mm_prefetch((const char *)panel + PIO_BF16_AHEAD_BYTES, _MM_HINT_T0);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) sums[t] = _mm512_dpbf16_ps(sums[t], w, pair(a, t, i));
    }
}

void pio_linear_bf16_gemv_avx512bf16(const void *args, pio_worker *worker) {
    pio_bf16_gemv_run(args, worker, false, multiply);
}

void pio_linear_swiglu_bf16_gemv_avx512bf16(const void *args, pio_worker *worker) {
    pio_bf16_gemv_run(args, worker, true, multiply);
}
