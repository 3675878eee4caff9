/* Attention of one item, written once for all instruction sets and caches. The file that includes this has included
 * attention_flow.h and defined, for its instructions,
 *
 *   ATT_PANEL                  virtual rows of a panel, a divisor of ATT_TILE_ROWS
 *   ATT_LANES                  lanes of a row's sum of weights
 *   ATT_COLUMNS                columns of V at a time, so that those of ATT_BLOCKS blocks stay in the first cache
 *   att_q, att_p, att_kv       element types of the packed q, of the weights and of the cache
 *   att_pack(rows, n_rows, head_dim, factor, panel)
 *                              packs factor * rows[0 .. n_rows-1], each [head_dim], into ATT_PANEL * head_dim elements
 *   att_scores(panel, n_rows, k, n_keys, head_dim, s, ahead)
 *                              s[row][key] = q . k for n_keys keys; k is the first key's place in its page; ahead, if
 *                              not 0, is the address of K of a block to fetch meanwhile
 *   att_weights(s, n_rows, visible, ends, ahead, head_dim, p)
 *                              p[row][key] = 2^(s - largest), 0 from key visible[row] on (NULL: all ATT_KEYS are
 *                              visible), with the ends of each row brought up to date; true where `largest` rose, and
 *                              sums so far are to be multiplied by ends.shrink; ahead: as that of att_scores, whose
 *                              last quarter is left to this, for memory should never rest
 *   att_values(p, n_rows, blocks, n_blocks, head_dim, column, n_columns, o, ahead)
 *                              o[row][column ..] += p . v over the blocks, n_columns <= ATT_COLUMNS; ahead, if not
 * NULL, are as many blocks, whose columns of V to fetch meanwhile
 *
 * and, for its cache (attention_kv.h does for KV_*),
 *
 *   ATT_KEY_DIM(a)             columns of a key; those of a value are a->head_dim
 *   ATT_KEY_DIM_MAX, ATT_VALUE_DIM_MAX
 *   ATT_OPENED_BYTES           of a worker's memory for open blocks
 *   att_pack_rows(a, item, group, first, n_rows, factor, panel)
 *                              packs a panel of the item's virtual rows from `first` on
 *   att_place(a, head, page, offset, block)
 *                              sets k and v of a block: where a page's keys from `offset` on begin
 *   att_open(a, opened, b, block)
 *                              what is to be done before the keys of block b are read; may move k and v
 *
 * A row of p is [ATT_BLOCKS, ATT_KEYS]. Keys past a block's n_keys may hold anything: scores of them may be computed
 * but are masked, values of them are not read. */
#ifndef PIO_KERNELS_ATTENTION_ATTENTION_TILE_H
#define PIO_KERNELS_ATTENTION_ATTENTION_TILE_H

/* A worker's memory for one item. */
typedef struct att_memory {
    float *o;         /* [ATT_TILE_ROWS, head_dim] */
    att_q *q;         /* [panels, ATT_PANEL * key_dim] */
    att_p *p;         /* [ATT_TILE_ROWS, ATT_BLOCKS, ATT_KEYS] */
    float *s;         /* [ATT_PANEL, ATT_KEYS] */
    int32_t *pending; /* [panels] the first block of p that o does not have yet */
    att_ends ends;
    void *opened;
} att_memory;

static void *att_carve(uint8_t **at, size_t bytes) {
    uint8_t *here = *at;
    *at = here + PIO_ROUND_UP(bytes, 64);
    return here;
}

static att_memory att_memory_of(const pio_attention_args *a, const pio_worker *worker) {
    uint8_t *at = worker->scratch;
    size_t rows = ATT_TILE_ROWS;
    return (att_memory){
        .o = att_carve(&at, rows * (size_t)a->head_dim * sizeof(float)),
        .q = att_carve(&at, rows * (size_t)ATT_KEY_DIM(a) * sizeof(att_q)),
        .p = att_carve(&at, rows * ATT_BLOCKS * ATT_KEYS * sizeof(att_p)),
        .s = att_carve(&at, (size_t)ATT_PANEL * ATT_KEYS * sizeof(float)),
        .pending = att_carve(&at, rows / ATT_PANEL * sizeof(int32_t)),
        .ends = {.largest = att_carve(&at, rows * sizeof(float)),
                 .total = att_carve(&at, rows * ATT_LANES * sizeof(float)),
                 .shrink = att_carve(&at, rows * sizeof(float))},
        .opened = att_carve(&at, ATT_OPENED_BYTES),
    };
}
_Static_assert(ATT_TILE_ROWS *(ATT_VALUE_DIM_MAX * 4 + ATT_KEY_DIM_MAX * sizeof(att_q) +
                               ATT_BLOCKS * ATT_KEYS * sizeof(att_p) + 4 * ATT_LANES + 12) +
                       ATT_PANEL * ATT_KEYS * 4 + ATT_OPENED_BYTES + 512 <=
                   PIO_WORKER_SCRATCH_BYTES,
               "an item's memory fits a worker's scratch");

