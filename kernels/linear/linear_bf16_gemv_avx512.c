/* Linear layers on bf16_x16 for 1 to 8 tokens, x in float32: the weights are streamed once from memory, panel by panel,
 * widened (which is exact) and multiplied in float32 with every token while they pass. */
#include "kernels/families.h"
#include "kernels/linear/linear_bf16_avx512.h"

static PIO_ALWAYS_INLINE const float *token(const pio_linear_args *a, int t) {
    return PIO_AT(const float, a->x + (pio_u64)t * (pio_u64)a->x_stride);
}

/* Columns k and k + 1 of P panels, or the last column alone. Few tokens have two chains of sums, since the multipliers
 * would wait for one. */
static PIO_ALWAYS_INLINE void multiply_pair(const pio_linear_args *a, const pio_bf16_panels *w, const int32_t k,
                                            const int P, const int T, const bool both, pio_bf16_sums even,
                                            pio_bf16_sums odd) {
    const bool chained = P * T > 4;
    __m512i pairs[2];
    PIO_UNROLL(2)
    for (int i = 0; i < P; i++) pairs[i] = _mm512_load_si512(w->at + (uint64_t)i * w->bytes);
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) {
        __m512 x = _mm512_set1_ps(token(a, t)[k]);
        PIO_UNROLL(2)
        for (int i = 0; i < P; i++) even[i][t] = _mm512_fmadd_ps(pio_bf16_even(pairs[i]), x, even[i][t]);
    }
    if (!both) return;
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) {
        __m512 x = _mm512_set1_ps(token(a, t)[k + 1]);
        PIO_UNROLL(2)
        for (int i = 0; i < P; i++) {
            if (chained)
                even[i][t] = _mm512_fmadd_ps(pio_bf16_odd(pairs[i]), x, even[i][t]);
            else
                odd[i][t] = _mm512_fmadd_ps(pio_bf16_odd(pairs[i]), x, odd[i][t]);
        }
    }
}

static PIO_ALWAYS_INLINE void multiply(const pio_linear_args *a, pio_bf16_panels panels, const int P, const int T,
                                       pio_bf16_sums sums) {
    pio_bf16_sums even, odd;
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) even[0][t] = even[1][t] = odd[0][t] = odd[1][t] = _mm512_setzero_ps();
    int32_t k = 0;
    for (; k + 1 < a->cols; k += 2, panels.at += 64) {
        pio_bf16_prefetch_ahead(&panels, P);
        multiply_pair(a, &panels, k, P, T, true, even, odd);
    }
    if (k < a->cols) multiply_pair(a, &panels, k, P, T, false, even, odd);
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++)
        for (int i = 0; i < P; i++) sums[i][t] = _mm512_add_ps(even[i][t], odd[i][t]);
}

void pio_linear_bf16_gemv_avx512(const void *args, pio_worker *worker) {
    pio_bf16_gemv_run(args, worker, false, multiply);
}

void pio_linear_swiglu_bf16_gemv_avx512(const void *args, pio_worker *worker) {
    pio_bf16_gemv_run(args, worker, true, multiply);
}
