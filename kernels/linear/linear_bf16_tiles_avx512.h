/* The loops around the tiled AVX-512 kernels on bf16_x16: pairs of panels times tiles of tokens.
 *
 * A unit of work is a pair of panels: 32 rows of w, for SwiGLU 16 gate rows and their 16 up rows. Its columns are cut
 * into blocks, so that a block of both panels and the next one to come lie in the second-level cache while all tokens
 * pass; the sums between blocks wait in the worker's scratch. While a block is multiplied the next one is prefetched.
 */
#ifndef PIO_KERNELS_LINEAR_LINEAR_BF16_TILES_AVX512_H
#define PIO_KERNELS_LINEAR_LINEAR_BF16_TILES_AVX512_H

#include "kernels/dtype/layouts.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/linear_finish_avx512.h"
#include "kernels/linear/linear_tiles.h"

enum {
    PIO_BF16_TILE_TOKENS = 12,
    PIO_BF16_BLOCK_PAIRS = 2560, /* 320 KiB of two panels: two such blocks fit 1 MiB of cache */
    PIO_BF16_GROUP_TILES = 512   /* tiles whose sums fit the worker's scratch */
};

/* A block of a pair of panels. */
typedef struct pio_bf16_block {
    const uint8_t *w[2]; /* u16 [n_pairs][16][2] */
    int32_t n_pairs;
    const uint8_t *next[2]; /* what comes after it: prefetched, next_step bytes every pair of every tile */
    int32_t next_step;
} pio_bf16_block;

/* sums [2][n] (+)= the products of a block with a tile of n tokens, whose words of the block begin at x; the old sums
 * count unless `first`. */
typedef void (*pio_bf16_multiply)(pio_bf16_block *block, const uint32_t *x, bool first, __m512 *sums);

static inline void pio_bf16_unit_store(const pio_linear_args *a, int32_t unit, int32_t t0, int32_t n, bool swiglu,
                                       const __m512 *sums) {
    int32_t row = unit * 2 * PIO_X16_ROWS;
    for (int32_t t = 0; t < n; t++) {
        if (swiglu) {
            pio_linear_store_swiglu_x16(a, t0 + t, row / 2, sums[t], sums[n + t]);
        } else {
            pio_linear_store_x16(a, t0 + t, row, sums[t]);
            if (row + PIO_X16_ROWS < a->n_out) pio_linear_store_x16(a, t0 + t, row + PIO_X16_ROWS, sums[n + t]);
        }
    }
}

/* One call's constants. */
typedef struct pio_bf16_plan {
    const pio_linear_args *a;
    pio_tiles x;
    const pio_bf16_multiply *multiply; /* [tokens] */
    int32_t words_per_pair;            /* of x: 1 for BF16, 2 for float32 */
    int32_t n_panels, n_units, n_pairs, n_blocks;
    uint64_t panel_bytes;
    bool swiglu;
} pio_bf16_plan;

static inline int32_t pio_bf16_block_begin(const pio_bf16_plan *p, int32_t block) {
    return (int32_t)((int64_t)block * p->n_pairs / p->n_blocks);
}

/* The two panels of a unit at a block. The last unit's missing panel is its other one once more. */
static inline void pio_bf16_unit_panels(const pio_bf16_plan *p, int32_t unit, int32_t block, const uint8_t *w[2]) {
    for (int i = 0; i < 2; i++)
        w[i] = PIO_AT(const uint8_t, p->a->w) + (uint64_t)PIO_MIN(2 * unit + i, p->n_panels - 1) * p->panel_bytes +
               64 * (uint64_t)pio_bf16_block_begin(p, block);
}

/* Multiplies tiles [first, end) of a unit; `next_unit` is what the worker does after it. */
static inline void pio_bf16_unit_run(const pio_bf16_plan *p, int32_t unit, int32_t next_unit, int32_t first,
                                     int32_t end, __m512 *sums) {
    int32_t t_first = pio_tile_begin(&p->x, first);
    for (int32_t b = 0; b < p->n_blocks; b++) {
        pio_bf16_block block = {.next_step = PIO_MAX(1, 64 / (end - first))};
        int32_t begin = pio_bf16_block_begin(p, b);
        block.n_pairs = pio_bf16_block_begin(p, b + 1) - begin;
        pio_bf16_unit_panels(p, unit, b, block.w);
        bool last = b + 1 == p->n_blocks;
        pio_bf16_unit_panels(p, last ? next_unit : unit, last ? 0 : b + 1, block.next);
        for (int32_t i = first; i < end; i++) {
            int32_t t0 = pio_tile_begin(&p->x, i), n = pio_tile_begin(&p->x, i + 1) - t0;
            __m512 *tile_sums = sums + (last && p->n_blocks == 1 ? 0 : 2 * (t0 - t_first));
            p->multiply[n](&block, pio_tile_words(&p->x, t0) + (int64_t)begin * p->words_per_pair * n, b == 0,
                           tile_sums);
            if (last) pio_bf16_unit_store(p->a, unit, t0, n, p->swiglu, tile_sums);
        }
    }
}