/* `packed`: this worker's memory holds the item's queries, from another part of it. */
static void att_begin_item(const pio_attention_args *a, const att_item *item, int32_t group, const att_memory *m,
                           bool packed) {
    const float log2_e = 1.44269504f;
    for (int32_t first = 0; first < item->n_rows && !packed; first += ATT_PANEL) {
        att_pack_rows(a, item, group, item->first + first, PIO_MIN(ATT_PANEL, item->n_rows - first), a->scale * log2_e,
                      m->q + (size_t)first * (size_t)ATT_KEY_DIM(a));
    }
    memset(m->o, 0, (size_t)item->n_rows * (size_t)a->head_dim * sizeof *m->o);
    for (int32_t v = 0; v < item->n_rows; v++) m->ends.largest[v] = ATT_LOWEST;
    memset(m->ends.total, 0, (size_t)item->n_rows * ATT_LANES * sizeof *m->ends.total);
}

/* The block of keys from `key` on; an empty one from `end` on. */
static att_block att_block_at(const pio_attention_args *a, const att_item *item, int32_t key, int32_t end) {
    if (key >= end) return (att_block){.first_key = end};
    const int32_t offset = key % a->page_tokens;
    const int32_t page = PIO_AT(const int32_t, a->pages)[item->sequence->first_page + key / a->page_tokens];
    att_block block = {.first_key = key, .n_keys = PIO_MIN(PIO_MIN(ATT_KEYS, a->page_tokens - offset), end - key)};
    att_place(a, item->head, page, offset, &block);
    return block;
}

/* Fills `blocks` with the next ones from `key` on, empty ones from `end` on; returns the key behind them. */
static int32_t att_blocks_at(const pio_attention_args *a, const att_item *item, int32_t key, int32_t end,
                             att_block *blocks, int32_t n_blocks) {
    for (int32_t b = 0; b < n_blocks; b++) {
        blocks[b] = att_block_at(a, item, key, end);
        key = blocks[b].first_key + blocks[b].n_keys;
    }
    return key;
}

/* Adds what is pending of the panel at row `first`; `ahead` may be NULL. */
static void att_add_values(const pio_attention_args *a, const att_item *item, const att_memory *m, int32_t first,
                           const att_block *blocks, int32_t n_blocks, int32_t column, const att_block *ahead) {
    int32_t pending = m->pending[first / ATT_PANEL], n = a->head_dim;
    att_values(m->p + ((size_t)first * ATT_BLOCKS + (size_t)pending) * ATT_KEYS,
               PIO_MIN(ATT_PANEL, item->n_rows - first), blocks + pending, n_blocks - pending, n, column,
               PIO_MIN(ATT_COLUMNS, n - column), m->o + (size_t)first * (size_t)n, ahead ? ahead + pending : NULL);
}

/* `largest` of the panel at row `first` rose at block b: what was weighted before goes into the sums, and they shrink.
 */
static void att_rescale(const pio_attention_args *a, const att_item *item, const att_memory *m, int32_t first,
                        const att_block *blocks, int32_t b) {
    if (m->pending[first / ATT_PANEL] < b)
        for (int32_t column = 0; column < a->head_dim; column += ATT_COLUMNS)
            att_add_values(a, item, m, first, blocks, b, column, NULL);
    m->pending[first / ATT_PANEL] = b;
    for (int32_t v = first; v < PIO_MIN(first + ATT_PANEL, item->n_rows); v++) {
        float *o = m->o + (size_t)v * (size_t)a->head_dim, shrink = m->ends.shrink[v];
        for (int32_t i = 0; i < a->head_dim; i++) o[i] *= shrink;
    }
}

