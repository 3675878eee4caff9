/* LATENT_ATTENTION over LATENT_BF16 as attention with one KV head, whose keys are the cache's rows and whose values are
 * their first head_dim columns. Rows lie one after the other in the cache.
 *
 * Included behind what defines att_kv and att_block for the instruction set. */
#ifndef PIO_KERNELS_LATENT_LATENT_VIEW_H
#define PIO_KERNELS_LATENT_LATENT_VIEW_H

#include "kernels/attention/attention_flow.h"
#include "kernels/families.h"

typedef struct latent_view {
    pio_attention_args a;
    const pio_latent_attention_args *latent;
} latent_view;

static const pio_latent_attention_args *latent_of(const pio_attention_args *a) {
    return ((const latent_view *)(const void *)a)->latent;
}

static int32_t key_dim_of(const pio_attention_args *a) {
    return a->head_dim + latent_of(a)->rope_dim;
}

/* The rotated columns of virtual row v. */
static const float *latent_rope_row(const pio_latent_attention_args *latent, const att_item *item, int32_t group,
                                    int32_t v) {
    const pio_u64 t = (pio_u64)(item->sequence->first_row + v / group);
    return PIO_AT(const float, latent->q + t * (pio_u64)latent->q_stride) + v % group * latent->head_cols;
}

static int32_t stride_of(const pio_attention_args *a) {
    return pio_latent_stride(PIO_LAYOUT_LATENT_BF16, a->head_dim, latent_of(a)->rope_dim);
}

static inline void att_place(const pio_attention_args *a, int32_t head, int32_t page, int32_t offset,
                             att_block *block) {
    (void)head;
    block->k = PIO_AT(const att_kv, a->cache) +
               ((size_t)page * (size_t)a->page_tokens + (size_t)offset) * (size_t)stride_of(a);
    block->v = NULL;
    block->stride = stride_of(a);
}

static latent_view latent_view_of(const pio_latent_attention_args *a) {
    return (latent_view){.a = {.q = a->q_latent,
                               .y = a->y,
                               .cache = a->cache,
                               .counts = a->counts,
                               .sequences = a->sequences,
                               .pages = a->pages,
                               .scratch = a->scratch,
                               .rows = a->rows,
                               .q_stride = a->q_latent_stride,
                               .y_stride = a->y_stride,
                               .n_heads = a->n_heads,
                               .n_kv_heads = 1,
                               .head_dim = a->head_dim,
                               .page_tokens = a->page_tokens,
                               .n_parts = a->n_parts,
                               .phase = a->phase,
                               .scale = a->scale},
                         .latent = a};
}

#endif
