/* The ops of latent attention in plain C, with float64 sums. */
#include <math.h>

#include "base/compiler.h"
#include "hal/worker.h"
#include "kernels/families.h"

enum { FEW_ROWS = 8 };

bool pio_linear_heads_match(const pio_call *call) {
    return call->in[1].cols <= PIO_LINEAR_MAX_COLS;
}

bool pio_linear_heads_match_few(const pio_call *call) {
    return call->in[0].rows <= FEW_ROWS && pio_linear_heads_match(call);
}

bool pio_linear_heads_match_many(const pio_call *call) {
    return call->in[0].rows > FEW_ROWS && pio_linear_heads_match(call);
}

bool pio_linear_heads_match_pairs(const pio_call *call) {
    return call->in[1].cols % 2 == 0 && call->attrs.head_dim % 2 == 0 && call->attrs.column % 2 == 0 &&
           pio_linear_heads_match_many(call);
}

static size_t tiles_scratch(const pio_call *call, pio_encoding encoding) {
    return (size_t)call->n_workers * (size_t)call->in[0].rows *
           PIO_ROUND_UP(pio_linear_tile_bytes(encoding, call->in[1].cols), 64);
}

size_t pio_linear_heads_tiles_scratch(const pio_call *call) {
    return tiles_scratch(call, PIO_ENC_F32);
}

size_t pio_linear_heads_tiles_bf16_scratch(const pio_call *call) {
    return tiles_scratch(call, PIO_ENC_BF16);
}

void pio_linear_heads_bind(const pio_call *call, void *args) {
    const pio_operand *x = &call->in[0], *w = &call->in[1], *y = &call->out[0];
    *(pio_linear_heads_args *)args = (pio_linear_heads_args){.x = x->address,
                                                             .w = w->address,
                                                             .matrix_bytes = (pio_u64)w->matrix_bytes,
                                                             .y = y->address,
                                                             .live = x->live,
                                                             .scratch = call->scratch,
                                                             .rows = x->rows,
                                                             .n_heads = w->n_matrices,
                                                             .cols = w->cols,
                                                             .n_out = w->rows,
                                                             .head_cols = call->attrs.head_dim,
                                                             .column = call->attrs.column,
                                                             .w_layout = (pio_i32)w->layout,
                                                             .x_stride = (pio_i32)x->stride,
                                                             .y_stride = (pio_i32)y->stride};
}

#define ROW(type, address, t, stride) PIO_AT(type, (address) + (pio_u64)(t) * (pio_u64)(stride))

/* A tile is a row of a head's matrix. */
void pio_linear_heads_ref(const void *args, pio_worker *worker) {
    const pio_linear_heads_args *a = args;
    const int32_t live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    float *w = worker->scratch;
    for (int32_t tile; (tile = pio_worker_take(worker)) < a->n_heads * a->n_out;) {
        const int32_t h = tile / a->n_out, n = tile % a->n_out;
        pio_layout_get((pio_layout)a->w_layout)
            ->unpack_row(ROW(const void, a->w, h, a->matrix_bytes), a->n_out, a->cols, n, w);
        for (int32_t t = 0; t < live; t++) {
            const float *x = ROW(const float, a->x, t, a->x_stride) + h * a->head_cols + a->column;
            double sum = 0;
            for (int32_t k = 0; k < a->cols; k++) sum += (double)x[k] * (double)w[k];
            ROW(float, a->y, t, a->y_stride)[tile] = (float)sum;
        }
    }
}

void pio_latent_append_bind(const pio_call *call, void *args) {
    const pio_operand *kv = &call->in[0], *table = &call->in[3];
    *(pio_latent_append_args *)args = (pio_latent_append_args){.kv = kv->address,
                                                               .norm = call->in[1].address,
                                                               .cache = call->in[2].address,
                                                               .table = table->address,
                                                               .cache_rows = call->step.cache_rows,
                                                               .live = kv->live,
                                                               .eps = call->attrs.eps,
                                                               .rows = kv->rows,
                                                               .kv_stride = (pio_i32)kv->stride,
                                                               .table_stride = (pio_i32)table->stride,
                                                               .head_dim = call->attrs.head_dim,
                                                               .rope_dim = call->attrs.rope_dim,
                                                               .flags = call->attrs.flags};
}

