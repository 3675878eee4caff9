/* Linear layers on q8_x16 and q4_x16 for 9 tokens and more. Two dispatches:
 *
 * 1. The activations (S8) are laid out in tiles of at most 12 tokens, so that a kernel reads them as one stream.
 * 2. A unit of work is a pair of panels: 32 rows of w, for SwiGLU 16 gate rows and their 16 up rows. It is computed
 *    block by block of 256 columns, which stay in the first-level cache while all tiles pass: q8 as it lies, q4
 *    unpacked to what q8 is in memory, sub * level + 128 as u8. A tile takes 24 accumulators of 16 rows; they start
 *    from -128 times the sum of the block's activations, and are added to the tile's float32 sums.
 *
 * While a block is computed, the next one's weights are fetched. The last units are cut into parts of the tokens, so
 * that the workers finish together. */
#include "kernels/elementwise/elementwise.h"
#include "kernels/families.h"
#include "kernels/linear/linear_finish_avx512.h"
#include "kernels/linear/linear_q_avx512.h"
#include "kernels/linear/linear_tiles.h"

enum { TILE_TOKENS = 12, GROUP_TILES = 64 };
enum { TILE_SUMS = 2 * TILE_TOKENS * PIO_X16_ROWS, BLOCK_BYTES = PIO_SCALE_COLUMNS * PIO_X16_ROWS };

/* The laid-out activations in the call's scratch: block after block of 256 columns, in it tile after tile of n tokens,
 *   codes   int8 [64][n][4]
 *   scales  float [n]   and   starts  int32 [n], -128 * the block's sum of codes */
typedef struct tiles {
    int8_t *codes;
    float *scales;
    int32_t *starts;
    int32_t live, n, n_blocks;
} tiles;

static tiles tiles_of(const pio_linear_args *a) {
    tiles x = {.live = pio_linear_live(a), .n_blocks = pio_s8_blocks(a->cols)};
    x.n = PIO_CEIL_DIV(x.live, TILE_TOKENS);
    x.codes = PIO_AT(int8_t, a->scratch);
    x.scales = (float *)(void *)(x.codes + (int64_t)a->rows * x.n_blocks * PIO_SCALE_COLUMNS);
    x.starts = (int32_t *)(void *)(x.scales + (int64_t)a->rows * x.n_blocks);
    return x;
}

/* Tiles are as equal as can be: the first token of tile i. */
static int32_t tile_begin(const tiles *x, int32_t i) {
    return (int32_t)((int64_t)i * x->live / x->n);
}

/* Where token t0 of a block is: in scales and starts, and times 256 in the codes. */
static int64_t token_at(const tiles *x, int32_t block, int32_t t0) {
    return (int64_t)block * x->live + t0;
}

static void pack_tile(const pio_linear_args *a, const tiles *x, int32_t tile) {
    const int32_t t0 = tile_begin(x, tile), n = tile_begin(x, tile + 1) - t0;
    const int8_t *rows[TILE_TOKENS];
    for (int32_t t = 0; t < n; t++) rows[t] = PIO_AT(const int8_t, pio_linear_packed_x(a, t0 + t));
    for (int32_t b = 0; b < x->n_blocks; b++) {
        const int64_t at = token_at(x, b, t0);
        int32_t *codes = (int32_t *)(void *)(x->codes + at * PIO_SCALE_COLUMNS);
        for (int32_t i = b * (PIO_SCALE_COLUMNS / 4); i < (b + 1) * (PIO_SCALE_COLUMNS / 4); i++)
            for (int32_t t = 0; t < n; t++) *codes++ = ((const int32_t *)(const void *)rows[t])[i];
        for (int32_t t = 0; t < n; t++) {
            x->scales[at + t] = ((const float *)(const void *)(rows[t] + pio_s8_scales_at(a->cols)))[b];
            x->starts[at + t] = -128 * ((const int32_t *)(const void *)(rows[t] + pio_s8_sums_at(a->cols)))[b];
        }
    }
}

/* A block of a pair of panels, ready to multiply. */
typedef struct pair_block {
    const uint8_t *codes[2]; /* u8 [columns / 4][16][4] */
    __m512 scales[2];
    int32_t n_subs; /* of 32 columns */
    /* The next block's weights: `step` lines of each panel are fetched with every tile. */
    const char *next[2];
    int32_t step;
} pair_block;

/* The accumulators of a pair and up to 12 tokens are 24 variables, written out by these macros: GCC keeps an array of
 * that size in memory, at half the speed. */
#define FOR_TOKENS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define START(t)                                                                                                       \
    __m512i c##t = _mm512_set1_epi32(t < n ? starts[t] : 0), d##t = _mm512_set1_epi32(t < n ? starts[t] : 0);
