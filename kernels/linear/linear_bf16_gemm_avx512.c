/* Linear layers on bf16_x16 for 9 tokens and more, x in float32: the weights are widened, which is exact, and
 * multiplied in float32. For --compute f32, and for machines without bf16 products. */
#include "kernels/families.h"
#include "kernels/linear/linear_bf16_avx512.h"
#include "kernels/linear/linear_bf16_tiles_avx512.h"

#define MULTIPLY_EVEN(t)                                                                                               \
    if (t < n) {                                                                                                       \
        __m512 value = _mm512_set1_ps(values[t]);                                                                      \
        c##t = _mm512_fmadd_ps(a, value, c##t);                                                                        \
        d##t = _mm512_fmadd_ps(b, value, d##t);                                                                        \
    }
#define MULTIPLY_ODD(t)                                                                                                \
    if (t < n) {                                                                                                       \
        __m512 value = _mm512_set1_ps(values[n + t]);                                                                  \
        c##t = _mm512_fmadd_ps(a, value, c##t);                                                                        \
        d##t = _mm512_fmadd_ps(b, value, d##t);                                                                        \
    }

static PIO_ALWAYS_INLINE void multiply(pio_bf16_block *block, const uint32_t *x, const int n, bool first,
                                       __m512 *sums) {
    const float *values = (const float *)(const void *)x;
    const uint8_t *w0 = block->w[0], *w1 = block->w[1], *end = w0 + 64 * (int64_t)block->n_pairs;
    int32_t ahead = 0;
    PIO_BF16_FOR_TOKENS(PIO_BF16_START)
    for (; w0 < end; w0 += 64, w1 += 64, values += 2 * n, ahead += block->next_step) {
        __m512i w_c = _mm512_load_si512(w0), w_d = _mm512_load_si512(w1);
        __m512 a = pio_bf16_even(w_c), b = pio_bf16_even(w_d);
        PIO_BF16_FOR_TOKENS(MULTIPLY_EVEN)
        a = pio_bf16_odd(w_c), b = pio_bf16_odd(w_d);
        PIO_BF16_FOR_TOKENS(MULTIPLY_ODD)
        pio_bf16_prefetch(block, ahead);
    }
    PIO_BF16_FOR_TOKENS(PIO_BF16_END)
    block->next[0] += ahead, block->next[1] += ahead;
}

PIO_BF16_MULTIPLY_TABLE(multiply_tokens)

void pio_linear_bf16_gemm_avx512(const void *args, pio_worker *worker) {
    pio_bf16_tiles_run(args, worker, false, false, multiply_tokens);
}

void pio_linear_swiglu_bf16_gemm_avx512(const void *args, pio_worker *worker) {
    pio_bf16_tiles_run(args, worker, false, true, multiply_tokens);
}
