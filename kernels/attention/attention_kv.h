/* attention_tile.h over the caches KV_*, whose blocks are read as they lie. Included after what attention_tile.h asks
 * of an instruction set. */
#ifndef PIO_KERNELS_ATTENTION_ATTENTION_KV_H
#define PIO_KERNELS_ATTENTION_ATTENTION_KV_H

#define ATT_KEY_DIM(a) ((a)->head_dim)
enum { ATT_KEY_DIM_MAX = ATT_HEAD_DIM_MAX, ATT_VALUE_DIM_MAX = ATT_HEAD_DIM_MAX, ATT_OPENED_BYTES = 0 };

static void att_pack_rows(const pio_attention_args *a, const att_item *item, int32_t group, int32_t first,
                          int32_t n_rows, float factor, att_q *panel) {
    const float *rows[ATT_PANEL];
    for (int32_t v = 0; v < n_rows; v++) rows[v] = att_q_row(a, item, group, first + v);
    att_pack(rows, n_rows, a->head_dim, factor, panel);
}

static inline void att_place(const pio_attention_args *a, int32_t head, int32_t page, int32_t offset,
                             att_block *block) {
    const size_t n = (size_t)a->head_dim, page_tokens = (size_t)a->page_tokens;
    const att_kv *k = PIO_AT(const att_kv, a->cache) +
                      ((size_t)page * (size_t)a->n_kv_heads + (size_t)head) * 2 * page_tokens * n + (size_t)offset * n;
    block->k = k;
    block->v = k + page_tokens * n;
}

static inline void att_open(const pio_attention_args *a, void *opened, int32_t b, att_block *block) {
    (void)a, (void)opened, (void)b, (void)block;
}

#include "kernels/attention/attention_tile.h"

#endif
