/* What attention_tile.h asks of an instruction set, over blocks that lie as in KV_BF16, with dot products of bf16
 * pairs: q and the weights are rounded to bf16, sums are float32.
 *
 * Both products run in blocks of ROWS x COLS accumulators, COLS vectors of the cache against a broadcast pair of each
 * row, reading the cache from front to back: 6 x 4 leaves room for the operands in 32 registers and asks for 10 loads
 * in 24 dot products. */
#ifndef PIO_KERNELS_ATTENTION_ATTENTION_BF16_AVX512_H
#define PIO_KERNELS_ATTENTION_ATTENTION_BF16_AVX512_H

enum { ATT_PANEL = 6, ATT_COLUMNS = 64, COLS = 4 };
#include "kernels/attention/attention_weights_avx512.h"
#include "kernels/dialect/cases.h"

/* panel: [head_dim / 2, ATT_PANEL] pairs. */
static void att_pack(const float *const *rows, int32_t n_rows, int32_t head_dim, float factor, att_q *panel) {
    uint32_t *pairs = (uint32_t *)panel, packed[16];
    for (int32_t r = 0; r < n_rows; r++) {
        for (int32_t i = 0; i < head_dim; i += 16) {
            __m512 x = _mm512_mul_ps(_mm512_loadu_ps(rows[r] + i), _mm512_set1_ps(factor));
            _mm256_storeu_si256((__m256i *)packed, (__m256i)_mm512_cvtneps_pbh(x));
            for (int j = 0; j < 8; j++) pairs[(i / 2 + j) * ATT_PANEL + r] = packed[j];
        }
    }
}

/* s [rows, ATT_KEYS] = q . k for cols vectors of 16 keys. */
static PIO_ALWAYS_INLINE void scores_block(const uint32_t *q, const att_kv *k, int32_t n_pairs, int rows, int cols,
                                           float *s, uintptr_t ahead) {
    __m512 sums[ATT_PANEL][COLS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) sums[r][c] = _mm512_setzero_ps();
    for (int32_t i = 0; i < n_pairs; i++, q += ATT_PANEL, k += 2 * ATT_KEYS) {
        __m512i b[COLS];
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) b[c] = _mm512_loadu_si512(k + 32 * c);
        if (ahead) ahead = fetch(ahead, 3);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int c = 0; c < cols; c++) sums[r][c] = dot(sums[r][c], q[r], b[c]);
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) _mm512_storeu_ps(s + r * ATT_KEYS + 16 * c, sums[r][c]);
}

/* o [rows, head_dim] += p . v for cols vectors of 16 columns over the blocks; `width` columns lie together. n_keys of
 * the last may be odd: its last key's neighbour is masked, for it may be NaN. */
static PIO_ALWAYS_INLINE void values_block(const uint32_t *p, const att_block *blocks, int32_t n_blocks,
                                           int32_t head_dim, int32_t column, int32_t width, int rows, int cols,
                                           float *o, const att_block *ahead) {
    enum { P_ROW = ATT_BLOCKS * ATT_KEYS / 2 }; /* pairs */
    __m512 sums[ATT_PANEL][COLS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) sums[r][c] = _mm512_loadu_ps(o + r * head_dim + column + 16 * c);
    for (; n_blocks; n_blocks--, blocks++, p += ATT_KEYS / 2, ahead += ahead != NULL) {
        const att_kv *v = (const att_kv *)blocks->v + column / 64 * 64 * ATT_KEYS + 2 * (column % 64);
        const uint32_t *pair = p;
        uintptr_t to_fetch = ahead && ahead->v ? (uintptr_t)ahead->v + 2 * ATT_KEYS * (uintptr_t)column : 0;
        for (int32_t i = blocks->n_keys / 2; i; i--, pair++, v += 2 * width) {
            __m512i b[COLS];
#pragma GCC unroll 4
            for (int c = 0; c < cols; c++) b[c] = _mm512_loadu_si512(v + 32 * c);
            if (to_fetch) to_fetch = fetch(to_fetch, 4);
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
                for (int c = 0; c < cols; c++) sums[r][c] = dot(sums[r][c], pair[r * P_ROW], b[c]);
        }
        if (PIO_LIKELY(blocks->n_keys % 2 == 0)) continue;
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) {
            __m512i b = _mm512_and_si512(_mm512_loadu_si512(v + 32 * c), _mm512_set1_epi32(0xffff));
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) sums[r][c] = dot(sums[r][c], pair[r * P_ROW], b);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) _mm512_storeu_ps(o + r * head_dim + column + 16 * c, sums[r][c]);
}

static PIO_ALWAYS_INLINE void scores_rows(const uint32_t *q, const att_kv *k, int32_t n_keys, int32_t head_dim,
                                          int rows, float *s, uintptr_t ahead) {
    if (n_keys > 48) {
        scores_block(q, k, head_dim / 2, rows, COLS, s, ahead);
        return;
    }
    for (int32_t at = 0; at < n_keys; at += 16) scores_block(q, k + 2 * at, head_dim / 2, rows, 1, s + at, 0);
}

static PIO_ALWAYS_INLINE void values_rows(const uint32_t *p, const att_block *blocks, int32_t n_blocks,
                                          int32_t head_dim, int32_t column, int32_t n_columns, int rows, float *o,
                                          const att_block *ahead) {
    if (n_columns == ATT_COLUMNS) {
        values_block(p, blocks, n_blocks, head_dim, column, ATT_COLUMNS, rows, COLS, o, ahead);
        return;
    }
    for (int32_t end = column + n_columns; column < end; column += 16)
        values_block(p, blocks, n_blocks, head_dim, column, n_columns, rows, 1, o, ahead);
}

#define SCORES(n) scores_rows(q, k, n_keys, head_dim, n, s, ahead)

static void att_scores(const att_q *panel, int32_t n_rows, const att_kv *k, int32_t n_keys, int32_t head_dim, float *s,
                       uintptr_t ahead) {
    const uint32_t *q = (const uint32_t *)panel;
    PIO_CASES_6(n_rows, SCORES)
}

#define VALUES(n) values_rows(p, blocks, n_blocks, head_dim, column, n_columns, n, o, ahead)

static void att_values(const att_p *weights, int32_t n_rows, const att_block *blocks, int32_t n_blocks,
                       int32_t head_dim, int32_t column, int32_t n_columns, float *o, const att_block *ahead) {
    const uint32_t *p = (const uint32_t *)weights;
    PIO_CASES_6(n_rows, VALUES)
}

#endif
