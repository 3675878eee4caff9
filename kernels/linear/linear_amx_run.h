/* The loops around the AMX kernels: pairs of panels of 16 rows of w times pairs of tiles of up to 16 tokens, which are
 * the four tiles of sums that eight tile registers allow.
 *
 * Weights are right factors as they are stored: 64 bytes of a panel are one of its rows. Tokens are laid out by PACK:
 * group after group (two tiles; one where all tokens fit it), block after block of 256 columns, tile after tile, its
 * [steps][n tokens][64 bytes]. Tiles of a call differ by one token at most and have the rows of the largest; a smaller
 * one takes in 64 bytes of what follows it, whose sums nobody stores. The last tile is a largest one, so nothing is
 * read past the end.
 *
 * A unit of work is several pairs of panels, of which a worker takes a chunk of the columns at a time: what is unpacked
 * of it stays in the second-level cache while the groups pass. Of a group's block, the tokens stay in the first level
 * for all pairs of the unit. A first group's calls unpack the next block, and every call fetches its part of the next
 * chunk's weights and of the next block's tokens.
 *
 * An AMX file of kernels includes this after its own headers. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_AMX_RUN_H
#define PIO_KERNELS_LINEAR_LINEAR_AMX_RUN_H

#include "kernels/dialect/amx.h"
#include "kernels/dtype/layouts.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/linear_finish_avx512.h"
#include "kernels/linear/linear_tiles.h"

enum {
    PIO_AMX_UNIT_PAIRS = 4,                              /* at most */
    PIO_AMX_RUN_GROUPS = 16,                             /* groups that pass together */
    PIO_AMX_PAIR_SUMS = 4 * PIO_AMX_ROWS * PIO_AMX_ROWS, /* of a pair and a group: [tile][panel][token][row] */
    PIO_AMX_SUMS = PIO_AMX_RUN_GROUPS * PIO_AMX_UNIT_PAIRS * PIO_AMX_PAIR_SUMS,
    PIO_AMX_CHUNK_BYTES = 384 << 10, /* of a unit's panels */
    PIO_AMX_PART_GROUPS = 4,         /* the least that a unit is cut into */
    PIO_AMX_PACK_BLOCKS = 4,         /* of a tile, which a worker lays out */
    PIO_AMX_FEW_TOKENS = 4, /* are left to the AVX-512 kernels: a block takes these as long for 4 as those for 16 */
};
_Static_assert(PIO_AMX_SUMS * 4 + PIO_AMX_CHUNK_BYTES + 2 * PIO_AMX_PAIR_SUMS * 4 <= PIO_WORKER_SCRATCH_BYTES,
               "sums, unpacked panels and two products must fit a worker's scratch");

/* The tokens of a call as PACK lays them out. */
typedef struct pio_amx_tokens {
    uint8_t *codes;  /* the call's scratch; then, of S8: */
    float *scales;   /* [blocks][live] */
    int32_t *starts; /* [blocks][live]: -128 times the sum of a block's codes */
    int32_t live, n_tiles, n_groups;
    int32_t n_steps, block_steps, n_blocks; /* steps are 64 bytes of a token's columns */
} pio_amx_tokens;

static inline pio_amx_tokens pio_amx_tokens_of(const pio_linear_args *a, int32_t step_columns, bool s8) {
    pio_amx_tokens x = {.codes = PIO_AT(uint8_t, a->scratch), .live = pio_linear_live(a)};
    x.n_groups = PIO_CEIL_DIV(x.live, 2 * PIO_AMX_ROWS);
    x.n_tiles = x.live <= PIO_AMX_ROWS ? 1 : 2 * x.n_groups;
    x.n_steps = PIO_CEIL_DIV(a->cols, step_columns);
    x.block_steps = PIO_SCALE_COLUMNS / step_columns;
    x.n_blocks = PIO_CEIL_DIV(a->cols, PIO_SCALE_COLUMNS);
    if (s8) {
        x.scales = (float *)(void *)(x.codes + (int64_t)a->rows * x.n_blocks * PIO_SCALE_COLUMNS);
        x.starts = (int32_t *)(void *)(x.scales + (int64_t)a->rows * x.n_blocks);
    }
    return x;
}

