/* Linear layers on q8_x16 and q4_x16 for 9 tokens and more. Two dispatches:
 *
 * 1. The activations (S8) are laid out in tiles of at most 12 tokens, so that a kernel reads them as one stream.
 * 2. A unit of work is a pair of panels: 32 rows of w, for SwiGLU 16 gate rows and their 16 up rows. q4 is unpacked
 *    once for all tokens to what q8 is in memory: sub * level + 128 as u8, with one scale a row and 256 columns. Then
 *    each tile of tokens is multiplied with the pair, 24 accumulators of 16 rows; a block of 256 columns is summed in
 *    integers, which start from -128 times the sum of the block's activations, and added to the float32 sums.
 *
 * While a unit is computed, the next one's weights are prefetched into the second-level cache. The last units are cut
 * into parts of the tokens, so that the workers finish together. */
#include "kernels/elementwise/elementwise.h"
#include "kernels/families.h"
#include "kernels/linear/linear_finish_avx512.h"
#include "kernels/linear/linear_q_avx512.h"

enum { TILE_TOKENS = 12, PARTS = 4, PACK, MULTIPLY };

/* The laid-out activations in the call's scratch: tile after tile, of n tokens each,
 *   codes   int8 [columns rounded up to 256 / 4][n][4]
 *   scales  float [blocks][n]   and   starts  int32 [blocks][n], -128 * the block's sum of codes */
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

size_t pio_linear_q_gemm_scratch(const pio_call *call) {
    size_t blocks = (size_t)call->in[0].rows * (size_t)pio_s8_blocks(call->in[1].cols);
    return blocks * (PIO_SCALE_COLUMNS + sizeof(float) + sizeof(int32_t));
}

pio_status pio_linear_q_gemm_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    const uint32_t groups[3] = {1, 1, 1};
    pio_linear_args args;
    pio_linear_args_fill(call, &args);
    args.phase = PACK;
    pio_status status = recorder->dispatch(recorder, 0, groups, &args, sizeof args, error);
    if (!status) status = recorder->barrier(recorder, error);
    args.phase = MULTIPLY;
    return status ? status : recorder->dispatch(recorder, 0, groups, &args, sizeof args, error);
}

static void pack_tile(const pio_linear_args *a, const tiles *x, int32_t tile) {
    int32_t t0 = tile_begin(x, tile), n = tile_begin(x, tile + 1) - t0, n_words = x->n_blocks * (PIO_SCALE_COLUMNS / 4);
    int32_t *codes = (int32_t *)(void *)(x->codes + (int64_t)t0 * x->n_blocks * PIO_SCALE_COLUMNS);
    for (int32_t t = 0; t < n; t++) {
        const int8_t *row = pio_q_x_codes(a, t0 + t);
        const int32_t *words = (const int32_t *)(const void *)row;
        const float *scales = (const float *)(const void *)(row + pio_s8_scales_at(a->cols));
        const int32_t *sums = (const int32_t *)(const void *)(row + pio_s8_sums_at(a->cols));
        for (int32_t i = 0; i < n_words; i++) codes[i * n + t] = words[i];
        for (int32_t b = 0; b < x->n_blocks; b++) {
            x->scales[(int64_t)t0 * x->n_blocks + b * n + t] = scales[b];
            x->starts[(int64_t)t0 * x->n_blocks + b * n + t] = -128 * sums[b];
        }
    }
}

/* A pair of panels ready to multiply. */
typedef struct unit {
    const uint8_t *panels[2]; /* for their scales */
    const uint8_t *codes[2];  /* u8 [columns / 4][16][4] */
    int32_t n_subs;
    const uint8_t *next; /* to be prefetched, `next_step` <= 128 bytes every 4 columns of every tile */
    int32_t next_step;
} unit;

/* 32 columns of a q4 panel to u8 [8][16][4]. With t = level + 11, in 1..20, sub * level + 128 = sub * t + (128 - 11
 * sub) in each byte. Two bytes are multiplied as one 16-bit number: the low product is within a byte, and where sub is
 * negative it borrows exactly 1 from the high byte (it is never 0), which the addend gives back. */
