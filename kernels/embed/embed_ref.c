/* Both ops are copies of rows: the reference and the portable row in one. */
#include <string.h>

#include "kernels/families.h"

#define ROW(type, address, t, stride) PIO_AT(type, (address) + (pio_u64)(t) * (pio_u64)(stride))

void pio_embed_bind(const pio_call *call, void *args) {
    const pio_operand *table = &call->in[0], *y = &call->out[0];
    *(pio_embed_args *)args = (pio_embed_args){.table = table->address,
                                               .slots = call->in[1].address,
                                               .ids = call->step.ids,
                                               .y = y->address,
                                               .live = y->live,
                                               .rows = y->rows,
                                               .cols = table->cols,
                                               .vocab = table->rows,
                                               .table_layout = (pio_i32)table->layout,
                                               .y_stride = (pio_i32)y->stride};
}

void pio_embed_ref(const void *args, pio_worker *worker) {
    const pio_embed_args *a = args;
    const pio_sample_slot *slots = PIO_AT(const pio_sample_slot, a->slots);
    const pio_layout_info *layout = pio_layout_get((pio_layout)a->table_layout);
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;) {
        pio_i32 id = PIO_AT(const pio_i32, a->ids)[t];
        if (id < 0) id = slots[-1 - id].last_token;
        id = PIO_MAX(0, PIO_MIN(id, a->vocab - 1));
        layout->unpack_row(PIO_AT(const void, a->table), a->vocab, a->cols, id, ROW(float, a->y, t, a->y_stride));
    }
}

void pio_gather_rows_bind(const pio_call *call, void *args) {
    const pio_operand *x = &call->in[0], *y = &call->out[0];
    *(pio_gather_rows_args *)args = (pio_gather_rows_args){.x = x->address,
                                                           .y = y->address,
                                                           .indices = call->step.out_rows,
                                                           .live = y->live,
                                                           .rows = y->rows,
                                                           .cols = x->cols,
                                                           .x_rows = x->rows,
                                                           .x_stride = (pio_i32)x->stride,
                                                           .y_stride = (pio_i32)y->stride};
}

void pio_gather_rows_ref(const void *args, pio_worker *worker) {
    const pio_gather_rows_args *a = args;
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (pio_i32 o; (o = pio_worker_take(worker)) < rows;) {
        const pio_i32 from = PIO_MAX(0, PIO_MIN(PIO_AT(const pio_i32, a->indices)[o], a->x_rows - 1));
        memcpy(ROW(void, a->y, o, a->y_stride), ROW(const void, a->x, from, a->x_stride),
               sizeof(float) * (size_t)a->cols);
    }
}