/* The first token of a tile, and of the one past the last. */
static inline int32_t pio_amx_tile_begin(const pio_amx_tokens *x, int32_t tile) {
    return (int32_t)((int64_t)PIO_MIN(tile, x->n_tiles) * x->live / x->n_tiles);
}

static inline int32_t pio_amx_tile_rows(const pio_amx_tokens *x) {
    return PIO_CEIL_DIV(x->live, x->n_tiles);
}

static inline int32_t pio_amx_block_steps(const pio_amx_tokens *x, int32_t block) {
    return PIO_MIN(x->block_steps, x->n_steps - block * x->block_steps);
}

/* Two tiles: the first token of each and the one past the last (equal where there is no second tile), and their codes.
 */
typedef struct pio_amx_group {
    int32_t t[3];
    uint8_t *codes;
} pio_amx_group;

static inline pio_amx_group pio_amx_group_of(const pio_amx_tokens *x, int32_t index) {
    pio_amx_group group;
    for (int32_t i = 0; i < 3; i++) group.t[i] = pio_amx_tile_begin(x, 2 * index + i);
    group.codes = x->codes + (int64_t)group.t[0] * x->n_steps * PIO_AMX_ROW_BYTES;
    return group;
}

/* Where a block of a group begins: its first tile, behind which the other one lies. */
static inline uint8_t *pio_amx_block_codes(const pio_amx_tokens *x, const pio_amx_group *group, int32_t block) {
    return group->codes + (int64_t)(group->t[2] - group->t[0]) * block * x->block_steps * PIO_AMX_ROW_BYTES;
}

/* ---- PACK ---- */

static inline void pio_amx_pack_block(const pio_linear_args *a, const pio_amx_tokens *x, int32_t tile, int32_t block) {
    const pio_amx_group group = pio_amx_group_of(x, tile / 2);
    const int32_t begin = group.t[tile % 2], n = group.t[tile % 2 + 1] - begin;
    const int32_t n_steps = pio_amx_block_steps(x, block);
    uint8_t *out = pio_amx_block_codes(x, &group, block) + (int64_t)(begin - group.t[0]) * n_steps * PIO_AMX_ROW_BYTES;
    for (int32_t t = 0; t < n; t++) {
        const uint8_t *row = PIO_AT(const uint8_t, pio_linear_packed_x(a, begin + t));
        const uint8_t *codes = row + (int64_t)block * x->block_steps * PIO_AMX_ROW_BYTES;
        for (int32_t s = 0; s < n_steps; s++)
            _mm512_store_si512(out + ((int64_t)s * n + t) * PIO_AMX_ROW_BYTES,
                               _mm512_loadu_si512(codes + (int64_t)s * PIO_AMX_ROW_BYTES));
        if (!x->scales) continue;
        const int64_t at = (int64_t)block * x->live + begin + t;
        x->scales[at] = ((const float *)(const void *)(row + pio_s8_scales_at(a->cols)))[block];
        x->starts[at] = -128 * ((const int32_t *)(const void *)(row + pio_s8_sums_at(a->cols)))[block];
    }
}

static inline void pio_amx_pack(const pio_linear_args *a, pio_worker *worker, const pio_amx_tokens *x) {
    const int32_t n = PIO_CEIL_DIV(x->n_blocks, PIO_AMX_PACK_BLOCKS);
    for (int32_t taken; (taken = pio_worker_take(worker)) < x->n_tiles * n;) {
        const int32_t first = taken % n * PIO_AMX_PACK_BLOCKS;
        for (int32_t b = first; b < PIO_MIN(x->n_blocks, first + PIO_AMX_PACK_BLOCKS); b++)
            pio_amx_pack_block(a, x, taken / n, b);
    }
}

/* ---- MULTIPLY ---- */

typedef struct pio_amx_plan pio_amx_plan;

/* A block of a pair of panels times a block of a group's tokens. */
typedef struct pio_amx_call {
    const uint8_t *x[2];      /* tiles */
    int32_t x_bytes[2];       /* from step to step */
    const uint8_t *w[2];      /* [steps][16][64] */
    const uint8_t *panels[2]; /* as stored */
    int32_t block, n_steps, t0[2];
    float *sums; /* [PIO_AMX_PAIR_SUMS] */
} pio_amx_call;

