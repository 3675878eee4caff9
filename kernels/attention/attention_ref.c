#include <math.h>

#include "kernels/families.h"

void pio_attention_bind(const pio_call *call, void *args) {
    *(pio_attention_args *)args = (pio_attention_args){
        .q = call->in[0].address,
        .y = call->out[0].address,
        .cache = call->in[1].address,
        .counts = call->step.counts,
        .sequences = call->step.sequences,
        .pages = call->step.pages,
        .counters = call->step.counters,
        .rows = call->in[0].rows,
        .q_stride = (pio_i32)call->in[0].stride,
        .y_stride = (pio_i32)call->out[0].stride,
        .n_heads = call->attrs.n_heads,
        .n_kv_heads = call->attrs.n_kv_heads,
        .head_dim = call->attrs.head_dim,
        .page_tokens = call->attrs.page_tokens,
        .scale = call->attrs.scale,
        .flags = call->attrs.flags,
    };
}

/* K of row c of the sequence, for one KV head; V lies page_tokens rows behind it. */
static const float *k_row(const pio_attention_args *a, const pio_step_sequence *sequence, int32_t head, int32_t c) {
    size_t n = (size_t)a->head_dim, page_tokens = (size_t)a->page_tokens;
    int32_t page = PIO_AT(const int32_t, a->pages)[sequence->first_page + c / a->page_tokens];
    return PIO_AT(const float, a->cache) + ((size_t)page * (size_t)a->n_kv_heads + (size_t)head) * 2 * page_tokens * n +
           (size_t)(c % a->page_tokens) * n;
}

static double score(const pio_attention_args *a, const float *q, const float *k) {
    double sum = 0;
    for (int32_t i = 0; i < a->head_dim; i++) sum += (double)q[i] * k[i];
    return sum * (double)a->scale;
}

/* One query row of one head: q [head_dim] over n_keys rows of the cache -> y [head_dim]. */
static void attend(const pio_attention_args *a, const pio_step_sequence *sequence, int32_t head, int32_t n_keys,
                   const float *q, float *y, double *sums) {
    double largest = -INFINITY, total = 0;
    for (int32_t c = 0; c < n_keys; c++) largest = fmax(largest, score(a, q, k_row(a, sequence, head, c)));
    for (int32_t i = 0; i < a->head_dim; i++) sums[i] = 0;
    for (int32_t c = 0; c < n_keys; c++) {
        const float *k = k_row(a, sequence, head, c), *v = k + (size_t)a->page_tokens * (size_t)a->head_dim;
        double weight = exp(score(a, q, k) - largest);
        total += weight;
        for (int32_t i = 0; i < a->head_dim; i++) sums[i] += weight * (double)v[i];
    }
    for (int32_t i = 0; i < a->head_dim; i++) y[i] = (float)(sums[i] / total);
}

void pio_attention_ref(const void *args, pio_worker *worker) {
    const pio_attention_args *a = args;
    const pio_step_counts *counts = PIO_AT(const pio_step_counts, a->counts);
    const pio_step_sequence *sequences = PIO_AT(const pio_step_sequence, a->sequences);
    int32_t group = a->n_heads / a->n_kv_heads, tile = pio_worker_take(worker), index = 0;
    for (int32_t s = 0; s < counts->n_sequences; s++) {
        for (int32_t r = 0; r < sequences[s].n_rows; r++) {
            if (index++ != tile) continue;
            tile = pio_worker_take(worker);
            uint64_t row = (uint64_t)(sequences[s].first_row + r);
            const float *q = PIO_AT(const float, a->q + row * (uint64_t)a->q_stride);
            float *y = PIO_AT(float, a->y + row * (uint64_t)a->y_stride);
            int32_t last = a->flags & PIO_ATTENTION_FULL ? sequences[s].n_rows - 1 : r;
            for (int32_t h = 0; h < a->n_heads; h++)
                attend(a, &sequences[s], h / group, sequences[s].context + last + 1,
                       q + (size_t)h * (size_t)a->head_dim, y + (size_t)h * (size_t)a->head_dim, worker->scratch);
        }
    }
}