void pio_latent_append_ref(const void *args, pio_worker *worker) {
    const pio_latent_append_args *a = args;
    const pio_kv_geometry geometry = {1, a->head_dim, PIO_KV_PAGE_TOKENS, a->rope_dim};
    const int32_t live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows, half = a->rope_dim / 2;
    const bool pairs = a->flags & PIO_ROPE_INTERLEAVED;
    float *row = worker->scratch; /* [head_dim + rope_dim] */
    for (int32_t t; (t = pio_worker_take(worker)) < live;) {
        const float *kv = ROW(const float, a->kv, t, a->kv_stride), *k = kv + a->head_dim;
        const float *table = ROW(const float, a->table, t, a->table_stride), *norm = PIO_AT(const float, a->norm);
        double squares = 0;
        for (int32_t i = 0; i < a->head_dim; i++) squares += (double)kv[i] * (double)kv[i];
        const double scale = 1 / sqrt(squares / a->head_dim + (double)a->eps);
        for (int32_t i = 0; i < a->head_dim; i++) row[i] = (float)((double)kv[i] * scale * (double)norm[i]);
        for (int32_t i = 0; i < half; i++) {
            const double first = (double)k[pairs ? 2 * i : i], second = (double)k[pairs ? 2 * i + 1 : half + i];
            row[a->head_dim + i] = (float)(first * (double)table[i] - second * (double)table[half + i]);
            row[a->head_dim + half + i] = (float)(second * (double)table[i] + first * (double)table[half + i]);
        }
        pio_kv_write_row(PIO_LAYOUT_LATENT_F32, &geometry, PIO_AT(void, a->cache),
                         PIO_AT(const int32_t, a->cache_rows)[t], row, NULL);
    }
}

void pio_latent_attention_bind(const pio_call *call, void *args) {
    const pio_operand *q_latent = &call->in[0], *q = &call->in[2], *y = &call->out[0];
    *(pio_latent_attention_args *)args = (pio_latent_attention_args){.q_latent = q_latent->address,
                                                                     .q = q->address,
                                                                     .y = y->address,
                                                                     .cache = call->in[1].address,
                                                                     .counts = call->step.counts,
                                                                     .sequences = call->step.sequences,
                                                                     .pages = call->step.pages,
                                                                     .counters = call->step.counters,
                                                                     .rows = q_latent->rows,
                                                                     .q_latent_stride = (pio_i32)q_latent->stride,
                                                                     .q_stride = (pio_i32)q->stride,
                                                                     .y_stride = (pio_i32)y->stride,
                                                                     .n_heads = call->attrs.n_heads,
                                                                     .head_dim = call->attrs.head_dim,
                                                                     .rope_dim = call->attrs.rope_dim,
                                                                     .head_cols = q->cols / call->attrs.n_heads,
                                                                     .page_tokens = call->attrs.page_tokens,
                                                                     .scale = call->attrs.scale};
}

static const float *cached(const pio_latent_attention_args *a, const pio_step_sequence *sequence, int32_t c) {
    const int32_t page = PIO_AT(const int32_t, a->pages)[sequence->first_page + c / a->page_tokens];
    const size_t row = (size_t)page * (size_t)a->page_tokens + (size_t)(c % a->page_tokens);
    return PIO_AT(const float, a->cache) + row * (size_t)(a->head_dim + a->rope_dim);
}

static double score(const pio_latent_attention_args *a, const float *q_latent, const float *q_rope, const float *key) {
    double sum = 0;
    for (int32_t i = 0; i < a->head_dim; i++) sum += (double)q_latent[i] * (double)key[i];
    for (int32_t i = 0; i < a->rope_dim; i++) sum += (double)q_rope[i] * (double)key[a->head_dim + i];
    return sum * (double)a->scale;
}

static void attend(const pio_latent_attention_args *a, const pio_step_sequence *sequence, int32_t n_keys,
                   const float *q_latent, const float *q_rope, double *sums, float *y) {
    double largest = -INFINITY, total = 0;
    for (int32_t c = 0; c < n_keys; c++) largest = fmax(largest, score(a, q_latent, q_rope, cached(a, sequence, c)));
    for (int32_t i = 0; i < a->head_dim; i++) sums[i] = 0;
    for (int32_t c = 0; c < n_keys; c++) {
        const float *key = cached(a, sequence, c);
        const double weight = exp(score(a, q_latent, q_rope, key) - largest);
        total += weight;
        for (int32_t i = 0; i < a->head_dim; i++) sums[i] += weight * (double)key[i];
    }
    for (int32_t i = 0; i < a->head_dim; i++) y[i] = (float)(sums[i] / total);
}

/* A tile is a row of the step. */
void pio_latent_attention_ref(const void *args, pio_worker *worker) {
    const pio_latent_attention_args *a = args;
    const pio_step_counts *counts = PIO_AT(const pio_step_counts, a->counts);
    int32_t tile = pio_worker_take(worker), index = 0;
    for (int32_t s = 0; s < counts->n_sequences; s++) {
        const pio_step_sequence *sequence = &PIO_AT(const pio_step_sequence, a->sequences)[s];
        for (int32_t r = 0; r < sequence->n_rows; r++) {
            if (index++ != tile) continue;
            tile = pio_worker_take(worker);
            const int32_t t = sequence->first_row + r;
            for (int32_t h = 0; h < a->n_heads; h++)
                attend(a, sequence, sequence->context + r + 1,
                       ROW(const float, a->q_latent, t, a->q_latent_stride) + h * a->head_dim,
                       ROW(const float, a->q, t, a->q_stride) + h * a->head_cols, worker->scratch,
                       ROW(float, a->y, t, a->y_stride) + h * a->head_dim);
        }
    }
}
