#include <math.h>

#include "kernels/families.h"

void pio_qk_norm_rope_append_bind(const pio_call *call, void *args) {
    *(pio_qk_norm_rope_append_args *)args = (pio_qk_norm_rope_append_args){
        .qkv = call->in[0].address,
        .q_norm = call->in[1].address,
        .k_norm = call->in[2].address,
        .cache = call->in[3].address,
        .table = call->in[4].address,
        .q = call->out[0].address,
        .cache_rows = call->step.cache_rows,
        .live = call->in[0].live,
        .eps = call->attrs.eps,
        .rows = call->in[0].rows,
        .qkv_stride = (pio_i32)call->in[0].stride,
        .table_stride = (pio_i32)call->in[4].stride,
        .q_stride = (pio_i32)call->out[0].stride,
        .n_heads = call->attrs.n_heads,
        .n_kv_heads = call->attrs.n_kv_heads,
        .head_dim = call->attrs.head_dim,
        .rope_dim = call->attrs.rope_dim,
        .page_tokens = call->attrs.page_tokens,
    };
}

/* x [head_dim] -> y [head_dim]: RMSNorm where there are weights, then the rotation of the first rope_dim columns. */
static void norm_and_rotate(const pio_qk_norm_rope_append_args *a, const float *x, const float *weight,
                            const float *table, float *y) {
    double squares = 0;
    for (int32_t i = 0; i < a->head_dim; i++) squares += (double)x[i] * x[i];
    float scale = (float)(1.0 / sqrt(squares / a->head_dim + (double)a->eps));
    for (int32_t i = 0; i < a->head_dim; i++) y[i] = weight ? x[i] * scale * weight[i] : x[i];
    int32_t half = table ? a->rope_dim / 2 : 0;
    for (int32_t i = 0; i < half; i++) {
        float first = y[i], second = y[i + half];
        y[i] = first * table[i] - second * table[i + half];
        y[i + half] = second * table[i] + first * table[i + half];
    }
}

void pio_qk_norm_rope_append_ref(const void *args, pio_worker *worker) {
    const pio_qk_norm_rope_append_args *a = args;
    const pio_kv_geometry geometry = {a->n_kv_heads, a->head_dim, a->page_tokens};
    const int32_t *cache_rows = PIO_AT(const int32_t, a->cache_rows);
    int32_t live = a->live ? *PIO_AT(const int32_t, a->live) : a->rows, n = a->head_dim, row;
    while ((row = pio_worker_take(worker)) < live) {
        const float *q = PIO_AT(const float, a->qkv + (uint64_t)row * (uint64_t)a->qkv_stride); /* [heads, head_dim] */
        const float *k = q + (size_t)a->n_heads * (size_t)n; /* [kv_heads, head_dim] */
        const float *v = k + (size_t)a->n_kv_heads * (size_t)n;
        const float *table =
            a->table ? PIO_AT(const float, a->table + (uint64_t)row * (uint64_t)a->table_stride) : NULL;
        float *out = PIO_AT(float, a->q + (uint64_t)row * (uint64_t)a->q_stride);
        float *k_out = worker->scratch;
        for (int32_t h = 0; h < a->n_heads; h++)
            norm_and_rotate(a, q + h * n, PIO_AT(const float, a->q_norm), table, out + h * n);
        for (int32_t h = 0; h < a->n_kv_heads; h++)
            norm_and_rotate(a, k + h * n, PIO_AT(const float, a->k_norm), table, k_out + h * n);
        pio_kv_write_row(PIO_LAYOUT_KV_F32, &geometry, PIO_AT(void, a->cache), cache_rows[row], k_out, v);
    }
}