static PIO_ALWAYS_INLINE void unpack_sub(const uint8_t *codes, const int8_t *subs, __m512i levels, __m512i addends,
                                         uint8_t *out) {
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i both_words =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    __m512i sub = _mm512_cvtepi8_epi32(_mm_load_si128((const void *)subs));
    sub = _mm512_shuffle_epi8(sub, both_words);
    __m512i addend = _mm512_permutexvar_epi16(sub, addends);
    PIO_UNROLL(4)
    for (int v = 0; v < 4; v++) {
        __m512i pair = _mm512_load_si512(codes + 64 * v);
        __m512i w0 = _mm512_shuffle_epi8(levels, _mm512_and_si512(pair, low));
        __m512i w1 = _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16(pair, 4), low));
        _mm512_store_si512(out + 128 * v, _mm512_add_epi8(_mm512_mullo_epi16(w0, sub), addend));
        _mm512_store_si512(out + 128 * v + 64, _mm512_add_epi8(_mm512_mullo_epi16(w1, sub), addend));
    }
}

static void unpack_panel(const uint8_t *panel, const pio_x16_panel *p, uint8_t *out) {
    uint16_t words[32]; /* by the low five bits of sub */
    for (int i = 0; i < 32; i++) {
        int sub = i < 16 ? i : i - 32;
        words[i] = (uint16_t)(((128 - 11 * sub) & 255) | ((128 - 11 * sub + (sub < 0)) & 255) << 8);
    }
    const __m512i addends = _mm512_loadu_si512(words);
    const __m512i levels =
        _mm512_broadcast_i32x4(_mm_add_epi8(_mm_loadu_si128((const void *)pio_q4_levels), _mm_set1_epi8(11)));
    const uint8_t *codes = panel + p->codes_at;
    const int8_t *subs = (const int8_t *)panel + p->subs_at;
    for (int32_t s = 0; s < p->n_subs; s++) unpack_sub(codes + 256 * s, subs + 16 * s, levels, addends, out + 512 * s);
}

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

/* sums [2][12] += the products of a block of up to 256 columns with n tokens. */
static PIO_ALWAYS_INLINE void multiply_block(unit *u, int32_t block, const int8_t *x, const float *scales,
                                             const int32_t *starts, const int n, float *sums) {
    const uint8_t *w0 = u->codes[0] + (size_t)block * 64 * 64, *w1 = u->codes[1] + (size_t)block * 64 * 64;
    const uint8_t *end = w0 + PIO_MIN(8, u->n_subs - 8 * block) * 512, *next = u->next;
    FOR_TOKENS(START)
    do {
        __m512i a = _mm512_load_si512(w0), b = _mm512_load_si512(w1);
        FOR_TOKENS(MULTIPLY_GROUP)
        _mm_prefetch((const char *)next, _MM_HINT_T1);
        _mm_prefetch((const char *)next + 64, _MM_HINT_T1);
        next += u->next_step;
        w0 += 64, w1 += 64, x += 4 * n;
    } while (w0 < end);
    u->next = next;
    __m512 scale0 = pio_q_scales(u->panels[0], block), scale1 = pio_q_scales(u->panels[1], block);
    FOR_TOKENS(ADD_BLOCK)
}

typedef void (*block_function)(unit *, int32_t, const int8_t *, const float *, const int32_t *, float *);

#define MULTIPLY_N(n)                                                                                                  \
    static void multiply_##n(unit *u, int32_t block, const int8_t *x, const float *scales, const int32_t *starts,      \
                             float *sums) {                                                                            \
        multiply_block(u, block, x, scales, starts, n, sums);                                                          \
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

/* Which unit and which tiles a number taken from the counter stands for. */
typedef struct share {
    int32_t unit, first_tile, end_tile;
} share;

static bool share_of(int32_t taken, int32_t n_units, int32_t n_tiles, int n_workers, share *s) {
    int32_t cut = n_tiles >= 2 * PARTS ? PIO_MIN(n_units, 2 * n_workers) : 0, whole = n_units - cut;
    if (taken < whole) {
        *s = (share){taken, 0, n_tiles};
        return true;
    }
    int32_t part = (taken - whole) % PARTS;
    *s = (share){whole + (taken - whole) / PARTS, part * n_tiles / PARTS, (part + 1) * n_tiles / PARTS};
    return taken < whole + cut * PARTS;
}

static PIO_ALWAYS_INLINE void unit_store(const pio_linear_args *a, int32_t index, int32_t t0, int32_t n, bool swiglu,
                                         const float *sums) {
    int32_t row = index * 2 * PIO_X16_ROWS;
    for (int32_t t = 0; t < n; t++) {
        __m512 sum0 = _mm512_load_ps(sums + 16 * t), sum1 = _mm512_load_ps(sums + 16 * (TILE_TOKENS + t));
        if (swiglu) {
            pio_linear_store_swiglu_x16(a, t0 + t, row / 2, sum0, sum1);
        } else {
            pio_linear_store_x16(a, t0 + t, row, sum0);
            if (row + PIO_X16_ROWS < a->n_out) pio_linear_store_x16(a, t0 + t, row + PIO_X16_ROWS, sum1);
        }
    }
}

/* Brings the lines that unit_store will touch into the second-level cache (rows of y may all fall into the same sets of
 * the first): stores that miss would hold up the sums of the next tile behind them. */
static PIO_ALWAYS_INLINE void unit_prefetch(const pio_linear_args *a, int32_t index, int32_t t0, int32_t n,
                                            bool swiglu) {
    int32_t column = index * PIO_X16_ROWS * (swiglu ? 1 : 2);
    for (int32_t t = t0; t < t0 + n; t++) {
        const float *y = PIO_AT(const float, a->y + (pio_u64)t * (pio_u64)a->y_stride) + column;
        _mm_prefetch((const char *)y, _MM_HINT_T1);
        if (!swiglu) _mm_prefetch((const char *)(y + 16), _MM_HINT_T1);
        if (!a->residual) continue;
        const float *residual = PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride) + column;
        _mm_prefetch((const char *)residual, _MM_HINT_T1);
        _mm_prefetch((const char *)(residual + 16), _MM_HINT_T1);
    }
}

