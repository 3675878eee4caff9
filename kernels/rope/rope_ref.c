/* The reference of both ops; it is the portable row too: the table costs little, and ROPE is mostly fused away. */
#include <math.h>
#include <string.h>

#include "kernels/families.h"

#define ROW(type, address, t, stride) PIO_AT(type, (address) + (pio_u64)(t) * (pio_u64)(stride))

void pio_rope_table_bind(const pio_call *call, void *args) {
    const pio_operand *y = &call->out[0];
    *(pio_rope_table_args *)args = (pio_rope_table_args){.frequencies = call->in[0].address,
                                                         .axes = call->in[1].address,
                                                         .positions = call->step.positions,
                                                         .table = y->address,
                                                         .live = y->live,
                                                         .rows = y->rows,
                                                         .half_dim = call->in[0].cols,
                                                         .table_stride = (pio_i32)y->stride,
                                                         .scale = call->attrs.scale};
}

void pio_rope_table_ref(const void *args, pio_worker *worker) {
    const pio_rope_table_args *a = args;
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;) {
        float *y = ROW(float, a->table, t, a->table_stride);
        for (pio_i32 i = 0; i < a->half_dim; i++) {
            const pio_i32 axis = a->axes ? (pio_i32)PIO_AT(const float, a->axes)[i] : 0;
            const float angle =
                (float)PIO_AT(const pio_i32, a->positions)[3 * t + axis] * PIO_AT(const float, a->frequencies)[i];
            y[i] = (float)(cos((double)angle) * a->scale);
            y[a->half_dim + i] = (float)(sin((double)angle) * a->scale);
        }
    }
}

void pio_rope_bind(const pio_call *call, void *args) {
    const pio_operand *x = &call->in[0], *table = &call->in[1], *y = &call->out[0];
    *(pio_rope_args *)args = (pio_rope_args){.x = x->address,
                                             .table = table->address,
                                             .y = y->address,
                                             .live = x->live,
                                             .rows = x->rows,
                                             .n_heads = call->attrs.n_heads,
                                             .head_dim = call->attrs.head_dim,
                                             .half_dim = call->attrs.rope_dim / 2,
                                             .x_stride = (pio_i32)x->stride,
                                             .table_stride = (pio_i32)table->stride,
                                             .y_stride = (pio_i32)y->stride,
                                             .flags = call->attrs.flags};
}

/* One head, through a copy, so that y may be x. */
static void rotate(const pio_rope_args *a, const float *x, const float *table, float *copy, float *y) {
    memcpy(copy, x, sizeof *x * (size_t)a->head_dim);
    const pio_i32 half_dim = a->half_dim, interleaved = a->flags & PIO_ROPE_INTERLEAVED;
    for (pio_i32 i = 0; i < half_dim; i++) {
        const float first = copy[interleaved ? 2 * i : i], second = copy[interleaved ? 2 * i + 1 : half_dim + i];
        y[i] = first * table[i] - second * table[half_dim + i];
        y[half_dim + i] = second * table[i] + first * table[half_dim + i];
    }
    for (pio_i32 i = 2 * half_dim; i < a->head_dim; i++) y[i] = copy[i];
}

void pio_rope_ref(const void *args, pio_worker *worker) {
    const pio_rope_args *a = args;
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;)
        for (pio_i32 h = 0; h < a->n_heads; h++)
            rotate(a, ROW(const float, a->x, t, a->x_stride) + h * a->head_dim,
                   ROW(const float, a->table, t, a->table_stride), worker->scratch,
                   ROW(float, a->y, t, a->y_stride) + h * a->head_dim);
}
