/* Attention of one item, written once for all instruction sets. The file that includes this has included
 * attention_flow.h and defined
 *
 *   ATT_PANEL                  virtual rows of a panel, a divisor of ATT_TILE_ROWS
 *   ATT_LANES                  lanes of a row's sum of weights
 *   att_q, att_p, att_kv       element types of the packed q, of the weights and of the cache
 *   att_pack(rows, n_rows, head_dim, factor, panel)
 *                              packs factor * rows[0 .. n_rows-1], each [head_dim], into ATT_PANEL * head_dim elements
 *   att_scores(panel, n_rows, k, n_keys, head_dim, s)
 *                              s[row][key] = q . k for n_keys keys; k is the first key's place in its block
 *   att_weights(s, n_rows, visible, n_keys, ends, p)
 *                              p[row][key] = 2^(s - largest), 0 from key visible[row] on (NULL: all ATT_KEYS are
 *                              visible), with the ends of each row brought up to date; false where no row's sums shrink
 *   att_values(p, n_rows, v, n_keys, head_dim, shrink, o)
 *                              o [n_rows, head_dim] = o * shrink[row] + p . v; shrink NULL: all are 1
 *
 * Keys past n_keys may hold anything: scores of them may be computed but are masked, values of them are not read. */
#ifndef PIO_KERNELS_ATTENTION_ATTENTION_TILE_H
#define PIO_KERNELS_ATTENTION_ATTENTION_TILE_H

/* A worker's memory for one item. */
typedef struct att_memory {
    float *o; /* [ATT_TILE_ROWS, head_dim] */
    att_q *q; /* [panels, ATT_PANEL * head_dim] */
    att_p *p; /* [ATT_TILE_ROWS, ATT_KEYS] */
    float *s; /* [ATT_PANEL, ATT_KEYS] */
    bool *shrinks; /* [panels] */
    att_ends ends;
} att_memory;

static void *att_carve(uint8_t **at, size_t bytes) {
    uint8_t *here = *at;
    *at = here + PIO_ROUND_UP(bytes, 64);
    return here;
}

static att_memory att_memory_of(const pio_worker *worker, int32_t head_dim) {
    uint8_t *at = worker->scratch;
    size_t rows = ATT_TILE_ROWS, n = (size_t)head_dim;
    return (att_memory){
        .o = att_carve(&at, rows * n * sizeof(float)),
        .q = att_carve(&at, rows * n * sizeof(att_q)),
        .p = att_carve(&at, rows * ATT_KEYS * sizeof(att_p)),
        .s = att_carve(&at, (size_t)ATT_PANEL * ATT_KEYS * sizeof(float)),
        .shrinks = att_carve(&at, rows * sizeof(bool)),
        .ends = {.largest = att_carve(&at, rows * sizeof(float)),
                 .total = att_carve(&at, rows * ATT_LANES * sizeof(float)),
                 .shrink = att_carve(&at, rows * sizeof(float))},
    };
}
_Static_assert(ATT_TILE_ROWS *(ATT_HEAD_DIM_MAX *(4 + sizeof(att_q)) + ATT_KEYS * sizeof(att_p) + 4 * ATT_LANES + 9) +
                       ATT_PANEL * ATT_KEYS * 4 + 512 <=
                   PIO_WORKER_SCRATCH_BYTES,
               "an item's memory fits a worker's scratch");

static void att_begin_item(const pio_attention_args *a, const att_item *item, int32_t group, const att_memory *m) {
    const float log2_e = 1.44269504f;
    for (int32_t first = 0; first < item->n_rows; first += ATT_PANEL) {
        const float *rows[ATT_PANEL];
        int32_t n_rows = PIO_MIN(ATT_PANEL, item->n_rows - first);
        for (int32_t v = 0; v < n_rows; v++) rows[v] = att_q_row(a, item, group, item->first + first + v);
        att_pack(rows, n_rows, a->head_dim, a->scale * log2_e, m->q + (size_t)first * (size_t)a->head_dim);
    }
    memset(m->o, 0, (size_t)item->n_rows * (size_t)a->head_dim * sizeof *m->o);
    for (int32_t v = 0; v < item->n_rows; v++) m->ends.largest[v] = ATT_LOWEST;
    memset(m->ends.total, 0, (size_t)item->n_rows * ATT_LANES * sizeof *m->ends.total);
}

/* Keys first_key .. first_key + n_keys - 1, which lie in one page, for all rows of the item. */
static void att_keys(const pio_attention_args *a, const att_item *item, int32_t group, const att_memory *m,
                     int32_t first_key, int32_t n_keys) {
    int32_t n = a->head_dim, offset = first_key % a->page_tokens;
    int32_t page = PIO_AT(const int32_t, a->pages)[item->sequence->first_page + first_key / a->page_tokens];
    const att_kv *k =
        PIO_AT(const att_kv, a->cache) +
        ((size_t)page * (size_t)a->n_kv_heads + (size_t)item->head) * 2 * (size_t)a->page_tokens * (size_t)n +
        (size_t)offset * (size_t)n;
    const att_kv *v = k + (size_t)a->page_tokens * (size_t)n;
    for (int32_t first = 0; first < item->n_rows; first += ATT_PANEL) {
        int32_t n_rows = PIO_MIN(ATT_PANEL, item->n_rows - first), visible[ATT_PANEL];
        /* keys that the row sees: first_key + visible = context + r + 1 */
        int32_t seen = item->sequence->context + 1 - first_key;
        bool all = n_keys == ATT_KEYS && seen + (item->first + first) / group >= n_keys;
        for (int32_t r = 0; !all && r < n_rows; r++)
            visible[r] = PIO_MAX(0, PIO_MIN(n_keys, seen + (item->first + first + r) / group));
        att_scores(m->q + (size_t)first * (size_t)n, n_rows, k, n_keys, n, m->s);
        att_ends ends = {m->ends.largest + first, m->ends.total + (size_t)first * ATT_LANES, m->ends.shrink + first};
        m->shrinks[first / ATT_PANEL] = att_weights(m->s, n_rows, all ? NULL : visible, n_keys, ends, m->p + (size_t)first * ATT_KEYS);
    }
    for (int32_t first = 0; first < item->n_rows; first += ATT_PANEL)
        att_values(m->p + (size_t)first * ATT_KEYS, PIO_MIN(ATT_PANEL, item->n_rows - first), v, n_keys, n,
                   m->shrinks[first / ATT_PANEL] ? m->ends.shrink + first : NULL, m->o + (size_t)first * (size_t)n);
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
                        int32_t part) {
    int32_t key = part * item->part_keys, end = PIO_MIN(key + item->part_keys, item->n_keys);
    att_begin_item(a, item, group, m);
    while (key < end) {
        int32_t n_keys = PIO_MIN(PIO_MIN(ATT_KEYS, a->page_tokens - key % a->page_tokens), end - key);
        att_keys(a, item, group, m, key, n_keys);
        key += n_keys;
    }
    att_end_item(a, item, group, m, part);
}

static inline void att_run(const pio_attention_args *a, pio_worker *worker) {
    if (a->phase == 1) {
        att_combine_all(a, worker);
        return;
    }
    att_walk walk = att_walk_begin(a);
    att_memory memory = att_memory_of(worker, a->head_dim);
    int32_t wanted = pio_worker_take(worker), index = 0;
    while (att_walk_next(&walk)) {
        for (int32_t part = 0; part < walk.item.n_parts; part++) {
            if (index++ != wanted) continue;
            att_do_item(a, &walk.item, walk.group, &memory, part);
            wanted = pio_worker_take(worker);
        }
    }
}

#endif