static PIO_ALWAYS_INLINE void unit_run(const pio_linear_args *a, const tiles *x, const share *s, unit *u, bool swiglu) {
    float sums[2 * TILE_TOKENS * 16] PIO_ALIGNED(64); /* [2][12][16] */
    for (int32_t i = s->first_tile; i < s->end_tile; i++) {
        int32_t t0 = tile_begin(x, i), n = tile_begin(x, i + 1) - t0;
        int64_t at = (int64_t)t0 * x->n_blocks;
        const int8_t *codes = x->codes + at * PIO_SCALE_COLUMNS;
        unit_prefetch(a, s->unit, t0, n, swiglu);
        for (int t = 0; t < 2 * TILE_TOKENS; t++) _mm512_store_ps(sums + 16 * t, _mm512_setzero_ps());
        for (int32_t b = 0; b < x->n_blocks; b++, at += n, codes += PIO_SCALE_COLUMNS * n)
            multiply_tokens[n](u, b, codes, x->scales + at, x->starts + at, sums);
        unit_store(a, s->unit, t0, n, swiglu, sums);
    }
}

static PIO_ALWAYS_INLINE void multiply_units(const pio_linear_args *a, pio_worker *worker, pio_dtype dtype,
                                             bool swiglu) {
    const tiles x = tiles_of(a);
    const pio_x16_panel p = pio_x16_panel_of(dtype, a->cols);
    const int32_t n_panels = PIO_CEIL_DIV(a->n_out, PIO_X16_ROWS), n_units = PIO_CEIL_DIV(n_panels, 2);
    const uint8_t *weights = PIO_AT(const uint8_t, a->w);
    uint8_t *unpacked = worker->scratch;
    share now, next;
    bool more = share_of(pio_worker_take(worker), n_units, x.n, worker->n_workers, &now);
    for (; more; now = next) {
        more = share_of(pio_worker_take(worker), n_units, x.n, worker->n_workers, &next);
        unit u = {.n_subs = p.n_subs, .next = weights};
        for (int i = 0; i < 2; i++) {
            u.panels[i] = weights + (uint64_t)PIO_MIN(2 * now.unit + i, n_panels - 1) * p.bytes;
            u.codes[i] = u.panels[i] + p.codes_at;
            if (dtype != PIO_DTYPE_Q4) continue;
            unpack_panel(u.panels[i], &p, unpacked);
            u.codes[i] = unpacked;
            unpacked += (size_t)p.n_subs * 512;
        }
        unpacked = worker->scratch;
        if (more && next.unit != now.unit) {
            u.next = weights + (uint64_t)(2 * next.unit) * p.bytes;
            u.next_step =
                (int32_t)PIO_CEIL_DIV(p.bytes, (uint64_t)p.n_subs * 4 * (uint64_t)(now.end_tile - now.first_tile));
        }
        unit_run(a, &x, &now, &u, swiglu);
    }
}

static PIO_ALWAYS_INLINE void run(const pio_linear_args *a, pio_worker *worker, pio_dtype dtype, bool swiglu) {
    const tiles x = tiles_of(a);
    if (!x.live) return;
    if (a->phase == MULTIPLY) {
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