/* What a file of kernels brings along. */
typedef struct pio_amx_kind {
    int32_t step_columns;
    int32_t stored_bytes; /* of a panel's block */
    bool s8;
    bool unpacked; /* every block of w is; else only a last one that ends within a step, to be filled up with zeros */
    void (*unpack)(const pio_amx_plan *p, const uint8_t *panel, int32_t block, uint8_t *out);
    void (*multiply)(pio_amx_plan *p, const pio_amx_call *call); /* sums += products, then or with the next call */
    void (*finish)(pio_amx_plan *p);                             /* what the last call left open; NULL: nothing */
} pio_amx_kind;

/* What a call leaves for the next one to do while tiles are multiplied: integer products that wait for their scales. */
typedef struct pio_amx_open {
    const int32_t *products; /* [tile][panel][token][row] */
    float *sums;
    const uint8_t *panels[2];
    const float *x_scales[2];
    const int32_t *starts[2];
    int32_t block, n_rows; /* 0 rows: nothing is open */
} pio_amx_open;

struct pio_amx_plan {
    const pio_linear_args *a;
    const pio_amx_kind *kind;
    pio_amx_tokens x;
    uint64_t panel_bytes, codes_at;
    int32_t n_panels, n_pairs, unit_pairs, n_units, n_parts, n_chunks;
    bool swiglu, short_last; /* the last block of w ends within a step */
    float *sums;             /* [groups of a run][pairs of a unit][PIO_AMX_PAIR_SUMS] */
    uint8_t *slots;          /* [blocks of a chunk][panels of a unit][a block of a panel] */
    int32_t *products;       /* [2][PIO_AMX_PAIR_SUMS], in turns */
    pio_amx_open open;
};

/* A unit's chunk of columns, and what is fetched meanwhile. */
typedef struct pio_amx_chunk {
    int32_t first_pair, n_pairs, begin, end; /* blocks [begin, end) */
    int32_t first_group, end_group;
    const uint8_t *next[2 * PIO_AMX_UNIT_PAIRS], *next_end[2 * PIO_AMX_UNIT_PAIRS];
    int64_t next_bytes; /* of a panel, with every call */
} pio_amx_chunk;

/* Panel i of a unit; the one that a last pair may lack is its other one once more. */
static inline const uint8_t *pio_amx_panel(const pio_amx_plan *p, int32_t first_pair, int32_t i) {
    return PIO_AT(const uint8_t, p->a->w) + (uint64_t)PIO_MIN(2 * first_pair + i, p->n_panels - 1) * p->panel_bytes;
}

static inline int32_t pio_amx_chunk_begin(const pio_amx_plan *p, int32_t chunk) {
    return (int32_t)((int64_t)chunk * p->x.n_blocks / p->n_chunks);
}

static inline bool pio_amx_is_unpacked(const pio_amx_plan *p, int32_t block) {
    return p->kind->unpacked || (p->short_last && block + 1 == p->x.n_blocks);
}

static inline uint8_t *pio_amx_slot(const pio_amx_plan *p, const pio_amx_chunk *c, int32_t block, int32_t i) {
    return p->slots +
           ((int64_t)(block - c->begin) * 2 * p->unit_pairs + i) * p->x.block_steps * (int64_t)PIO_AMX_TILE_BYTES;
}

static inline void pio_amx_unpack(const pio_amx_plan *p, const pio_amx_chunk *c, int32_t block, int32_t pair) {
    if (block >= c->end || !pio_amx_is_unpacked(p, block)) return;
    for (int32_t i = 2 * pair; i < 2 * pair + 2; i++)
        p->kind->unpack(p, pio_amx_panel(p, c->first_pair, i), block, pio_amx_slot(p, c, block, i));
}