static inline void pio_bf16_tiles_run(const pio_linear_args *a, pio_worker *worker, bool bf16, bool swiglu,
                                      const pio_bf16_multiply *multiply) {
    pio_bf16_plan p = {.a = a, .x = pio_tiles_of(a, PIO_BF16_TILE_TOKENS, bf16), .multiply = multiply};
    if (!p.x.live) return;
    if (a->phase == PIO_TILES_PACK) {
        pio_tiles_pack(a, worker, &p.x, bf16);
        return;
    }
    p.words_per_pair = bf16 ? 1 : 2;
    p.n_panels = PIO_CEIL_DIV(a->n_out, PIO_X16_ROWS);
    p.n_units = PIO_CEIL_DIV(p.n_panels, 2);
    p.n_pairs = PIO_CEIL_DIV(a->cols, 2);
    p.n_blocks = PIO_CEIL_DIV(p.n_pairs, PIO_BF16_BLOCK_PAIRS);
    p.panel_bytes = pio_bf16_x16_panel_bytes(a->cols);
    p.swiglu = swiglu;
    pio_tiles_share now, next;
    bool more = pio_tiles_share_of(&p.x, pio_worker_take(worker), p.n_units, worker->n_workers, &now);
    for (; more; now = next) {
        more = pio_tiles_share_of(&p.x, pio_worker_take(worker), p.n_units, worker->n_workers, &next);
        for (int32_t first = now.first_tile; first < now.end_tile; first += PIO_BF16_GROUP_TILES)
            pio_bf16_unit_run(&p, now.unit, more ? next.unit : now.unit, first,
                              PIO_MIN(now.end_tile, first + PIO_BF16_GROUP_TILES), worker->scratch);
    }
}

/* FOR_TOKENS: accumulators are variables, written out by macros: GCC keeps an array of that size in memory. */
#define PIO_BF16_FOR_TOKENS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

#define PIO_BF16_START(t)                                                                                              \
    __m512 c##t = _mm512_setzero_ps(), d##t = _mm512_setzero_ps();                                                     \
    if (t < n && !first) c##t = sums[t], d##t = sums[n + t];
#define PIO_BF16_END(t)                                                                                                \
    if (t < n) sums[t] = c##t, sums[n + t] = d##t;

static PIO_ALWAYS_INLINE void pio_bf16_prefetch(pio_bf16_block *block, int32_t at) {
    _mm_prefetch((const char *)block->next[0] + at, _MM_HINT_T1);
    _mm_prefetch((const char *)block->next[1] + at, _MM_HINT_T1);
}

/* The functions multiply_1 .. multiply_12 from multiply(block, x, n, first, sums), and their table. */
#define PIO_BF16_MULTIPLY_N(n)                                                                                         \
    static void multiply_##n(pio_bf16_block *block, const uint32_t *x, bool first, __m512 *sums) {                     \
        multiply(block, x, n, first, sums);                                                                            \
    }
#define PIO_BF16_MULTIPLY_TABLE(name)                                                                                  \
    PIO_BF16_MULTIPLY_N(1)                                                                                             \
    PIO_BF16_MULTIPLY_N(2)                                                                                             \
    PIO_BF16_MULTIPLY_N(3)                                                                                             \
    PIO_BF16_MULTIPLY_N(4)                                                                                             \
    PIO_BF16_MULTIPLY_N(5)                                                                                             \
    PIO_BF16_MULTIPLY_N(6)                                                                                             \
    PIO_BF16_MULTIPLY_N(7)                                                                                             \
    PIO_BF16_MULTIPLY_N(8)                                                                                             \
    PIO_BF16_MULTIPLY_N(9)                                                                                             \
    PIO_BF16_MULTIPLY_N(10)                                                                                            \
    PIO_BF16_MULTIPLY_N(11)                                                                                            \
    PIO_BF16_MULTIPLY_N(12)                                                                                            \
    static const pio_bf16_multiply name[] = {NULL,        multiply_1,  multiply_2, multiply_3, multiply_4,             \
                                             multiply_5,  multiply_6,  multiply_7, multiply_8, multiply_9,             \
                                             multiply_10, multiply_11, multiply_12};

#endif
