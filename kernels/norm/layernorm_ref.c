#include <math.h>

#include "kernels/families.h"

void pio_layernorm_bind(const pio_call *call, void *args) {
    const pio_operand *x = &call->in[0], *weight = &call->in[1], *bias = &call->in[2], *y = &call->out[0];
    *(pio_layernorm_args *)args = (pio_layernorm_args){.x = x->address,
                                                       .weight = weight->address,
                                                       .bias = bias->address,
                                                       .y = y->address,
                                                       .live = y->live,
                                                       .rows = y->rows,
                                                       .cols = weight->cols,
                                                       .x_cols = x->cols,
                                                       .y_cols = y->cols,
                                                       .x_stride = (pio_i32)x->stride,
                                                       .y_stride = (pio_i32)y->stride,
                                                       .encoding = (pio_i32)y->encoding,
                                                       .eps = call->attrs.eps};
}

/* Whole rows of x and whole groups, in a row that fits the worker's scratch. */
bool pio_layernorm_match(const pio_call *call) {
    const int32_t cols = call->out[0].cols;
    return call->in[0].cols > 0 && cols % call->in[0].cols == 0 && call->in[1].cols > 0 &&
           cols % call->in[1].cols == 0 && sizeof(float) * (size_t)cols <= PIO_WORKER_SCRATCH_BYTES;
}

/* Column i of row t of y, as x has it. */
static double merged(const pio_layernorm_args *a, pio_i32 t, pio_i32 i) {
    const pio_u64 row = (pio_u64)t * (pio_u64)(a->y_cols / a->x_cols) + (pio_u64)(i / a->x_cols);
    return PIO_AT(const float, a->x + row * (pio_u64)a->x_stride)[i % a->x_cols];
}

void pio_layernorm_ref(const void *args, pio_worker *worker) {
    const pio_layernorm_args *a = args;
    const float *w = PIO_AT(const float, a->weight), *b = PIO_AT(const float, a->bias);
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (pio_i32 t = worker->index; t < rows; t += worker->n_workers) {
        float *y = PIO_AT(float, a->y + (pio_u64)t * (pio_u64)a->y_stride);
        for (pio_i32 g = 0; g < a->y_cols; g += a->cols) {
            double sum = 0, squares = 0;
            for (pio_i32 i = g; i < g + a->cols; i++) sum += merged(a, t, i);
            const double mean = sum / a->cols;
            for (pio_i32 i = g; i < g + a->cols; i++) squares += (merged(a, t, i) - mean) * (merged(a, t, i) - mean);
            const double scale = 1 / sqrt(squares / a->cols + (double)a->eps);
            for (pio_i32 i = 0; i < a->cols; i++)
                y[g + i] = (float)((merged(a, t, g + i) - mean) * scale * w[i] + b[i]);
        }
    }
}
