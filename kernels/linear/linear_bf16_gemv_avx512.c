/* Linear layers on bf16_x16 for 1 to 8 tokens, x in float32: the weights are streamed once from memory, panel by panel,
 * widened (which is exact) and multiplied in float32 with every token while they pass. */
#include "kernels/families.h"
#include "kernels/linear/linear_bf16_avx512.h"

static PIO_ALWAYS_INLINE const float *token(const pio_linear_args *a, int t) {
    return PIO_AT(const float, a->x + (pio_u64)t * (pio_u64)a->x_stride);
}

static PIO_ALWAYS_INLINE void multiply(const pio_linear_args *a, const uint8_t *panel, const int T,
                                       __m512 sums[PIO_BF16_GEMV_TOKENS]) {
    __m512 even[PIO_BF16_GEMV_TOKENS], odd[PIO_BF16_GEMV_TOKENS]; /* two chains of sums */
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) even[t] = odd[t] = _mm512_setzero_ps();
    int32_t k = 0;
    for (; k + 1 < a->cols; k += 2, panel += 64) {
        __m512i pairs = _mm512_load_si512(panel);
        __m512 w0 = pio_bf16_even(pairs), w1 = pio_bf16_odd(pairs);
        _mm_prefetch((const char *)panel + PIO_BF16_AHEAD_BYTES, _MM_HINT_T0);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) {
            even[t] = _mm512_fmadd_ps(w0, _mm512_set1_ps(token(a, t)[k]), even[t]);
            odd[t] = _mm512_fmadd_ps(w1, _mm512_set1_ps(token(a, t)[k + 1]), odd[t]);
        }
    }
    __m512 last = k < a->cols ? pio_bf16_even(_mm512_load_si512(panel)) : _mm512_setzero_ps();
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) {
        if (k < a->cols) even[t] = _mm512_fmadd_ps(last, _mm512_set1_ps(token(a, t)[k]), even[t]);
        sums[t] = _mm512_add_ps(even[t], odd[t]);
    }
}

void pio_linear_bf16_gemv_avx512(const void *args, pio_worker *worker) {
    pio_bf16_gemv_run(args, worker, false, multiply);
}

void pio_linear_swiglu_bf16_gemv_avx512(const void *args, pio_worker *worker) {
    pio_bf16_gemv_run(args, worker, true, multiply);
}
