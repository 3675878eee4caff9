/* The products of experts in plain C, with float64 sums, and what all their rows share. */
#include <math.h>

#include "base/compiler.h"
#include "hal/worker.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/families.h"

enum { FEW_TOKENS = 8 };

bool pio_experts_match(const pio_call *call) {
    const pio_operand *w = &call->in[1];
    if (call->op == PIO_OP_EXPERTS_SWIGLU && w->rows % (2 * PIO_SWIGLU_BLOCK)) return false;
    return w->cols <= PIO_LINEAR_MAX_COLS;
}

bool pio_experts_match_few(const pio_call *call) {
    return call->in[2].rows <= FEW_TOKENS && pio_experts_match(call);
}

bool pio_experts_match_many(const pio_call *call) {
    return call->in[2].rows > FEW_TOKENS && pio_experts_match(call);
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
                               .layout = (pio_i32)w->layout,
                               .x_stride = (pio_i32)x->stride,
                               .y_stride = (pio_i32)y->stride,
                               .experts_stride = (pio_i32)experts->stride};
    if (call->op != PIO_OP_EXPERTS_DOWN) return;
    args->weights = call->in[3].address;
    args->weights_stride = (pio_i32)call->in[3].stride;
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

/* The place of a token's choice among all pairs: behind those of lower experts, and of its expert's earlier tokens. */
static int32_t pair_of(const pio_experts_args *a, int32_t token, int32_t choice) {
    const int32_t expert = chosen(a, token, choice), live = pio_experts_live(a);
    int32_t before = 0;
    for (int32_t t = 0; t < live; t++)
        for (int32_t j = 0; j < a->n_chosen; j++)
            before += chosen(a, t, j) < expert || (chosen(a, t, j) == expert && t < token);
    return before;
}

static double dot(const pio_experts_args *a, int32_t expert, int32_t n, const float *x, float *w) {
    double sum = 0;
    pio_layout_get((pio_layout)a->layout)
        ->unpack_row(PIO_AT(const void, a->w + (pio_u64)expert * a->matrix_bytes), a->n_out, a->cols, n, w);
    for (int32_t k = 0; k < a->cols; k++) sum += (double)x[k] * (double)w[k];
    return sum;
}

/* A tile is a token. */
static void expert_rows(const pio_experts_args *a, pio_worker *worker, bool swiglu) {
    const int32_t live = pio_experts_live(a);
    for (int32_t t; (t = pio_worker_take(worker)) < live;) {
        const float *x = PIO_AT(const float, a->x + (pio_u64)t * (pio_u64)a->x_stride);
        for (int32_t j = 0; j < a->n_chosen; j++) {
            float *y = PIO_AT(float, a->y + (pio_u64)pair_of(a, t, j) * (pio_u64)a->y_stride);
            for (int32_t i = 0; i < (swiglu ? a->n_out / 2 : a->n_out); i++) {
                const int32_t gate_row =
                    swiglu ? i / PIO_SWIGLU_BLOCK * 2 * PIO_SWIGLU_BLOCK + i % PIO_SWIGLU_BLOCK : i;
                const double sum = dot(a, chosen(a, t, j), gate_row, x, worker->scratch);
                y[i] = (float)sum;
                if (!swiglu) continue;
                const double up = dot(a, chosen(a, t, j), gate_row + PIO_SWIGLU_BLOCK, x, worker->scratch);
                y[i] = (float)(sum / (1 + exp(-sum)) * up);
            }
        }
    }
}

void pio_experts_linear_ref(const void *args, pio_worker *worker) {
    expert_rows(args, worker, false);
}

void pio_experts_swiglu_ref(const void *args, pio_worker *worker) {
    expert_rows(args, worker, true);
}

void pio_experts_down_ref(const void *args, pio_worker *worker) {
    const pio_experts_args *a = args;
    const int32_t live = pio_experts_live(a);
    for (int32_t t; (t = pio_worker_take(worker)) < live;) {
        const float *weights = PIO_AT(const float, a->weights + (pio_u64)t * (pio_u64)a->weights_stride);
        const float *residual = PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride);
        float *y = PIO_AT(float, a->y + (pio_u64)t * (pio_u64)a->y_stride);
        for (int32_t n = 0; n < a->n_out; n++) {
            double sum = (double)residual[n];
            for (int32_t j = 0; j < a->n_chosen; j++) {
                const float *h = PIO_AT(const float, a->x + (pio_u64)pair_of(a, t, j) * (pio_u64)a->x_stride);
                sum += (double)weights[j] * dot(a, chosen(a, t, j), n, h, worker->scratch);
            }
            y[n] = (float)sum;
        }
    }
}
