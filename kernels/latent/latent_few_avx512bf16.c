/* LATENT_ATTENTION over LATENT_BF16 for few tokens, whose heads are too few to pay for taking blocks of keys apart:
 * rows of the cache are multiplied as they lie.
 *
 * Scores: a line of a key is 32 columns, so a sum's 16 lanes are added up at the end, 4 rows x 4 keys at a time: 8
 * loads in 16 dot products, and 45 instructions for the sums of 16. Values: 32 columns of two keys are interleaved in
 * registers, two loads and two permutes in up to 24 dot products. */
enum { ATT_PANEL = 12, ATT_COLUMNS = 32 };
#include "kernels/attention/attention_weights_avx512.h"
#include "kernels/dialect/cases.h"
#include "kernels/families.h"
#include "kernels/latent/latent_view.h"

enum { ATT_KEY_DIM_MAX = 640, ATT_VALUE_DIM_MAX = 512, ATT_OPENED_BYTES = 0, SCORED = 4 };

#define ATT_KEY_DIM(a) key_dim_of(a)

static void pack(const float *from, int32_t n, float factor, att_q *to) {
    for (int32_t i = 0; i < n; i += 16) {
        __m512 x = _mm512_mul_ps(_mm512_loadu_ps(from + i), _mm512_set1_ps(factor));
        _mm256_storeu_si256((__m256i *)(void *)(to + i), (__m256i)_mm512_cvtneps_pbh(x));
    }
}

/* panel: [ATT_PANEL, key_dim], the columns against the latent, then those against the rotated key. */
static void att_pack_rows(const pio_attention_args *a, const att_item *item, int32_t group, int32_t first,
                          int32_t n_rows, float factor, att_q *panel) {
    const pio_latent_attention_args *latent = latent_of(a);
    for (int32_t v = first; v < first + n_rows; v++, panel += key_dim_of(a)) {
        pack(att_q_row(a, item, group, v), a->head_dim, factor, panel);
        pack(latent_rope_row(latent, item, group, v), latent->rope_dim, factor, panel + a->head_dim);
    }
}

static inline void att_open(const pio_attention_args *a, void *opened, int32_t b, att_block *block) {
    (void)a, (void)opened, (void)b;
    block->v = block->k;
}

/* Lane 4 r + key: all lanes of sums[r][key] together. */
static PIO_ALWAYS_INLINE __m512 add_lanes(__m512 sums[SCORED][SCORED]) {
    __m512 rows[SCORED];
#pragma GCC unroll 4
    for (int r = 0; r < SCORED; r++) {
        const __m512 *s = sums[r];
        __m512d low = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(s[0], s[1]), _mm512_unpackhi_ps(s[0], s[1])));
        __m512d high = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(s[2], s[3]), _mm512_unpackhi_ps(s[2], s[3])));
        rows[r] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)),
                                _mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
    }
    __m512 low =
        _mm512_add_ps(_mm512_shuffle_f32x4(rows[0], rows[1], 0x44), _mm512_shuffle_f32x4(rows[0], rows[1], 0xee));
    __m512 high =
        _mm512_add_ps(_mm512_shuffle_f32x4(rows[2], rows[3], 0x44), _mm512_shuffle_f32x4(rows[2], rows[3], 0xee));
    return _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
}

/* s[row][key] of SCORED keys for n_rows <= SCORED rows; rows that are missing repeat the last one. */
static PIO_ALWAYS_INLINE void scores_block(const att_q *q, int32_t n_rows, const att_kv *k, int32_t key_dim, float *s,
                                           uintptr_t ahead) {
    __m512 sums[SCORED][SCORED];
    const att_q *rows[SCORED];
#pragma GCC unroll 4
    for (int r = 0; r < SCORED; r++) {
        rows[r] = q + (size_t)PIO_MIN(r, n_rows - 1) * (size_t)key_dim;
#pragma GCC unroll 4
        for (int i = 0; i < SCORED; i++) sums[r][i] = _mm512_setzero_ps();
    }
    for (int32_t column = 0; column < key_dim; column += 32) {
        __m512bh keys[SCORED];
#pragma GCC unroll 4
        for (int i = 0; i < SCORED; i++)
            keys[i] = (__m512bh)_mm512_loadu_si512(k + (size_t)i * (size_t)key_dim + column);
        if (ahead) ahead = fetch(ahead, 3);
#pragma GCC unroll 4
        for (int r = 0; r < SCORED; r++) {
            const __m512bh row = (__m512bh)_mm512_loadu_si512(rows[r] + column);
#pragma GCC unroll 4
            for (int i = 0; i < SCORED; i++) sums[r][i] = _mm512_dpbf16_ps(sums[r][i], row, keys[i]);
        }
    }
    float out[SCORED * SCORED];
    _mm512_storeu_ps(out, add_lanes(sums));
    for (int32_t r = 0; r < n_rows; r++) memcpy(s + r * ATT_KEYS, out + SCORED * r, SCORED * sizeof *s);
}

