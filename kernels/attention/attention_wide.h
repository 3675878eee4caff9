/* Attention over KV_BF16 in float32, for instruction sets without dot products of bf16 pairs. The file that includes
 * this has included attention_flow.h and defined ATT_PANEL, ATT_LANES (lanes of a vector), WIDE_COLS (vectors of
 * accumulators a row) and, of the type `wide`, a vector of floats:
 *
 *   wide_zero() wide_all(x) wide_load(p) wide_store(p, x) wide_add wide_mul wide_max wide_fma(a, b, c) = a * b + c
 *   wide_low(pairs) wide_high(pairs)   the first and the second of each pair of bf16 in memory
 *   wide_highest(x)                    the largest lane
 *   wide_exp2(x)                       for x of any size; 0 for -infinity
 *
 * The products stay out of line: inlined among the rest, their accumulators were spilled.
 * K holds pairs of columns of a key, V pairs of keys of a column: both products are two multiply-adds a pair. */
#ifndef PIO_KERNELS_ATTENTION_ATTENTION_WIDE_H
#define PIO_KERNELS_ATTENTION_ATTENTION_WIDE_H

#include "kernels/dialect/cases.h"

enum { ATT_PANEL = ATT_PANEL_ROWS, ATT_COLUMNS = 64, WIDE_STEP = WIDE_COLS * ATT_LANES };
typedef float att_q, att_p;
typedef uint16_t att_kv;

/* How far scores may rise above `largest` before it follows them, so that sums are seldom rescaled. */
#define SLACK 8.0f

/* panel: [head_dim, ATT_PANEL]. */
static void att_pack(const float *const *rows, int32_t n_rows, int32_t head_dim, float factor, att_q *panel) {
    for (int32_t r = 0; r < n_rows; r++)
        for (int32_t i = 0; i < head_dim; i++) panel[i * ATT_PANEL + r] = rows[r][i] * factor;
}

/* Asks for as many bytes of what will be read soon as a step of a block reads. */
static PIO_ALWAYS_INLINE uintptr_t fetch(uintptr_t at) {
    for (int i = 0; i < 4 * WIDE_STEP; i += 64) PIO_PREFETCH_L2((const void *)(at + (uintptr_t)i));
    return at + 4 * WIDE_STEP;
}

/* s [rows, ATT_KEYS] = q . k for WIDE_STEP keys. */
static PIO_ALWAYS_INLINE void scores_block(const float *q, const att_kv *k, int32_t head_dim, int rows, float *s,
                                           uintptr_t ahead) {
    wide sums[ATT_PANEL][WIDE_COLS];
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < WIDE_COLS; c++) sums[r][c] = wide_zero();
    for (int32_t i = 0; i < head_dim; i += 2, q += 2 * ATT_PANEL, k += 2 * ATT_KEYS) {
        if (ahead) ahead = fetch(ahead);
        wide b[WIDE_COLS];
        for (int c = 0; c < WIDE_COLS; c++) b[c] = wide_low(k + 2 * ATT_LANES * c);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < WIDE_COLS; c++) sums[r][c] = wide_fma(wide_all(q[r]), b[c], sums[r][c]);
        for (int c = 0; c < WIDE_COLS; c++) b[c] = wide_high(k + 2 * ATT_LANES * c);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < WIDE_COLS; c++) sums[r][c] = wide_fma(wide_all(q[ATT_PANEL + r]), b[c], sums[r][c]);
    }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < WIDE_COLS; c++) wide_store(s + r * ATT_KEYS + c * ATT_LANES, sums[r][c]);
}

/* o [rows, head_dim] += p . v for cols vectors of columns of one block, of which `width` lie together. The neighbour of
 * an odd last key may be NaN and is left out. */
static PIO_ALWAYS_INLINE void values_block(const float *p, const att_kv *v, int32_t n_keys, int32_t width,
                                           int32_t head_dim, int rows, int cols, float *o, uintptr_t ahead) {
    enum { P_ROW = ATT_BLOCKS * ATT_KEYS };
    wide sums[ATT_PANEL][WIDE_COLS];
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) sums[r][c] = wide_load(o + r * head_dim + c * ATT_LANES);
    for (; n_keys > 1; n_keys -= 2, p += 2, v += 2 * width) {
        if (ahead) ahead = fetch(ahead);
        wide b[WIDE_COLS];
        for (int c = 0; c < cols; c++) b[c] = wide_low(v + 2 * ATT_LANES * c);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++) sums[r][c] = wide_fma(wide_all(p[r * P_ROW]), b[c], sums[r][c]);
        for (int c = 0; c < cols; c++) b[c] = wide_high(v + 2 * ATT_LANES * c);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++) sums[r][c] = wide_fma(wide_all(p[r * P_ROW + 1]), b[c], sums[r][c]);
    }
    if (n_keys)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++)
                sums[r][c] = wide_fma(wide_all(p[r * P_ROW]), wide_low(v + 2 * ATT_LANES * c), sums[r][c]);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) wide_store(o + r * head_dim + c * ATT_LANES, sums[r][c]);
}

