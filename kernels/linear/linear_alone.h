/* For ops that consist of many small linear layers: a worker multiplies some rows of one of them by a linear kernel's
 * function as if it were alone. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_ALONE_H
#define PIO_KERNELS_LINEAR_LINEAR_ALONE_H

#include "hal/worker.h"
#include "kernels/dtype/layout.h"
#include "kernels/kernel.h"
#include "kernels/linear/linear.h"

/* Rows of w that can be multiplied by themselves: two panels. */
enum { PIO_LINEAR_UNIT_ROWS = 32 };

/* Bytes from one unit of rows to the next; 0: rows cannot be multiplied by themselves in this layout. */
static inline pio_u64 pio_linear_unit_bytes(pio_i32 layout, pio_i32 cols) {
    const pio_layout_info *info = pio_layout_get((pio_layout)layout);
    const bool planes = info->panel_rows == 1 && pio_canonical_scale_bytes(info->dtype, 1, 1);
    return planes ? 0 : info->bytes(PIO_LINEAR_UNIT_ROWS, cols);
}

static inline pio_i32 pio_linear_units(pio_u64 unit_bytes, pio_i32 n_out) {
    return unit_bytes ? PIO_CEIL_DIV(n_out, PIO_LINEAR_UNIT_ROWS) : 1;
}

/* Leaves only units [first, end) of the layer's rows; y moves to their first column. `halves`: two rows of w make one
 * column of y. */
static inline void pio_linear_cut(pio_linear_args *args, pio_u64 unit_bytes, pio_i32 first, pio_i32 end, bool halves) {
    if (!unit_bytes) return;
    args->w += (pio_u64)first * unit_bytes;
    args->y += (pio_u64)(first * PIO_LINEAR_UNIT_ROWS / (halves ? 2 : 1)) * sizeof(float);
    args->n_out = PIO_MIN(args->n_out, end * PIO_LINEAR_UNIT_ROWS) - first * PIO_LINEAR_UNIT_ROWS;
}

static inline void pio_linear_alone(pio_cpu_function kernel, pio_linear_args *args, const pio_worker *worker,
                                    pio_i32 phase) {
    atomic_int next = 0;
    pio_worker alone = {.n_workers = 1,
                        .next = &next,
                        .scratch = worker->scratch,
                        .scratch_bytes = worker->scratch_bytes,
                        .reads_far = worker->reads_far,
                        .reads_next = worker->reads_next};
    args->phase = phase;
    kernel(args, &alone);
}

#endif