/* Keys that are missing are read all the same: they lie in the page, and what they hold does not matter. */
static void att_scores(const att_q *panel, int32_t n_rows, const att_kv *k, int32_t n_keys, int32_t key_dim, float *s,
                       uintptr_t ahead) {
    const uintptr_t step = 3 * 64 * (uintptr_t)(key_dim / 32);
    for (int32_t first = 0; first < n_rows; first += SCORED, ahead = 0)
        for (int32_t key = 0; key < n_keys; key += SCORED, ahead += ahead ? step : 0)
            scores_block(panel + (size_t)first * (size_t)key_dim, PIO_MIN(SCORED, n_rows - first),
                         k + (size_t)key * (size_t)key_dim, key_dim, s + first * ATT_KEYS + key, ahead);
}

/* sums[r][] += the weights of a pair of keys times 32 columns of them. */
static PIO_ALWAYS_INLINE void add_pair(const uint32_t *pair, __m512i x, __m512i y, const int rows,
                                       __m512 sums[ATT_PANEL][2]) {
    enum { P_ROW = ATT_BLOCKS * ATT_KEYS / 2 }; /* pairs */
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37,
                                         5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    const __m512i first = _mm512_permutex2var_epi16(x, low, y), second = _mm512_permutex2var_epi16(x, high, y);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        sums[r][0] = dot(sums[r][0], pair[r * P_ROW], first);
        sums[r][1] = dot(sums[r][1], pair[r * P_ROW], second);
    }
}

/* An odd last key has no neighbour: what lies there may be NaN. */
static PIO_ALWAYS_INLINE void values_rows(const uint32_t *p, const att_block *blocks, int32_t n_blocks,
                                          int32_t head_dim, int32_t column, const int rows, float *o) {
    __m512 sums[ATT_PANEL][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        sums[r][0] = _mm512_loadu_ps(o + r * head_dim + column);
        sums[r][1] = _mm512_loadu_ps(o + r * head_dim + column + 16);
    }
    for (; n_blocks; n_blocks--, blocks++, p += ATT_KEYS / 2) {
        const att_kv *v = (const att_kv *)blocks->v + column;
        const uint32_t *pair = p;
        for (int32_t i = blocks->n_keys / 2; i; i--, pair++, v += 2 * blocks->stride)
            add_pair(pair, _mm512_loadu_si512(v), _mm512_loadu_si512(v + blocks->stride), rows, sums);
        if (blocks->n_keys % 2) add_pair(pair, _mm512_loadu_si512(v), _mm512_setzero_si512(), rows, sums);
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_ps(o + r * head_dim + column, sums[r][0]);
        _mm512_storeu_ps(o + r * head_dim + column + 16, sums[r][1]);
    }
}

#define DO(n) values_rows(p, blocks, n_blocks, head_dim, column, n, o)

static void att_values(const att_p *weights, int32_t n_rows, const att_block *blocks, int32_t n_blocks,
                       int32_t head_dim, int32_t column, int32_t n_columns, float *o, const att_block *ahead) {
    (void)n_columns, (void)ahead;
    const uint32_t *p = (const uint32_t *)(const void *)weights;
    PIO_CASES_12(n_rows, DO)
}

#include "kernels/attention/attention_tile.h"

bool pio_latent_few_match(const pio_call *call) {
    return pio_latent_tile_match(call) && (call->attrs.head_dim + call->attrs.rope_dim) % PIO_LATENT_BLOCK == 0;
}

void pio_latent_attention_few_avx512bf16(const void *args, pio_worker *worker) {
    const latent_view view = latent_view_of(args);
    att_run(&view.a, worker);
}
