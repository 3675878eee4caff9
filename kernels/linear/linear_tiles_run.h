/* The loops around the tiled kernels with float32 sums: panels of 16 rows of w times tiles of tokens.
 *
 * A twin is two panels that are multiplied together: 32 rows of w, for SwiGLU 16 gate rows and their 16 up rows. A unit
 * of work is several twins, which are multiplied with a tile of tokens one after the other, so that the tile is read
 * once for them all from the third-level cache, which others use too. The columns of a unit are cut into blocks, so
 * that a block of its panels and the next one to come lie in the second-level cache while all tokens pass; the sums
 * between blocks wait in the worker's scratch. Weights that are stored in panels are multiplied where they are, and
 * while a block is multiplied the next one is prefetched; others are laid out as panels in the worker's scratch.
 *
 * A file of kernels for one instruction set includes this after its own headers. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_TILES_RUN_H
#define PIO_KERNELS_LINEAR_LINEAR_TILES_RUN_H

#include "kernels/linear/linear_store.h"
#include "kernels/linear/linear_tiles.h"

enum {
    PIO_TWIN_ROWS = 2 * PIO_PANEL_ROWS,
    PIO_UNIT_TWINS = 4,
    PIO_UNIT_BLOCK_BYTES = 320 << 10, /* of its panels: two such blocks fit 1 MiB of cache */
    PIO_UNIT_GROUP_TOKENS = 768,      /* that pass together, so that their sums fit PIO_UNIT_SUMS_BYTES */
    PIO_UNIT_SUMS_BYTES = PIO_UNIT_GROUP_TOKENS * PIO_UNIT_TWINS * PIO_TWIN_ROWS * 4,
    PIO_UNIT_MANY_TOKENS = 96, /* from which on units have several twins */
};
_Static_assert(PIO_UNIT_SUMS_BYTES + PIO_UNIT_BLOCK_BYTES + (64 << 10) <= PIO_WORKER_SCRATCH_BYTES,
               "sums and panels, whose blocks are rounded up to whole columns, must fit a worker's scratch");

/* A block of a twin. */
typedef struct pio_twin_block {
    const uint8_t *w[2]; /* the panels: [n_pairs] of columns */
    int32_t n_pairs;
    const uint8_t *next[2]; /* what comes after it: prefetched, next_step bytes every pair of every tile */
    int32_t next_step;
} pio_twin_block;

/* sums [2][n][16] (+)= the products of a block with a tile of n tokens, whose words of the block begin at x; the old
 * sums count unless `first`. */
typedef void (*pio_twin_multiply)(pio_twin_block *block, const uint32_t *x, bool first, float *sums);

/* What a family of kernels brings along. */
typedef struct pio_tiles_kind {
    const pio_twin_multiply *multiply; /* [tokens of a tile] */
    int32_t tile_tokens;               /* at most */
    int32_t pair_bytes;                /* of a panel's pair of columns */
    bool bf16;                         /* x: in BF16, or in float32 */
    /* Lays columns [k, k_end) of 16 rows of w, from `row` on, out as a panel; NULL: w is stored in panels. Rows that do
     * not exist become any numbers, columns that do not exist zeros. */
    void (*load)(const pio_linear_args *a, int32_t row, int32_t k, int32_t k_end, void *panel);
} pio_tiles_kind;

/* One call's constants. */
typedef struct pio_tiles_plan {
    const pio_linear_args *a;
    const pio_tiles_kind *kind;
    pio_tiles x;
    int32_t n_panels, n_twins, unit_twins, n_units, n_pairs, n_blocks;
    bool swiglu;
    float *sums;
    uint8_t *panels;
} pio_tiles_plan;

static inline int32_t pio_block_begin(const pio_tiles_plan *p, int32_t block) {
    return (int32_t)((int64_t)block * p->n_pairs / p->n_blocks);
}

/* Where panel i of a twin is stored from a block on. The last twin's missing panel is its other one once more. */
static inline const uint8_t *pio_twin_stored(const pio_tiles_plan *p, int32_t twin, int i, int32_t block) {
    const uint64_t panel_bytes = (uint64_t)p->n_pairs * (uint64_t)p->kind->pair_bytes;
    return PIO_AT(const uint8_t, p->a->w) + (uint64_t)PIO_MIN(2 * twin + i, p->n_panels - 1) * panel_bytes +
           (uint64_t)pio_block_begin(p, block) * (uint64_t)p->kind->pair_bytes;
}

/* Block b of twin j of a unit; after the last block the worker turns to the same twin of next_unit. */
static inline pio_twin_block pio_twin_block_of(const pio_tiles_plan *p, int32_t unit, int32_t next_unit, int32_t j,
                                               int32_t b) {
    const int32_t twin = unit * p->unit_twins + j, begin = pio_block_begin(p, b), end = pio_block_begin(p, b + 1);
    const bool last = b + 1 == p->n_blocks;
    pio_twin_block block = {.n_pairs = end - begin};
    for (int i = 0; i < 2; i++) {
        if (p->kind->load) {
            uint8_t *panel = p->panels + (int64_t)(2 * j + i) * block.n_pairs * p->kind->pair_bytes;
            p->kind->load(p->a, (2 * twin + i) * PIO_PANEL_ROWS, 2 * begin, 2 * end, panel);
            block.w[i] = block.next[i] = panel;
        } else {
            block.w[i] = pio_twin_stored(p, twin, i, b);
            block.next[i] =
                last ? pio_twin_stored(p, next_unit * p->unit_twins + j, i, 0) : pio_twin_stored(p, twin, i, b + 1);
        }
    }
    return block;
}