#define MULTIPLY_GROUP(t)                                                                                              \
    if (t < n) {                                                                                                       \
        __m512i word = pio_q_broadcast4(x + 4 * t);                                                                    \
        pio_q_dot4(&c##t, a, word);                                                                                    \
        pio_q_dot4(&d##t, b, word);                                                                                    \
    }
#define ADD_BLOCK(t)                                                                                                   \
    if (t < n) {                                                                                                       \
        float *sum0 = sums + 16 * t, *sum1 = sum0 + 16 * TILE_TOKENS;                                                  \
        _mm512_store_ps(sum0, pio_q_add_block(_mm512_load_ps(sum0), c##t, scale0, scales[t]));                         \
        _mm512_store_ps(sum1, pio_q_add_block(_mm512_load_ps(sum1), d##t, scale1, scales[t]));                         \
    }

/* sums [2][12][16] += the products of a block of up to 256 columns with n tokens. */
static PIO_ALWAYS_INLINE void multiply_block(pair_block *w, const int8_t *x, const float *scales, const int32_t *starts,
                                             const int n, float *sums) {
    const uint8_t *w0 = w->codes[0], *w1 = w->codes[1], *end = w0 + w->n_subs * 512;
    for (int32_t i = 0; i < w->step; i++) {
        _mm_prefetch(w->next[0], _MM_HINT_T0);
        _mm_prefetch(w->next[1], _MM_HINT_T0);
        w->next[0] += 64, w->next[1] += 64;
    }
    FOR_TOKENS(START)
    do {
        __m512i a = _mm512_load_si512(w0), b = _mm512_load_si512(w1);
        FOR_TOKENS(MULTIPLY_GROUP)
        w0 += 64, w1 += 64, x += 4 * n;
    } while (w0 < end);
    const __m512 scale0 = w->scales[0], scale1 = w->scales[1];
    FOR_TOKENS(ADD_BLOCK)
}

typedef void (*block_function)(pair_block *, const int8_t *, const float *, const int32_t *, float *);

#define MULTIPLY_N(n)                                                                                                  \
    static void multiply_##n(pair_block *w, const int8_t *x, const float *scales, const int32_t *starts,               \
                             float *sums) {                                                                            \
        multiply_block(w, x, scales, starts, n, sums);                                                                 \
    }
MULTIPLY_N(1)
MULTIPLY_N(2)
MULTIPLY_N(3)
MULTIPLY_N(4)
MULTIPLY_N(5)
MULTIPLY_N(6)
MULTIPLY_N(7)
MULTIPLY_N(8)
MULTIPLY_N(9)
MULTIPLY_N(10)
MULTIPLY_N(11)
MULTIPLY_N(12)

static const block_function multiply_tokens[TILE_TOKENS + 1] = {
    NULL,       multiply_1, multiply_2, multiply_3,  multiply_4,  multiply_5, multiply_6,
    multiply_7, multiply_8, multiply_9, multiply_10, multiply_11, multiply_12};

static PIO_ALWAYS_INLINE void unit_store(const pio_linear_args *a, int32_t index, int32_t t0, int32_t n, bool swiglu,
                                         const float *sums) {
    for (int32_t t = 0; t < n; t++)
        pio_linear_store_pair(a, t0 + t, index * 2 * PIO_X16_ROWS, swiglu, _mm512_load_ps(sums + 16 * t),
                              _mm512_load_ps(sums + 16 * (TILE_TOKENS + t)));
}

/* A pair of panels: the second one is the first again where there is none. */
typedef struct pair {
    const uint8_t *panels[2];
} pair;

static pair pair_of(const pio_linear_args *a, const pio_x16_panel *p, int32_t unit) {
    const int32_t n_panels = PIO_CEIL_DIV(a->n_out, PIO_X16_ROWS);
    const uint8_t *weights = PIO_AT(const uint8_t, a->w);
    pair both;
    for (int i = 0; i < 2; i++) both.panels[i] = weights + (uint64_t)PIO_MIN(2 * unit + i, n_panels - 1) * p->bytes;
    return both;
}

/* Block b of `now`; while it is multiplied with n_tiles tiles, block `next_b` of `next` is fetched. */
static PIO_ALWAYS_INLINE pair_block block_of(const pair *now, const pio_x16_panel *p, int32_t b, const pair *next,
                                             int32_t next_b, int32_t n_tiles, pio_dtype dtype, uint8_t *unpacked) {
    const int32_t bytes = dtype == PIO_DTYPE_Q4 ? BLOCK_BYTES / 2 : BLOCK_BYTES;
    pair_block w = {.n_subs = PIO_MIN(8, p->n_subs - 8 * b), .step = PIO_CEIL_DIV(bytes / 64, n_tiles)};
    for (int i = 0; i < 2; i++) {
        w.scales[i] = pio_q_scales(now->panels[i], b);
        w.codes[i] = now->panels[i] + p->codes_at + (size_t)b * BLOCK_BYTES;
        w.next[i] = (const char *)next->panels[i] + p->codes_at + (size_t)next_b * (size_t)bytes;
        _mm_prefetch((const char *)next->panels[i] + 32 * (size_t)next_b, _MM_HINT_T0);
        if (dtype != PIO_DTYPE_Q4) continue;
        const char *subs = (const char *)next->panels[i] + p->subs_at + 128 * (size_t)next_b;
        _mm_prefetch(subs, _MM_HINT_T0);
        _mm_prefetch(subs + 64, _MM_HINT_T0);
        pio_q4_unpack_block(now->panels[i], p, b, w.n_subs, 128, unpacked + i * BLOCK_BYTES);
        w.codes[i] = unpacked + i * BLOCK_BYTES;
    }
    return w;
}

/* The worker's scratch: an unpacked block, and the sums of a group of tiles. */
typedef struct work {
    uint8_t unpacked[2 * BLOCK_BYTES];
    float sums[GROUP_TILES * TILE_SUMS];
} work;

static PIO_ALWAYS_INLINE void group_run(const pio_linear_args *a, const tiles *x, const pio_x16_panel *p, int32_t unit,
                                        int32_t next_unit, int32_t first, int32_t end, work *own, pio_dtype dtype,
                                        bool swiglu) {
    const pair now = pair_of(a, p, unit), after = pair_of(a, p, next_unit);
    memset(own->sums, 0, sizeof(float) * TILE_SUMS * (size_t)(end - first));
    for (int32_t b = 0; b < x->n_blocks; b++) {
        const bool last = b + 1 == x->n_blocks;
        pair_block w = block_of(&now, p, b, last ? &after : &now, last ? 0 : b + 1, end - first, dtype, own->unpacked);
        float *sums = own->sums;
        for (int32_t i = first; i < end; i++, sums += TILE_SUMS) {
            const int32_t t0 = tile_begin(x, i), n = tile_begin(x, i + 1) - t0;
            const int64_t at = token_at(x, b, t0);
            if (last) pio_linear_fetch_pair(a, unit, t0, n, swiglu);
            multiply_tokens[n](&w, x->codes + at * PIO_SCALE_COLUMNS, x->scales + at, x->starts + at, sums);
            if (last) unit_store(a, unit, t0, n, swiglu, sums);
        }
    }
}

static PIO_ALWAYS_INLINE void multiply_units(const pio_linear_args *a, pio_worker *worker, pio_dtype dtype,
                                             bool swiglu) {
    const tiles x = tiles_of(a);
    const pio_x16_panel p = pio_x16_panel_of(dtype, a->cols);
    const int32_t n_units = PIO_CEIL_DIV(a->n_out, 2 * PIO_X16_ROWS);
    const int32_t n_parts = pio_tiles_parts(x.n);
    pio_tiles_share now, next;
    bool more = pio_tiles_share_of(x.n, n_parts, pio_worker_take(worker), n_units, worker->n_workers, &now);
    for (; more; now = next) {
        more = pio_tiles_share_of(x.n, n_parts, pio_worker_take(worker), n_units, worker->n_workers, &next);
        const int32_t next_unit = more ? next.unit : now.unit;
        for (int32_t first = now.first_tile; first < now.end_tile; first += GROUP_TILES)
            group_run(a, &x, &p, now.unit, next_unit, first, PIO_MIN(first + GROUP_TILES, now.end_tile),
                      worker->scratch, dtype, swiglu);
    }
}

static PIO_ALWAYS_INLINE void run(const pio_linear_args *a, pio_worker *worker, pio_dtype dtype, bool swiglu) {
    const tiles x = tiles_of(a);
    if (!x.live) return;
    if (a->phase == PIO_LINEAR_MULTIPLY) {
        multiply_units(a, worker, dtype, swiglu);
        return;
    }
    for (int32_t tile; (tile = pio_worker_take(worker)) < x.n;) pack_tile(a, &x, tile);
}

void pio_linear_q8_gemm_avx512(const void *args, pio_worker *worker) {
    run(args, worker, PIO_DTYPE_Q8, false);
}

void pio_linear_q4_gemm_avx512(const void *args, pio_worker *worker) {
    run(args, worker, PIO_DTYPE_Q4, false);
}

void pio_linear_swiglu_q8_gemm_avx512(const void *args, pio_worker *worker) {
    run(args, worker, PIO_DTYPE_Q8, true);
}

void pio_linear_swiglu_q4_gemm_avx512(const void *args, pio_worker *worker) {
    run(args, worker, PIO_DTYPE_Q4, true);
}
