/* Linear layers on bf16_x16 for 9 tokens and more, x in BF16: pairs of columns are multiplied by vdpbf16ps, which adds
 * the two products to the float32 sum, rounding twice to nearest even, and takes denormal numbers as zeros. */
#include "kernels/families.h"
#include "kernels/linear/linear_tiles_avx512.h"

#define MULTIPLY_PAIR(t)                                                                                               \
    if (t < n) {                                                                                                       \
        __m512bh word = (__m512bh)_mm512_set1_epi32((int)x[t]);                                                        \
        c##t = _mm512_dpbf16_ps(c##t, a, word);                                                                        \
        d##t = _mm512_dpbf16_ps(d##t, b, word);                                                                        \
    }

static PIO_ALWAYS_INLINE void multiply(pio_twin_block *block, const uint32_t *x, const int n, bool first, float *sums) {
    const uint8_t *w0 = block->w[0], *w1 = block->w[1], *end = w0 + 64 * (int64_t)block->n_pairs;
    int32_t ahead = 0;
    PIO_TILE_FOR_TOKENS(PIO_TILE_START)
    for (; w0 < end; w0 += 64, w1 += 64, x += n, ahead += block->next_step) {
        __m512bh a = (__m512bh)_mm512_load_si512(w0), b = (__m512bh)_mm512_load_si512(w1);
        PIO_TILE_FOR_TOKENS(MULTIPLY_PAIR)
        PIO_PREFETCH(x + PIO_TILE_AHEAD_WORDS);
        pio_twin_prefetch(block, ahead);
    }
    PIO_TILE_FOR_TOKENS(PIO_TILE_END)
    block->next[0] += ahead, block->next[1] += ahead;
}

PIO_MULTIPLY_TABLE(multiply)

static const pio_tiles_kind bf16_pairs = {
    .multiply = multiply_tokens, .tile_tokens = PIO_TILE_TOKENS, .pair_bytes = 64, .bf16 = true};

void pio_linear_bf16_gemm_avx512bf16(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, false, &bf16_pairs);
}

void pio_linear_swiglu_bf16_gemm_avx512bf16(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, true, &bf16_pairs);
}
