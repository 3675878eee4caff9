/* The work of an attention step and the order it is done in, shared by the CPU's rows.
 *
 * The query heads of a KV head and the rows of a sequence are one list of virtual rows, v = r * group + head in the
 * group, cut into tiles of ATT_TILE_ROWS, so that every tile of K and V serves the whole group and any group size fills
 * a tile. An item is (sequence, tile, KV head), the longest of a sequence first. An item that is a large part of the
 * step's work is cut over its keys into parts, which leave (unnormalised sums, largest score, sum of weights) in
 * call->scratch for the second dispatch to combine. Every worker walks the same list of items and does those whose
 * numbers it took.
 *
 * In a tile, keys come in blocks: scores for a panel of a few virtual rows, softmax with a running maximum, then
 * weights times V. A row's file defines those three for its instructions and then includes attention_tile.h. */
#ifndef PIO_KERNELS_ATTENTION_ATTENTION_FLOW_H
#define PIO_KERNELS_ATTENTION_ATTENTION_FLOW_H

#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "kernels/attention/attention.h"

enum {
    ATT_TILE_ROWS = 96, /* virtual rows; a multiple of every row's panel */
    ATT_KEYS = 64,      /* keys of a block, all of one page */
    ATT_BLOCKS = 2,     /* blocks whose weights are found before their values are added, in one pass over the sums */
    ATT_HEAD_DIM_MAX = 256,
    ATT_COMBINED_ROWS = 4,  /* virtual rows whose parts a worker combines at a time */
    ATT_MOST_PARTS = 16,    /* that an item is tried in */
    ATT_KEYS_OF_START = 32, /* what a part's start and its share of the combining cost, in keys */
    ATT_COST_OF_KEY = 12,   /* what reading a key costs, in virtual rows' arithmetic on it */
    ATT_LEAST_COST =
        256 * (4 + ATT_COST_OF_KEY), /* of a part: 256 keys for a group of 4, for a part's start costs too */
};

/* Before any key has been seen: below every score, but no infinity, so that differences are numbers. */
#define ATT_LOWEST (-3e38f)

/* Virtual rows that a partial result of a step of so many rows has at most. */
static inline int32_t att_part_rows(int32_t rows, int32_t group) {
    return (int32_t)PIO_MIN((int64_t)ATT_TILE_ROWS, (int64_t)rows * group);
}

/* {sums [rows, head_dim], largest [rows], total [rows]}, float32. */
static inline size_t att_part_bytes(int32_t rows, int32_t head_dim) {
    return PIO_ROUND_UP((size_t)rows * ((size_t)head_dim + 2) * sizeof(float), 64);
}

/* The running state of each virtual row's softmax; scores are logarithms to base 2. */
typedef struct att_ends {
    float *largest; /* what scores are taken relative to: the largest so far, or a little less */
    float *total;   /* [row, lane] sum of 2^(score - largest), in as many lanes as the instruction set adds at once */
    float *shrink;  /* what the last keys multiplied the sums before them by */
} att_ends;

typedef struct att_block {
    int32_t first_key, n_keys; /* n_keys is even, but for the last block of an item */
    const void *k, *v;         /* of the first key */
    int32_t stride;            /* elements from key to key, where keys lie in rows */
} att_block;

typedef struct att_item {
    const pio_step_sequence *sequence;
    int32_t head;          /* KV head */
    int32_t first, n_rows; /* virtual rows */
    int32_t n_keys;        /* that its last row sees */
    int32_t n_parts, part_keys;
    int32_t first_part; /* index of its first partial result, where n_parts > 1 */
} att_item;

/* Walks the items in order. */
typedef struct att_walk {
    const pio_attention_args *a;
    int32_t group, s, tile, n_sequences, n_part_results;
    uint64_t part_cost; /* an item that costs more is cut */
    int32_t part_keys;  /* of every part but an item's last, where all items have as many keys; 0: by their cost */
    att_item item;
} att_walk;

static inline int32_t att_n_tiles(const att_walk *walk, const pio_step_sequence *sequence) {
    return (int32_t)PIO_CEIL_DIV((int64_t)sequence->n_rows * walk->group, (int64_t)ATT_TILE_ROWS);
}

