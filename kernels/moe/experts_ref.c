/* The products of experts in plain C, with float64 sums, and what all their rows share. */
#include "base/compiler.h"
#include "hal/worker.h"
#include "kernels/families.h"
#include "kernels/linear/linear_ref.h"
#include "kernels/moe/experts.h"

bool pio_experts_has_norm(const pio_call *call) {
    return call->op != PIO_OP_EXPERTS_DOWN && pio_call_has(call, PIO_EXPERTS_NORM);
}

bool pio_experts_match(const pio_call *call) {
    return !pio_experts_has_norm(call) && pio_experts_match_normed(call);
}

bool pio_experts_match_normed(const pio_call *call) {
    const pio_operand *w = &call->in[1];
    if (call->op == PIO_OP_EXPERTS_SWIGLU && w->rows % (2 * PIO_SWIGLU_BLOCK)) return false;
    return w->cols <= PIO_LINEAR_MAX_COLS;
}

bool pio_experts_match_few(const pio_call *call) {
    return call->in[2].rows <= PIO_EXPERTS_FEW_TOKENS && pio_experts_match(call);
}

bool pio_experts_match_many(const pio_call *call) {
    return call->in[2].rows > PIO_EXPERTS_FEW_TOKENS && pio_experts_match(call);
}

void pio_experts_args_fill(const pio_call *call, pio_experts_args *args) {
    const pio_operand *x = &call->in[0], *w = &call->in[1], *experts = &call->in[2], *y = &call->out[0];
    *args = (pio_experts_args){.x = x->address,
                               .w = w->address,
                               .matrix_bytes = (pio_u64)w->matrix_bytes,
                               .experts = experts->address,
                               .y = y->address,
                               .live = experts->live,
                               .scratch = call->scratch,
                               .tokens = experts->rows,
                               .cols = w->cols,
                               .n_out = w->rows,
                               .n_experts = w->n_matrices,
                               .n_chosen = experts->cols,
                               .w_layout = (pio_i32)w->layout,
                               .x_stride = (pio_i32)x->stride,
                               .y_stride = (pio_i32)y->stride,
                               .experts_stride = (pio_i32)experts->stride};
    if (pio_experts_has_norm(call)) {
        args->norm = call->in[PIO_EXPERTS_NORM].address;
        args->norm_eps = call->attrs.norm_eps;
    }
    if (call->op != PIO_OP_EXPERTS_DOWN) return;
    args->weights = call->in[3].address;
    args->residual = call->in[4].address;
    args->residual_stride = (pio_i32)call->in[4].stride;
}

void pio_experts_linear_bind(const pio_call *call, void *args) {
    pio_experts_args_fill(call, args);
}

void pio_experts_swiglu_bind(const pio_call *call, void *args) {
    pio_experts_args_fill(call, args);
}

void pio_experts_down_bind(const pio_call *call, void *args) {
    pio_experts_args_fill(call, args);
}

static int32_t chosen(const pio_experts_args *a, int32_t t, int32_t j) {
    return PIO_AT(const int32_t, a->experts + (pio_u64)t * (pio_u64)a->experts_stride)[j];
}

/* The pairs of lower experts: where an expert's own begin. */
static int32_t pairs_before(const pio_experts_args *a, int32_t expert) {
    const int32_t live = pio_experts_live(a);
    int32_t before = 0;
    for (int32_t t = 0; t < live; t++)
        for (int32_t j = 0; j < a->n_chosen; j++) before += chosen(a, t, j) < expert;
    return before;
}

static void weight_row(const pio_experts_args *a, int32_t expert, int32_t n, float *w) {
    pio_weight_row_ref(a->w + (pio_u64)expert * a->matrix_bytes, a->w_layout, a->n_out, a->cols, n, w);
}

static const float *x_row(const pio_experts_args *a, int32_t row) {
    return PIO_AT(const float, a->x + (pio_u64)row * (pio_u64)a->x_stride);
}

/* Token t's row, normed or not, times a row of a matrix. */
static double product(const pio_experts_args *a, int32_t t, const float *w) {
    return pio_product_ref(x_row(a, t), PIO_AT(const float, a->norm), a->norm_eps, w, a->cols);
}

/* Column i of y for all pairs of an expert; w and up_w: [cols]. */
static void expert_column(const pio_experts_args *a, int32_t expert, int32_t i, bool swiglu, float *w, float *up_w) {
    const int32_t live = pio_experts_live(a);
    const int32_t row = swiglu ? pio_gate_row_ref(i) : i;
    int32_t pair = pairs_before(a, expert);
    weight_row(a, expert, row, w);
    if (swiglu) weight_row(a, expert, row + PIO_SWIGLU_BLOCK, up_w);
    for (int32_t t = 0; t < live; t++)
        for (int32_t j = 0; j < a->n_chosen; j++) {
            if (chosen(a, t, j) != expert) continue;
            float *y = PIO_AT(float, a->y + (pio_u64)pair++ * (pio_u64)a->y_stride);
            y[i] = swiglu ? pio_swiglu_of_ref(product(a, t, w), product(a, t, up_w)) : (float)product(a, t, w);
        }
}

/* A tile is a column of y of one expert. */
static void expert_rows(const pio_experts_args *a, pio_worker *worker, bool swiglu) {
    const int32_t n_cols = swiglu ? a->n_out / 2 : a->n_out;
    float *w = worker->scratch;
    for (int32_t tile; (tile = pio_worker_take(worker)) < a->n_experts * n_cols;)
        expert_column(a, tile / n_cols, tile % n_cols, swiglu, w, w + a->cols);
}

void pio_experts_linear_ref(const void *args, pio_worker *worker) {
    expert_rows(args, worker, false);
}

void pio_experts_swiglu_ref(const void *args, pio_worker *worker) {
    expert_rows(args, worker, true);
}

/* A tile is a column of y. Sums stand in float64 for all tokens until the last expert is done. */
void pio_experts_down_ref(const void *args, pio_worker *worker) {
    const pio_experts_args *a = args;
    const int32_t live = pio_experts_live(a);
    double *sums = worker->scratch;            /* [live] */
    float *w = (float *)(void *)(sums + live); /* [cols] */
    for (int32_t n; (n = pio_worker_take(worker)) < a->n_out;) {
        int32_t pair = 0;
        for (int32_t t = 0; t < live; t++)
            sums[t] = (double)PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride)[n];
        for (int32_t e = 0; e < a->n_experts; e++) {
            weight_row(a, e, n, w);
            for (int32_t t = 0; t < live; t++)
                for (int32_t j = 0; j < a->n_chosen; j++)
                    if (chosen(a, t, j) == e)
                        sums[t] +=
                            (double)PIO_AT(const float, a->weights + (pio_u64)t * (pio_u64)a->experts_stride)[j] *
                            pio_product_ref(x_row(a, pair++), NULL, 0, w, a->cols);
        }
        for (int32_t t = 0; t < live; t++) PIO_AT(float, a->y + (pio_u64)t * (pio_u64)a->y_stride)[n] = (float)sums[t];
    }
}