/* After the last chunk comes the first one of next_unit, with its panels' heads. */
static inline pio_amx_chunk pio_amx_chunk_of(const pio_amx_plan *p, int32_t unit, int32_t next_unit, int32_t chunk,
                                             int32_t first_group, int32_t end_group) {
    pio_amx_chunk c = {.first_pair = unit * p->unit_pairs,
                       .begin = pio_amx_chunk_begin(p, chunk),
                       .end = pio_amx_chunk_begin(p, chunk + 1),
                       .first_group = first_group,
                       .end_group = end_group};
    c.n_pairs = PIO_MIN(p->unit_pairs, p->n_pairs - c.first_pair);
    const bool last = chunk + 1 == p->n_chunks;
    const int32_t next_chunk = last ? 0 : chunk + 1, next_pair = last ? next_unit * p->unit_pairs : c.first_pair;
    for (int32_t i = 0; i < 2 * c.n_pairs; i++) {
        const uint8_t *panel = pio_amx_panel(p, next_pair, i), *codes = panel + p->codes_at;
        c.next[i] = last ? panel : codes + (int64_t)pio_amx_chunk_begin(p, next_chunk) * p->kind->stored_bytes;
        c.next_end[i] = codes + (int64_t)pio_amx_chunk_begin(p, next_chunk + 1) * p->kind->stored_bytes;
    }
    const int64_t n_calls = (int64_t)(c.end - c.begin) * (end_group - first_group);
    c.next_bytes = PIO_ROUND_UP(PIO_CEIL_DIV((int64_t)(c.next_end[0] - c.next[0]), n_calls), 64);
    return c;
}

/* Weights come from memory to the second level; the tokens of the next block (NULL: none) to the first, of which every
 * pair fetches a share. */
static inline void pio_amx_fetch(pio_amx_chunk *c, int32_t pair, const uint8_t *x, int32_t n_lines) {
    for (int32_t i = 2 * pair; i < 2 * pair + 2; i++) {
        const uint8_t *end = PIO_MIN(c->next_end[i], c->next[i] + c->next_bytes);
        for (; c->next[i] < end; c->next[i] += 64) PIO_PREFETCH_L2(c->next[i]);
    }
    for (int32_t i = pair * n_lines / c->n_pairs; x && i < (pair + 1) * n_lines / c->n_pairs; i++)
        PIO_PREFETCH(x + (int64_t)i * PIO_AMX_ROW_BYTES);
}

static inline pio_amx_call pio_amx_call_of(const pio_amx_plan *p, const pio_amx_chunk *c, const pio_amx_group *group,
                                           int32_t block, int32_t pair, float *sums) {
    pio_amx_call call = {.block = block, .n_steps = pio_amx_block_steps(&p->x, block), .sums = sums};
    const uint8_t *x = pio_amx_block_codes(&p->x, group, block);
    for (int32_t i = 0; i < 2; i++) {
        call.t0[i] = group->t[i];
        call.x_bytes[i] = (group->t[i + 1] - group->t[i]) * PIO_AMX_ROW_BYTES;
        call.x[i] = x;
        x += (int64_t)call.x_bytes[i] * call.n_steps;
        call.panels[i] = pio_amx_panel(p, c->first_pair, 2 * pair + i);
        call.w[i] = pio_amx_is_unpacked(p, block)
                        ? pio_amx_slot(p, c, block, 2 * pair + i)
                        : call.panels[i] + p->codes_at + (int64_t)block * p->kind->stored_bytes;
    }
    return call;
}

static inline void pio_amx_store_group(const pio_amx_plan *p, const pio_amx_chunk *c, const pio_amx_group *group,
                                       const float *sums) {
    enum { PANEL_SUMS = PIO_AMX_ROWS * PIO_AMX_ROWS };
    for (int32_t i = 0; i < 2; i++)
        for (int32_t t = group->t[i]; t < group->t[i + 1]; t++)
            for (int32_t pair = 0; pair < c->n_pairs; pair++) {
                const float *of_pair =
                    sums + pair * PIO_AMX_PAIR_SUMS + 2 * i * PANEL_SUMS + (t - group->t[i]) * PIO_AMX_ROWS;
                pio_linear_store_pair(p->a, t, (c->first_pair + pair) * 2 * PIO_X16_ROWS, p->swiglu,
                                      _mm512_load_ps(of_pair), _mm512_load_ps(of_pair + PANEL_SUMS));
            }
}