#if ATT_PANEL_ROWS == 6
#define WIDE_CASES PIO_CASES_6
#else
#define WIDE_CASES PIO_CASES_4
#endif
#define SCORES(n) scores_block(q, k, head_dim, n, s, ahead)

static PIO_NOINLINE void att_scores(const att_q *q, int32_t n_rows, const att_kv *k, int32_t n_keys, int32_t head_dim,
                                    float *s, uintptr_t ahead) {
    for (int32_t at = 0; at < n_keys; at += WIDE_STEP, k += 2 * WIDE_STEP, s += WIDE_STEP) {
        WIDE_CASES(n_rows, SCORES)
        if (ahead) ahead += 2 * WIDE_STEP * (uintptr_t)head_dim;
    }
}

#define VALUES(n) values_block(p, v, n_keys, width, head_dim, n, WIDE_COLS, o, ahead)

static void values_step(const att_p *p, int32_t n_rows, const att_kv *v, int32_t n_keys, int32_t width,
                        int32_t head_dim, float *o, uintptr_t ahead) {
    WIDE_CASES(n_rows, VALUES)
}

static PIO_NOINLINE void att_values(const att_p *p, int32_t n_rows, const att_block *blocks, int32_t n_blocks,
                                    int32_t head_dim, int32_t column, int32_t n_columns, float *o,
                                    const att_block *ahead) {
    for (; n_blocks; n_blocks--, blocks++, p += ATT_KEYS, ahead += ahead != NULL) {
        const att_kv *v = (const att_kv *)blocks->v + column * ATT_KEYS;
        uintptr_t fetched = ahead && ahead->v ? (uintptr_t)ahead->v + 2 * ATT_KEYS * (uintptr_t)column : 0;
        int32_t at = 0;
        for (; at + WIDE_STEP <= n_columns; at += WIDE_STEP) {
            values_step(p, n_rows, v + 2 * at, blocks->n_keys, n_columns, head_dim, o + column + at, fetched);
            if (fetched) fetched += 2 * ATT_KEYS * WIDE_STEP;
        }
        for (; at < n_columns; at += ATT_LANES)
            for (int32_t r = 0; r < n_rows; r++)
                values_block(p + r * ATT_BLOCKS * ATT_KEYS, v + 2 * at, blocks->n_keys, n_columns, head_dim, 1, 1,
                             o + r * head_dim + column + at, 0);
    }
}

/* Brings `largest` of one row up where a score is well above it; returns whether it did. */
static bool raise_largest(const float *s, float *largest, float *shrink, float *total) {
    wide highest = wide_load(s);
    for (int c = ATT_LANES; c < ATT_KEYS; c += ATT_LANES) highest = wide_max(highest, wide_load(s + c));
    float is = wide_highest(highest);
    *shrink = 1;
    if (!(is > *largest + SLACK)) return false;
    *shrink = exp2f(*largest - is);
    *largest = is;
    wide_store(total, wide_mul(wide_load(total), wide_all(*shrink)));
    return true;
}

static bool att_weights(float *s, int32_t n_rows, const int32_t *visible, att_ends ends, uintptr_t ahead,
                        int32_t head_dim, att_p *p) {
    bool rose = false;
    (void)ahead, (void)head_dim;
    for (int32_t r = 0; r < n_rows; r++, s += ATT_KEYS, p += ATT_BLOCKS * ATT_KEYS) {
        float *total = ends.total + r * ATT_LANES;
        for (int32_t key = visible ? visible[r] : ATT_KEYS; key < ATT_KEYS; key++) s[key] = -INFINITY;
        rose |= raise_largest(s, ends.largest + r, ends.shrink + r, total);
        wide largest = wide_all(-ends.largest[r]), sum = wide_load(total);
        for (int c = 0; c < ATT_KEYS; c += ATT_LANES) {
            wide weight = wide_exp2(wide_add(wide_load(s + c), largest));
            sum = wide_add(sum, weight);
            wide_store(p + c, weight);
        }
        wide_store(total, sum);
    }
    return rose;
}

#include "kernels/attention/attention_kv.h"

#endif