/* Multiplies tiles [first, end) of a unit; `next_unit` is what the worker does after it. */
static inline void pio_unit_run(const pio_tiles_plan *p, int32_t unit, int32_t next_unit, int32_t first, int32_t end) {
    const int32_t n_twins = PIO_MIN(p->unit_twins, p->n_twins - unit * p->unit_twins);
    const int32_t t_first = pio_tile_begin(&p->x, first), words_per_pair = p->kind->bf16 ? 1 : 2;
    for (int32_t b = 0; b < p->n_blocks; b++) {
        const bool last = b + 1 == p->n_blocks;
        pio_twin_block blocks[PIO_UNIT_TWINS];
        for (int32_t j = 0; j < n_twins; j++) {
            blocks[j] = pio_twin_block_of(p, unit, next_unit, j, b);
            blocks[j].next_step = p->kind->load ? 0 : PIO_CEIL_DIV(p->kind->pair_bytes, end - first);
        }
        for (int32_t i = first; i < end; i++) {
            const int32_t t0 = pio_tile_begin(&p->x, i), n = pio_tile_begin(&p->x, i + 1) - t0;
            const uint32_t *x = pio_tile_words(&p->x, t0) + (int64_t)pio_block_begin(p, b) * words_per_pair * n;
            float *sums = p->sums + (p->n_blocks > 1 ? PIO_TWIN_ROWS * n_twins * (t0 - t_first) : 0);
            for (int32_t j = 0; j < n_twins; j++, sums += PIO_TWIN_ROWS * n) {
                p->kind->multiply[n](&blocks[j], x, b == 0, sums);
                for (int32_t t = 0; last && t < n; t++)
                    pio_twin_store(p->a, t0 + t, (unit * p->unit_twins + j) * PIO_TWIN_ROWS, p->swiglu,
                                   sums + PIO_PANEL_ROWS * t, sums + PIO_PANEL_ROWS * (n + t));
            }
        }
    }
}

/* Few tokens have units of one twin: their tiles stay in the caches of the core, and short units end together. */
static inline int32_t pio_unit_twins_of(const pio_tiles_plan *p, int n_workers) {
    int32_t twins = p->x.live >= PIO_UNIT_MANY_TOKENS ? PIO_UNIT_TWINS : 1;
    while (twins > 1 && p->n_twins < 8 * twins * n_workers) twins /= 2;
    return twins;
}

static inline void pio_tiles_run(const pio_linear_args *a, pio_worker *worker, bool swiglu,
                                 const pio_tiles_kind *kind) {
    pio_tiles_plan p = {
        .a = a,
        .kind = kind,
        .x = pio_tiles_of(a, kind->tile_tokens, kind->bf16),
        .swiglu = swiglu,
        .sums = worker->scratch,
        .panels = (uint8_t *)worker->scratch + PIO_UNIT_SUMS_BYTES,
    };
    if (!p.x.live) return;
    if (a->phase == PIO_LINEAR_PACK) {
        pio_tiles_pack(a, worker, &p.x, kind->bf16);
        return;
    }
    p.n_panels = PIO_CEIL_DIV(a->n_out, PIO_PANEL_ROWS);
    p.n_twins = PIO_CEIL_DIV(p.n_panels, 2);
    p.unit_twins = pio_unit_twins_of(&p, worker->n_workers);
    p.n_units = PIO_CEIL_DIV(p.n_twins, p.unit_twins);
    p.n_pairs = PIO_CEIL_DIV(a->cols, 2);
    p.n_blocks = PIO_CEIL_DIV(p.n_pairs, PIO_UNIT_BLOCK_BYTES / (2 * p.unit_twins * kind->pair_bytes));
    const int32_t group = PIO_UNIT_GROUP_TOKENS / kind->tile_tokens, n_parts = pio_tiles_parts(p.x.n);
    pio_tiles_share now, next;
    bool more = pio_tiles_share_of(p.x.n, n_parts, pio_worker_take(worker), p.n_units, worker->n_workers, &now);
    for (; more; now = next) {
        more = pio_tiles_share_of(p.x.n, n_parts, pio_worker_take(worker), p.n_units, worker->n_workers, &next);
        for (int32_t first = now.first_tile; first < now.end_tile; first += group)
            pio_unit_run(&p, now.unit, more ? next.unit : now.unit, first, PIO_MIN(now.end_tile, first + group));
    }
}

static PIO_ALWAYS_INLINE void pio_twin_prefetch(const pio_twin_block *block, int32_t at) {
    PIO_PREFETCH_L2(block->next[0] + at);
    PIO_PREFETCH_L2(block->next[1] + at);
}

#endif