/* The last row of the step's own that row r of the sequence sees. */
static inline int32_t att_last_seen(const pio_attention_args *a, const pio_step_sequence *sequence, int32_t r) {
    return a->flags & PIO_ATTENTION_FULL ? sequence->n_rows - 1 : r;
}

/* Fills the item's rows and keys from walk->s and walk->tile. */
static inline void att_walk_tile(att_walk *walk) {
    const pio_step_sequence *sequence = PIO_AT(const pio_step_sequence, walk->a->sequences) + walk->s;
    att_item *item = &walk->item;
    item->sequence = sequence;
    item->first = walk->tile * ATT_TILE_ROWS;
    item->n_rows = PIO_MIN(ATT_TILE_ROWS, sequence->n_rows * walk->group - item->first);
    item->n_keys =
        sequence->context + att_last_seen(walk->a, sequence, (item->first + item->n_rows - 1) / walk->group) + 1;
    uint64_t cost = (uint64_t)item->n_keys * (uint64_t)(item->n_rows + ATT_COST_OF_KEY);
    int32_t n_parts = walk->part_cost ? (int32_t)PIO_CEIL_DIV(cost, walk->part_cost) : 1;
    item->part_keys = walk->part_keys;
    if (!walk->part_keys) item->part_keys = PIO_ROUND_UP(PIO_CEIL_DIV(item->n_keys, n_parts), walk->a->page_tokens);
    item->n_parts = PIO_CEIL_DIV(item->n_keys, item->part_keys);
}

/* Steps to the next item; false after the last. */
static inline bool att_walk_next(att_walk *walk) {
    att_item *item = &walk->item;
    if (item->n_parts > 1) walk->n_part_results += item->n_parts;
    if (item->sequence && item->head + 1 < walk->a->n_kv_heads) {
        item->head++;
    } else {
        if (item->sequence) walk->tile--;
        while (walk->tile < 0) {
            if (++walk->s >= walk->n_sequences) return false;
            walk->tile = att_n_tiles(walk, PIO_AT(const pio_step_sequence, walk->a->sequences) + walk->s) - 1;
        }
        item->head = 0;
        att_walk_tile(walk);
    }
    item->first_part = walk->n_part_results;
    return true;
}

/* Parts that a step of so many rows is cut into for each worker. Decoding is short and limited by memory, so the end of
 * the dispatch is kept even by many small parts; a step of many rows has items enough, and its partial results are
 * larger. */
static inline int32_t att_parts_of_worker(int32_t rows, int32_t group) {
    return PIO_MIN(PIO_MAX(256 / att_part_rows(rows, group), 4), 8);
}

/* How many keys go by until n items of n_keys are done by workers that take parts of part_keys in turn. */
static inline int32_t att_span(int32_t n, int32_t n_keys, int32_t part_keys, int32_t n_workers) {
    int32_t n_full = n * (n_keys / part_keys), rest = n_keys % part_keys, idle = n_full % n_workers;
    int32_t span = PIO_CEIL_DIV(n_full, n_workers) * (part_keys + ATT_KEYS_OF_START);
    idle = idle ? n_workers - idle : 0;
    return rest && n > idle ? span + rest + ATT_KEYS_OF_START : span;
}

/* The keys of a part with which a lone sequence's one tile ends soonest, all KV heads together; of those that do about
 * as well the fewest, for workers are not always even. */
static inline int32_t att_soonest(const pio_attention_args *a, int32_t group, int32_t n_keys) {
    const int32_t n_workers = a->n_parts / att_parts_of_worker(a->rows, group), most = a->n_parts / a->n_kv_heads;
    int32_t best = PIO_ROUND_UP(n_keys, a->page_tokens), least = best * a->n_kv_heads;
    for (int32_t parts = 1; parts <= PIO_MIN(most, ATT_MOST_PARTS); parts++) {
        int32_t keys = PIO_ROUND_UP(PIO_CEIL_DIV(n_keys, parts), a->page_tokens);
        int32_t span = att_span(a->n_kv_heads, n_keys, keys, n_workers);
        if (span > least + least / 32) continue;
        least = PIO_MIN(least, span);
        best = keys;
    }
    return best;
}

