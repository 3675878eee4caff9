#include <math.h>

#include "kernels/families.h"

#define ROW(type, address, t, stride) PIO_AT(type, (address) + (pio_u64)(t) * (pio_u64)(stride))

static pio_i32 live_rows(pio_u64 live, pio_i32 bound) {
    return live ? *PIO_AT(const pio_i32, live) : bound;
}

void pio_add_bind(const pio_call *call, void *args) {
    *(pio_add_args *)args = (pio_add_args){.a = call->in[0].address,
                                           .b = call->in[1].address,
                                           .y = call->out[0].address,
                                           .live = call->in[0].live,
                                           .rows = call->in[0].rows,
                                           .cols = call->in[0].cols,
                                           .a_stride = (pio_i32)call->in[0].stride,
                                           .b_stride = (pio_i32)call->in[1].stride,
                                           .y_stride = (pio_i32)call->out[0].stride};
}

void pio_add_ref(const void *args, pio_worker *worker) {
    const pio_add_args *a = args;
    for (pio_i32 t = worker->index; t < live_rows(a->live, a->rows); t += worker->n_workers) {
        const float *x = ROW(const float, a->a, t, a->a_stride), *z = ROW(const float, a->b, t, a->b_stride);
        float *y = ROW(float, a->y, t, a->y_stride);
        for (pio_i32 i = 0; i < a->cols; i++) y[i] = x[i] + z[i];
    }
}

bool pio_row_fits_scratch(const pio_call *call) {
    return sizeof(float) * (size_t)call->out[0].cols <= PIO_WORKER_SCRATCH_BYTES;
}

static void bind_map(const pio_call *call, void *args) {
    *(pio_map_args *)args = (pio_map_args){.x = call->in[0].address,
                                           .y = call->out[0].address,
                                           .live = call->in[0].live,
                                           .rows = call->in[0].rows,
                                           .cols = call->out[0].cols,
                                           .x_stride = (pio_i32)call->in[0].stride,
                                           .y_stride = (pio_i32)call->out[0].stride,
                                           .encoding = (pio_i32)call->out[0].encoding,
                                           .flags = call->attrs.flags};
}

void pio_swiglu_bind(const pio_call *call, void *args) {
    bind_map(call, args);
}

void pio_gelu_bind(const pio_call *call, void *args) {
    bind_map(call, args);
}

void pio_convert_bind(const pio_call *call, void *args) {
    bind_map(call, args);
}

void pio_swiglu_ref(const void *args, pio_worker *worker) {
    const pio_map_args *a = args;
    for (pio_i32 t = worker->index; t < live_rows(a->live, a->rows); t += worker->n_workers) {
        const float *x = ROW(const float, a->x, t, a->x_stride);
        for (pio_i32 j = 0; j < a->cols; j++) {
            pio_i32 block = j / PIO_SWIGLU_BLOCK, width = PIO_MIN(PIO_SWIGLU_BLOCK, a->cols - block * PIO_SWIGLU_BLOCK);
            const float *gate = x + 2 * PIO_SWIGLU_BLOCK * block + j % PIO_SWIGLU_BLOCK;
            ROW(float, a->y, t, a->y_stride)[j] = (float)(gate[0] / (1 + exp(-(double)gate[0])) * gate[width]);
        }
    }
}

void pio_gelu_ref(const void *args, pio_worker *worker) {
    const pio_map_args *a = args;
    for (pio_i32 t = worker->index; t < live_rows(a->live, a->rows); t += worker->n_workers) {
        const float *x = ROW(const float, a->x, t, a->x_stride);
        float *y = ROW(float, a->y, t, a->y_stride);
        for (pio_i32 i = 0; i < a->cols; i++) {
            const double v = x[i], u = a->flags & PIO_GELU_ERF ? erf(v * 0.70710678118654752)
                                                               : tanh(0.79788456080286536 * (v + 0.044715 * v * v * v));
            y[i] = (float)(0.5 * v * (1 + u));
        }
    }
}

void pio_convert_ref(const void *args, pio_worker *worker) {
    const pio_map_args *a = args;
    for (pio_i32 t = worker->index; t < live_rows(a->live, a->rows); t += worker->n_workers)
        pio_encode_row((pio_encoding)a->encoding, ROW(const float, a->x, t, a->x_stride), a->cols,
                       ROW(void, a->y, t, a->y_stride));
}