/* Scores and weights of block b for all rows of the item; K of `ahead` is fetched meanwhile. */
static void att_block_weights(const pio_attention_args *a, const att_item *item, int32_t group, const att_memory *m,
                              const att_block *blocks, int32_t b, const att_block *ahead) {
    const att_block *block = blocks + b;
    int32_t n = ATT_KEY_DIM(a);
    int32_t seen = item->sequence->context + 1 - block->first_key; /* by row r: this + r keys of the block */
    for (int32_t first = 0; first < item->n_rows; first += ATT_PANEL) {
        int32_t n_rows = PIO_MIN(ATT_PANEL, item->n_rows - first), visible[ATT_PANEL];
        uintptr_t fetched = first ? 0 : (uintptr_t)ahead->k;
        bool all = block->n_keys == ATT_KEYS &&
                   seen + att_last_seen(a, item->sequence, (item->first + first) / group) >= ATT_KEYS;
        for (int32_t r = 0; !all && r < n_rows; r++)
            visible[r] = PIO_MAX(
                0, PIO_MIN(block->n_keys, seen + att_last_seen(a, item->sequence, (item->first + first + r) / group)));
        att_scores(m->q + (size_t)first * (size_t)n, n_rows, block->k, block->n_keys, n, m->s, fetched);
        att_ends ends = {m->ends.largest + first, m->ends.total + (size_t)first * ATT_LANES, m->ends.shrink + first};
        bool rose = att_weights(m->s, n_rows, all ? NULL : visible, ends, fetched, n,
                                m->p + ((size_t)first * ATT_BLOCKS + (size_t)b) * ATT_KEYS);
        if (PIO_UNLIKELY(rose)) att_rescale(a, item, m, first, blocks, b);
    }
}

static float att_total(const att_memory *m, int32_t v) {
    float total = 0;
    for (int32_t lane = 0; lane < ATT_LANES; lane++) total += m->ends.total[v * ATT_LANES + lane];
    return total;
}

static void att_end_item(const pio_attention_args *a, const att_item *item, int32_t group, const att_memory *m,
                         int32_t part) {
    size_t n = (size_t)a->head_dim, rows = (size_t)item->n_rows;
    if (item->n_parts > 1) {
        float *to = att_part(a, group, item->first_part + part);
        memcpy(to, m->o, rows * n * sizeof *to);
        memcpy(to + rows * n, m->ends.largest, rows * sizeof *to);
        for (int32_t v = 0; v < item->n_rows; v++) to[rows * n + rows + (size_t)v] = att_total(m, v);
        return;
    }
    for (int32_t v = 0; v < item->n_rows; v++) {
        float *restrict y = att_y_row(a, item, group, item->first + v);
        const float *o = m->o + (size_t)v * n;
        float scale = att_inverse(att_total(m, v));
        for (size_t i = 0; i < n; i++) y[i] = o[i] * scale;
    }
}

static void att_do_item(const pio_attention_args *a, const att_item *item, int32_t group, const att_memory *m,
                        int32_t part, bool packed) {
    int32_t key = part * item->part_keys, end = PIO_MIN(key + item->part_keys, item->n_keys);
    /* A lone panel gains nothing from blocks taken together, but reads a block's V right behind its K. */
    int32_t most_blocks = item->n_rows > ATT_PANEL ? ATT_BLOCKS : 1;
    att_block blocks[ATT_BLOCKS], ahead[ATT_BLOCKS];
    key = att_blocks_at(a, item, key, end, blocks, most_blocks);
    att_begin_item(a, item, group, m, packed);
    while (blocks[0].n_keys) {
        int32_t n_blocks = most_blocks > 1 && blocks[1].n_keys ? 2 : 1;
        key = att_blocks_at(a, item, key, end, ahead, most_blocks);
        memset(m->pending, 0, ATT_TILE_ROWS / ATT_PANEL * sizeof *m->pending);
        for (int32_t b = 0; b < n_blocks; b++) {
            att_open(a, m->opened, b, &blocks[b]);
            att_block_weights(a, item, group, m, blocks, b, ahead + b);
        }
        for (int32_t column = 0; column < a->head_dim; column += ATT_COLUMNS)
            for (int32_t first = 0; first < item->n_rows; first += ATT_PANEL)
                att_add_values(a, item, m, first, blocks, n_blocks, column, first ? NULL : ahead);
        memcpy(blocks, ahead, sizeof blocks);
    }
    att_end_item(a, item, group, m, part);
}

static inline void att_run(const pio_attention_args *a, pio_worker *worker) {
    if (a->phase == 1) {
        att_combine_all(a, worker);
        return;
    }
    att_walk walk = att_walk_begin(a);
    att_memory memory = att_memory_of(a, worker);
    int32_t wanted = pio_worker_take(worker), index = 0;
    while (att_walk_next(&walk)) {
        bool packed = false;
        for (int32_t part = 0; part < walk.item.n_parts; part++) {
            if (index++ != wanted) continue;
            att_do_item(a, &walk.item, walk.group, &memory, part, packed);
            packed = true;
            wanted = pio_worker_take(worker);
        }
    }
}

#endif