static inline att_walk att_walk_begin(const pio_attention_args *a) {
    att_walk walk = {.a = a,
                     .group = a->n_heads / a->n_kv_heads,
                     .s = -1,
                     .tile = -1,
                     .n_sequences = PIO_AT(const pio_step_counts, a->counts)->n_sequences};
    if (!a->scratch || a->n_parts <= 1) return walk;
    uint64_t total = 0; /* of one KV head */
    for (walk.s = 0; walk.s < walk.n_sequences; walk.s++) {
        int32_t n_tiles = att_n_tiles(&walk, PIO_AT(const pio_step_sequence, a->sequences) + walk.s);
        for (walk.tile = 0; walk.tile < n_tiles; walk.tile++) {
            att_walk_tile(&walk);
            total += (uint64_t)walk.item.n_keys * (uint64_t)(walk.item.n_rows + ATT_COST_OF_KEY);
        }
    }
    walk.part_cost = PIO_MAX(PIO_CEIL_DIV(total * (uint64_t)a->n_kv_heads, (uint64_t)a->n_parts), ATT_LEAST_COST);
    if (walk.n_sequences == 1 && att_n_tiles(&walk, PIO_AT(const pio_step_sequence, a->sequences)) == 1)
        walk.part_keys = att_soonest(a, walk.group, walk.item.n_keys);
    walk.s = walk.tile = -1;
    walk.item = (att_item){0};
    return walk;
}

static inline const float *att_q_row(const pio_attention_args *a, const att_item *item, int32_t group, int32_t v) {
    uint64_t row = (uint64_t)(item->sequence->first_row + v / group);
    return PIO_AT(const float, a->q + row * (uint64_t)a->q_stride) +
           (size_t)(item->head * group + v % group) * (size_t)a->head_dim;
}

static inline float *att_y_row(const pio_attention_args *a, const att_item *item, int32_t group, int32_t v) {
    uint64_t row = (uint64_t)(item->sequence->first_row + v / group);
    return PIO_AT(float, a->y + row * (uint64_t)a->y_stride) +
           (size_t)(item->head * group + v % group) * (size_t)a->head_dim;
}

/* Where partial result `part` lies. Its stride is that of the largest. */
static inline float *att_part(const pio_attention_args *a, int32_t group, int32_t part) {
    return PIO_AT(float, a->scratch + (uint64_t)part * att_part_bytes(att_part_rows(a->rows, group), a->head_dim));
}

/* 1 / the sum of weights; 0 where every score was minus infinity, so that no NaN spreads from it. */
static inline float att_inverse(float total) {
    return total > 0 ? 1.0f / total : 0;
}

/* Combines the parts of some rows of an item, from `first` on. Scores are logarithms to base 2. */
static inline void att_combine(const pio_attention_args *a, const att_item *item, int32_t group, int32_t first) {
    int32_t n = a->head_dim, rows = item->n_rows;
    for (int32_t v = first; v < PIO_MIN(first + ATT_COMBINED_ROWS, rows); v++) {
        float *y = att_y_row(a, item, group, item->first + v);
        float largest = ATT_LOWEST, total = 0;
        for (int32_t p = 0; p < item->n_parts; p++)
            largest = fmaxf(largest, att_part(a, group, item->first_part + p)[(size_t)rows * (size_t)n + (size_t)v]);
        for (int32_t i = 0; i < n; i++) y[i] = 0;
        for (int32_t p = 0; p < item->n_parts; p++) {
            const float *part = att_part(a, group, item->first_part + p), *ends = part + (size_t)rows * (size_t)n;
            float weight = exp2f(ends[v] - largest);
            total += weight * ends[rows + v];
            for (int32_t i = 0; i < n; i++) y[i] += weight * part[(size_t)v * (size_t)n + (size_t)i];
        }
        for (int32_t i = 0; i < n; i++) y[i] *= att_inverse(total);
    }
}

static inline void att_combine_all(const pio_attention_args *a, pio_worker *worker) {
    att_walk walk = att_walk_begin(a);
    int32_t wanted = pio_worker_take(worker), index = 0;
    while (att_walk_next(&walk)) {
        for (int32_t first = 0; walk.item.n_parts > 1 && first < walk.item.n_rows; first += ATT_COMBINED_ROWS) {
            if (index++ != wanted) continue;
            att_combine(a, &walk.item, walk.group, first);
            wanted = pio_worker_take(worker);
        }
    }
}

#endif
