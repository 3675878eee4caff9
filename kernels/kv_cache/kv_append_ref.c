#include "kernels/families.h"

void pio_kv_append_bind(const pio_call *call, void *args) {
    *(pio_kv_append_args *)args = (pio_kv_append_args){
        .k = call->in[0].address,
        .v = call->in[1].address,
        .cache = call->in[2].address,
        .cache_rows = call->step.cache_rows,
        .live = call->in[0].live,
        .rows = call->in[0].rows,
        .k_stride = (pio_i32)call->in[0].stride,
        .v_stride = (pio_i32)call->in[1].stride,
        .n_kv_heads = call->attrs.n_kv_heads,
        .head_dim = call->attrs.head_dim,
        .page_tokens = call->attrs.page_tokens,
    };
}

void pio_kv_append_ref(const void *args, pio_worker *worker) {
    const pio_kv_append_args *a = args;
    const pio_kv_geometry geometry = {a->n_kv_heads, a->head_dim, a->page_tokens};
    const int32_t *cache_rows = PIO_AT(const int32_t, a->cache_rows);
    int32_t live = a->live ? *PIO_AT(const int32_t, a->live) : a->rows, row;
    while ((row = pio_worker_take(worker)) < live)
        pio_kv_write_row(PIO_LAYOUT_KV_F32, &geometry, PIO_AT(void, a->cache), cache_rows[row],
                         PIO_AT(const float, a->k + (uint64_t)row * (uint64_t)a->k_stride),
                         PIO_AT(const float, a->v + (uint64_t)row * (uint64_t)a->v_stride));
}
