/* Linear layers for 9 tokens and more with float32 sums, x in float32: for --compute f32, and for machines without bf16
 * products. Weights in bf16_x16 are widened, which is exact; float32 rows are transposed into panels of 16 rows. */
#include "kernels/families.h"
#include "kernels/linear/linear_bf16_avx512.h"
#include "kernels/linear/linear_tiles_avx512.h"

/* ---- panels of float32 rows ---- */

/* Exchanges bit S of the row's number with bit S of the lane's. */
static PIO_ALWAYS_INLINE void exchange(__m512 v[16], const int S) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 odd = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(S));
    const __m512i low = _mm512_mask_add_epi32(lane, odd, lane, _mm512_set1_epi32(16 - S));
    const __m512i high =
        _mm512_mask_add_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32(S)), odd, lane, _mm512_set1_epi32(16));
    PIO_UNROLL(16)
    for (int i = 0; i < 16; i++) {
        if (i & S) continue;
        __m512 a = v[i], b = v[i + S];
        v[i] = _mm512_permutex2var_ps(a, low, b);
        v[i + S] = _mm512_permutex2var_ps(a, high, b);
    }
}

/* panel [columns][16]; k_end may be one past the last column. */
static void load_f32_rows(const pio_linear_args *a, int32_t row, int32_t k, int32_t k_end, void *panel) {
    const float *rows[16];
    for (int32_t r = 0; r < 16; r++)
        rows[r] = PIO_AT(const float, a->w) + (int64_t)PIO_MIN(row + r, a->n_out - 1) * a->cols;
    __m512 *out = panel;
    for (; k < k_end; k += 16, out += 16) {
        const int32_t n = PIO_MIN(16, a->cols - k);
        const __mmask16 mask = (__mmask16)((1u << n) - 1);
        __m512 v[16];
        PIO_UNROLL(16)
        for (int r = 0; r < 16; r++) v[r] = _mm512_maskz_loadu_ps(mask, rows[r] + k);
        exchange(v, 1);
        exchange(v, 2);
        exchange(v, 4);
        exchange(v, 8);
        if (k_end - k >= 16) {
            PIO_UNROLL(16)
            for (int i = 0; i < 16; i++) out[i] = v[i];
        } else {
            for (int i = 0; i < k_end - k; i++) out[i] = v[i];
        }
    }
}

/* ---- products ---- */

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

enum { BF16_PAIR_BYTES = 64, F32_PAIR_BYTES = 128 };

static PIO_ALWAYS_INLINE __m512 even(const uint8_t *pair, const bool bf16) {
    return bf16 ? pio_bf16_even(_mm512_load_si512(pair)) : _mm512_load_ps(pair);
}

static PIO_ALWAYS_INLINE __m512 odd(const uint8_t *pair, const bool bf16) {
    return bf16 ? pio_bf16_odd(_mm512_load_si512(pair)) : _mm512_load_ps(pair + F32_PAIR_BYTES / 2);
}

static PIO_ALWAYS_INLINE void multiply(pio_twin_block *block, const uint32_t *x, const int n, bool first, float *sums,
                                       const bool bf16) {
    const int pair_bytes = bf16 ? BF16_PAIR_BYTES : F32_PAIR_BYTES;
    const float *values = (const float *)(const void *)x;
    const uint8_t *w0 = block->w[0], *w1 = block->w[1], *end = w0 + (int64_t)pair_bytes * block->n_pairs;
    int32_t ahead = 0;
    PIO_TILE_FOR_TOKENS(PIO_TILE_START)
    for (; w0 < end; w0 += pair_bytes, w1 += pair_bytes, values += 2 * n, ahead += block->next_step) {
        __m512 a = even(w0, bf16), b = even(w1, bf16);
        PIO_TILE_FOR_TOKENS(MULTIPLY_EVEN)
        a = odd(w0, bf16), b = odd(w1, bf16);
        PIO_TILE_FOR_TOKENS(MULTIPLY_ODD)
        PIO_PREFETCH(values + PIO_TILE_AHEAD_WORDS);
        PIO_PREFETCH(values + PIO_TILE_AHEAD_WORDS + n);
        if (bf16) pio_twin_prefetch(block, ahead);
    }
    PIO_TILE_FOR_TOKENS(PIO_TILE_END)
    block->next[0] += ahead, block->next[1] += ahead;
}

static PIO_ALWAYS_INLINE void multiply_bf16(pio_twin_block *block, const uint32_t *x, const int n, bool first,
                                            float *sums) {
    multiply(block, x, n, first, sums, true);
}

static PIO_ALWAYS_INLINE void multiply_f32(pio_twin_block *block, const uint32_t *x, const int n, bool first,
                                           float *sums) {
    multiply(block, x, n, first, sums, false);
}

PIO_MULTIPLY_TABLE(multiply_bf16)
PIO_MULTIPLY_TABLE(multiply_f32)

static const pio_tiles_kind bf16_x16 = {
    .multiply = multiply_bf16_tokens, .tile_tokens = PIO_TILE_TOKENS, .pair_bytes = BF16_PAIR_BYTES};
static const pio_tiles_kind f32_rows = {.multiply = multiply_f32_tokens,
                                        .tile_tokens = PIO_TILE_TOKENS,
                                        .pair_bytes = F32_PAIR_BYTES,
                                        .load = load_f32_rows};

void pio_linear_bf16_gemm_avx512(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, false, &bf16_x16);
}

void pio_linear_swiglu_bf16_gemm_avx512(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, true, &bf16_x16);
}

void pio_linear_f32_gemm_avx512(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, false, &f32_rows);
}

void pio_linear_swiglu_f32_gemm_avx512(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, true, &f32_rows);
}
