/* What rows of attention with dot products of bf16 pairs share, whichever way their cache lies: the weights of scores.
 * The sum of weights is taken over the rounded ones, so that an output is a true mean of the values.
 *
 * The file that includes this has defined ATT_PANEL. */
#ifndef PIO_KERNELS_ATTENTION_ATTENTION_WEIGHTS_AVX512_H
#define PIO_KERNELS_ATTENTION_ATTENTION_WEIGHTS_AVX512_H

#include <immintrin.h>

#include "kernels/attention/attention_flow.h"
#include "kernels/dialect/simd_exp2_avx512.h"

enum { ATT_LANES = 16, VECTORS = ATT_KEYS / 16 };
typedef uint16_t att_q, att_p, att_kv;

/* How far scores may rise above `largest` before it follows them: weights stay below 2^8 and the sums need not be
 * rescaled for every new maximum. */
#define SLACK 8.0f

static PIO_ALWAYS_INLINE __m512 dot(__m512 sum, uint32_t pair, __m512i b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32((int)pair), (__m512bh)b);
}

/* Asks for the next lines of what will be read soon, to be in the second cache by then. */
static PIO_ALWAYS_INLINE uintptr_t fetch(uintptr_t at, int n_lines) {
#pragma GCC unroll 4
    for (int i = 0; i < n_lines; i++) PIO_PREFETCH_L2((const void *)(at + 64 * (uintptr_t)i));
    return at + 64 * (uintptr_t)n_lines;
}

/* Sets the scores of keys that a row does not see to minus infinity. */
static void mask_scores(float *s, int32_t n_rows, const int32_t *visible) {
    for (int32_t r = 0; r < n_rows; r++, s += ATT_KEYS) {
        for (int c = 0; c < VECTORS; c++) {
            int32_t n = PIO_MIN(16, PIO_MAX(0, visible[r] - 16 * c));
            __mmask16 seen = (__mmask16)((1u << n) - 1);
            _mm512_storeu_ps(s + 16 * c, _mm512_mask_loadu_ps(_mm512_set1_ps(-INFINITY), seen, s + 16 * c));
        }
    }
}

/* Whether a row has a score well above its `largest`; if so, brings `largest` up and says what its sums shrink by. */
static bool raise_largest(const float *s, int32_t n_rows, att_ends ends) {
    __m512 highest[ATT_PANEL];
    uint32_t raised = 0;
    for (int32_t r = 0; r < n_rows; r++, s += ATT_KEYS) {
        highest[r] = _mm512_max_ps(_mm512_max_ps(_mm512_loadu_ps(s), _mm512_loadu_ps(s + 16)),
                                   _mm512_max_ps(_mm512_loadu_ps(s + 32), _mm512_loadu_ps(s + 48)));
        raised |= _mm512_cmp_ps_mask(highest[r], _mm512_set1_ps(ends.largest[r] + SLACK), _CMP_GT_OQ);
    }
    if (PIO_LIKELY(!raised)) return false;
    for (int32_t r = 0; r < n_rows; r++) {
        float was = ends.largest[r], is = PIO_MAX(was, _mm512_reduce_max_ps(highest[r]));
        __m512 shrink = pio_exp2_avx512(_mm512_set1_ps(was - is));
        ends.largest[r] = is;
        ends.shrink[r] = _mm512_cvtss_f32(shrink);
        float *total = ends.total + r * ATT_LANES;
        _mm512_storeu_ps(total, _mm512_mul_ps(_mm512_loadu_ps(total), shrink));
    }
    return true;
}

static bool att_weights(float *s, int32_t n_rows, const int32_t *visible, att_ends ends, uintptr_t ahead,
                        int32_t head_dim, att_p *p) {
    if (visible) mask_scores(s, n_rows, visible);
    bool rose = raise_largest(s, n_rows, ends);
    /* The last quarter of 64 keys, shared among n_rows * VECTORS / 2 steps. */
    int32_t n_fetched = ahead ? head_dim / 8 / n_rows : 0;
    ahead += 96 * (uintptr_t)head_dim;
    const __m512bh ones = (__m512bh)_mm512_set1_epi32(0x3f803f80);
    for (int32_t r = 0; r < n_rows; r++, s += ATT_KEYS, p += ATT_BLOCKS * ATT_KEYS) {
        __m512 largest = _mm512_set1_ps(ends.largest[r]), total = _mm512_loadu_ps(ends.total + r * ATT_LANES);
#pragma GCC unroll 2
        for (int c = 0; c < VECTORS; c += 2) {
            for (int i = 0; i < n_fetched; i++) ahead = fetch(ahead, 2);
            __m512 low = pio_exp2_bf16_avx512(_mm512_sub_ps(_mm512_loadu_ps(s + 16 * c), largest));
            __m512 high = pio_exp2_bf16_avx512(_mm512_sub_ps(_mm512_loadu_ps(s + 16 * c + 16), largest));
            __m512bh both = _mm512_cvtne2ps_pbh(high, low);
            total = _mm512_dpbf16_ps(total, both, ones);
            _mm512_storeu_si512(p + 16 * c, (__m512i)both);
        }
        _mm512_storeu_ps(ends.total + r * ATT_LANES, total);
    }
    return rose;
}

#endif
