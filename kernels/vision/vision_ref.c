/* The references, which are the portable rows too: one pass over rows of which a step has few. */
#include <string.h>

#include "kernels/families.h"

#define ROW(type, address, t, stride) PIO_AT(type, (address) + (pio_u64)(t) * (pio_u64)(stride))

void pio_add_positions_bind(const pio_call *call, void *args) {
    const pio_operand *x = &call->in[0], *table = &call->in[1], *y = &call->out[0];
    *(pio_add_positions_args *)args = (pio_add_positions_args){.x = x->address,
                                                               .y = y->address,
                                                               .table = table->address,
                                                               .taps = call->step.taps,
                                                               .live = y->live,
                                                               .rows = y->rows,
                                                               .cols = x->cols,
                                                               .table_rows = table->rows,
                                                               .table_layout = (pio_i32)table->layout,
                                                               .x_stride = (pio_i32)x->stride,
                                                               .y_stride = (pio_i32)y->stride};
}

bool pio_add_positions_match(const pio_call *call) {
    return sizeof(float) * (size_t)call->in[0].cols <= PIO_WORKER_SCRATCH_BYTES;
}

void pio_add_positions_ref(const void *args, pio_worker *worker) {
    const pio_add_positions_args *a = args;
    const pio_layout_info *layout = pio_layout_get((pio_layout)a->table_layout);
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    float *of_table = worker->scratch;
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;) {
        const pio_step_taps *taps = PIO_AT(const pio_step_taps, a->taps) + t;
        float *y = ROW(float, a->y, t, a->y_stride);
        memmove(y, ROW(const float, a->x, t, a->x_stride), sizeof *y * (size_t)a->cols);
        for (int k = 0; k < 4; k++) {
            const pio_i32 row = PIO_MAX(0, PIO_MIN(taps->row[k], a->table_rows - 1));
            layout->unpack_row(PIO_AT(const void, a->table), a->table_rows, a->cols, row, of_table);
            for (pio_i32 i = 0; i < a->cols; i++) y[i] += taps->share[k] * of_table[i];
        }
    }
}

void pio_picture_rows_bind(const pio_call *call, void *args) {
    const pio_operand *x = &call->in[0], *y = &call->out[0];
    *(pio_picture_rows_args *)args = (pio_picture_rows_args){.x = x->address,
                                                             .y = y->address,
                                                             .picture_rows = call->step.picture_rows,
                                                             .live = y->live,
                                                             .rows = y->rows,
                                                             .cols = x->cols,
                                                             .column = call->attrs.column,
                                                             .x_stride = (pio_i32)x->stride,
                                                             .y_stride = (pio_i32)y->stride,
                                                             .flags = call->attrs.flags};
}

void pio_picture_rows_ref(const void *args, pio_worker *worker) {
    const pio_picture_rows_args *a = args;
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;) {
        const pio_u64 picture = PIO_AT(const pio_u64, a->picture_rows)[t];
        const float *x = ROW(const float, a->x, t, a->x_stride);
        const float *row = picture ? PIO_AT(const float, picture) + a->column : NULL;
        float *y = ROW(float, a->y, t, a->y_stride);
        if (row && a->flags & PIO_PICTURE_REPLACE)
            memcpy(y, row, sizeof *y * (size_t)a->cols);
        else if (row)
            for (pio_i32 i = 0; i < a->cols; i++) y[i] = x[i] + row[i];
        else if (y != x)
            memcpy(y, x, sizeof *y * (size_t)a->cols);
    }
}
