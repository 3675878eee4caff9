/* The linear layers in plain C, with float64 sums. */
#include "kernels/linear/linear_ref.h"
#include "base/compiler.h"
#include "hal/worker.h"
#include "kernels/families.h"

static bool serves(const pio_call *call) {
    const pio_operand *w = &call->in[1];
    if (call->op == PIO_OP_LINEAR_SWIGLU && w->rows % (2 * PIO_SWIGLU_BLOCK)) return false;
    return w->cols <= PIO_LINEAR_MAX_COLS;
}

bool pio_linear_match(const pio_call *call) {
    return !pio_call_has(call, PIO_LINEAR_NORM) && serves(call);
}

bool pio_linear_match_stream(const pio_call *call) {
    return (call->in[0].rows <= PIO_LINEAR_GROUP_TOKENS || !pio_call_has(call, PIO_LINEAR_NORM)) && serves(call);
}

void pio_linear_args_fill(const pio_call *call, pio_linear_args *args) {
    const pio_operand *x = &call->in[0], *w = &call->in[1], *y = &call->out[0];
    *args = (pio_linear_args){.x = x->address,
                              .w = w->address,
                              .bias = call->n_in > 2 ? call->in[2].address : 0,
                              .residual = call->n_in > 3 ? call->in[3].address : 0,
                              .y = y->address,
                              .live = x->live,
                              .scratch = call->scratch,
                              .rows = x->rows,
                              .cols = w->cols,
                              .n_out = w->rows,
                              .w_layout = (pio_i32)w->layout,
                              .x_stride = (pio_i32)x->stride,
                              .residual_stride = call->n_in > 3 ? (pio_i32)call->in[3].stride : 0,
                              .y_stride = (pio_i32)y->stride};
    if (!pio_call_has(call, PIO_LINEAR_NORM)) return;
    args->norm = call->in[PIO_LINEAR_NORM].address;
    args->norm_eps = call->attrs.norm_eps;
}

void pio_linear_bind(const pio_call *call, void *args) {
    pio_linear_args_fill(call, args);
}

void pio_linear_add_bind(const pio_call *call, void *args) {
    pio_linear_args_fill(call, args);
}

void pio_linear_swiglu_bind(const pio_call *call, void *args) {
    pio_linear_args_fill(call, args);
}

static const float *x_row(const pio_linear_args *a, int32_t t) {
    return PIO_AT(const float, a->x + (pio_u64)t * (pio_u64)a->x_stride);
}

static float *y_row(const pio_linear_args *a, int32_t t) {
    return PIO_AT(float, a->y + (pio_u64)t * (pio_u64)a->y_stride);
}

/* Row t of x, normed or not, times a row of w. */
static double product(const pio_linear_args *a, int32_t t, const float *w) {
    return pio_product_ref(x_row(a, t), PIO_AT(const float, a->norm), a->norm_eps, w, a->cols);
}

static void weight_row(const pio_linear_args *a, int32_t n, float *out) {
    pio_weight_row_ref(a->w, a->w_layout, a->n_out, a->cols, n, out);
}

/* A tile is one row of w. */
void pio_linear_add_ref(const void *args, pio_worker *worker) {
    const pio_linear_args *a = args;
    int32_t live = pio_linear_live(a);
    float *w = worker->scratch; /* [cols] */
    for (int32_t n; (n = pio_worker_take(worker)) < a->n_out;) {
        weight_row(a, n, w);
        for (int32_t t = 0; t < live; t++) {
            double sum = product(a, t, w);
            if (a->bias) sum += (double)PIO_AT(const float, a->bias)[n];
            if (a->residual)
                sum += (double)PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride)[n];
            y_row(a, t)[n] = (float)sum;
        }
    }
}

void pio_linear_ref(const void *args, pio_worker *worker) {
    pio_linear_add_ref(args, worker); /* without a residual */
}

/* A tile is one output: a gate row and the up row that belongs to it. */
void pio_linear_swiglu_ref(const void *args, pio_worker *worker) {
    const pio_linear_args *a = args;
    int32_t live = pio_linear_live(a);
    float *gate_w = worker->scratch, *up_w = gate_w + a->cols;
    for (int32_t i; (i = pio_worker_take(worker)) < a->n_out / 2;) {
        weight_row(a, pio_gate_row_ref(i), gate_w);
        weight_row(a, pio_gate_row_ref(i) + PIO_SWIGLU_BLOCK, up_w);
        for (int32_t t = 0; t < live; t++)
            y_row(a, t)[i] = pio_swiglu_of_ref(product(a, t, gate_w), product(a, t, up_w));
    }
}
