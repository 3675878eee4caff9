#include <math.h>
#include <stdlib.h>

#include "kernels/families.h"

void pio_rmsnorm_bind(const pio_call *call, void *args) {
    const pio_operand *x = &call->in[0], *weight = &call->in[1], *y = &call->out[0];
    *(pio_rmsnorm_args *)args = (pio_rmsnorm_args){.x = x->address,
                                                   .weight = weight->address,
                                                   .y = y->address,
                                                   .live = x->live,
                                                   .rows = x->rows,
                                                   .cols = weight->cols,
                                                   .groups = x->cols / weight->cols,
                                                   .x_stride = (pio_i32)x->stride,
                                                   .y_stride = (pio_i32)y->stride,
                                                   .encoding = (pio_i32)y->encoding,
                                                   .eps = call->attrs.eps};
}

bool pio_rmsnorm_match(const pio_call *call) {
    return call->in[1].cols > 0 && call->in[0].cols % call->in[1].cols == 0 &&
           sizeof(float) * (size_t)call->in[0].cols <= PIO_WORKER_SCRATCH_BYTES;
}

void pio_rmsnorm_ref(const void *args, pio_worker *worker) {
    const pio_rmsnorm_args *a = args;
    const float *w = PIO_AT(const float, a->weight);
    pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (pio_i32 t = worker->index; t < rows; t += worker->n_workers) {
        for (pio_i32 g = 0; g < a->groups; g++) {
            const float *x = PIO_AT(const float, a->x + (pio_u64)t * (pio_u64)a->x_stride) + g * a->cols;
            float *y = PIO_AT(float, a->y + (pio_u64)t * (pio_u64)a->y_stride) + g * a->cols;
            double sum = 0;
            for (pio_i32 i = 0; i < a->cols; i++) sum += (double)x[i] * x[i];
            double scale = 1 / sqrt(sum / a->cols + (double)a->eps);
            for (pio_i32 i = 0; i < a->cols; i++) y[i] = (float)(x[i] * scale * w[i]);
        }
    }
}