static inline void pio_amx_run_group(pio_amx_plan *p, pio_amx_chunk *c, int32_t index) {
    const bool more = index + 1 < c->end_group;
    const pio_amx_group group = pio_amx_group_of(&p->x, index);
    const pio_amx_group next = more ? pio_amx_group_of(&p->x, index + 1) : group;
    const int32_t n = group.t[2] - group.t[0];
    float *sums = p->sums + (int64_t)(index - c->first_group) * p->unit_pairs * PIO_AMX_PAIR_SUMS;
    if (!c->begin) memset(sums, 0, sizeof *sums * (size_t)c->n_pairs * PIO_AMX_PAIR_SUMS);
    for (int32_t b = c->begin; b < c->end; b++) {
        const uint8_t *next_x = b + 1 < c->end ? pio_amx_block_codes(&p->x, &group, b + 1)
                                : more         ? pio_amx_block_codes(&p->x, &next, c->begin)
                                               : NULL;
        for (int32_t pair = 0; pair < c->n_pairs; pair++) {
            if (index == c->first_group) pio_amx_unpack(p, c, b + 1, pair);
            pio_amx_fetch(c, pair, next_x, n * p->x.block_steps);
            if (b + 1 == p->x.n_blocks) pio_linear_fetch_pair(p->a, c->first_pair + pair, group.t[0], n, p->swiglu);
            const pio_amx_call call = pio_amx_call_of(p, c, &group, b, pair, sums + pair * PIO_AMX_PAIR_SUMS);
            p->kind->multiply(p, &call);
        }
    }
    if (p->kind->finish) p->kind->finish(p);
    if (c->end == p->x.n_blocks) pio_amx_store_group(p, c, &group, sums);
}

/* Groups [first, end) of a unit. */
static inline void pio_amx_run_unit(pio_amx_plan *p, int32_t unit, int32_t next_unit, int32_t first, int32_t end) {
    for (int32_t chunk = 0; chunk < p->n_chunks; chunk++) {
        pio_amx_chunk c = pio_amx_chunk_of(p, unit, next_unit, chunk, first, end);
        for (int32_t pair = 0; pair < c.n_pairs; pair++) pio_amx_unpack(p, &c, c.begin, pair);
        for (int32_t group = first; group < end; group++) pio_amx_run_group(p, &c, group);
    }
}

/* Wide units read the tokens less often; narrow ones let workers that share a dispatch finish together. */
static inline void pio_amx_cut_work(pio_amx_plan *p, int n_workers) {
    p->n_parts = PIO_MAX(1, PIO_MIN(PIO_TILES_PARTS, p->x.n_groups / PIO_AMX_PART_GROUPS));
    p->unit_pairs = PIO_AMX_UNIT_PAIRS;
    while (p->unit_pairs > 1 && n_workers > 1 && PIO_CEIL_DIV(p->n_pairs, p->unit_pairs) * p->n_parts < 4 * n_workers)
        p->unit_pairs /= 2;
    p->n_units = PIO_CEIL_DIV(p->n_pairs, p->unit_pairs);
    const int32_t block_bytes = 2 * p->unit_pairs * p->x.block_steps * PIO_AMX_TILE_BYTES;
    p->n_chunks = PIO_CEIL_DIV(p->x.n_blocks, PIO_AMX_CHUNK_BYTES / block_bytes);
}

/* p: a, kind, x, panel_bytes, codes_at, swiglu and short_last are set. */
static inline void pio_amx_multiply(pio_amx_plan *p, pio_worker *worker) {
    p->sums = worker->scratch;
    p->slots = (uint8_t *)(p->sums + PIO_AMX_SUMS);
    p->products = (int32_t *)(void *)(p->slots + PIO_AMX_CHUNK_BYTES);
    p->n_panels = PIO_CEIL_DIV(p->a->n_out, PIO_X16_ROWS);
    p->n_pairs = PIO_CEIL_DIV(p->n_panels, 2);
    pio_amx_cut_work(p, worker->n_workers);
    pio_tiles_share now, next;
    bool more =
        pio_tiles_share_of(p->x.n_groups, p->n_parts, pio_worker_take(worker), p->n_units, worker->n_workers, &now);
    if (!more) return;
    pio_amx_configure_products(pio_amx_tile_rows(&p->x));
    for (; more; now = next) {
        more = pio_tiles_share_of(p->x.n_groups, p->n_parts, pio_worker_take(worker), p->n_units, worker->n_workers,
                                  &next);
        for (int32_t first = now.first_tile; first < now.end_tile; first += PIO_AMX_RUN_GROUPS)
            pio_amx_run_unit(p, now.unit, more ? next.unit : now.unit, first,
                             PIO_MIN(now.end_tile, first + PIO_AMX_RUN_GROUPS));
    }
    pio_amx_release();
}

#endif
