/* The rows of RMSNORM, one source for all instruction sets: a file a set defines NAME and includes this. A tile is a
 * row of x, or several where there are many; encoded rows are made in the worker's scratch first. */
#include "kernels/dialect/vector.h"
#include "kernels/families.h"

#include <math.h>

enum { TAKES = 8 }; /* by each worker: of many, for the counter is a line that all of them fight for */

static PIO_ALWAYS_INLINE void rmsnorm_row(const pio_rmsnorm_args *a, pio_i32 t, float *scratch) {
    const float *w = PIO_AT(const float, a->weight);
    const float *x = PIO_AT(const float, a->x + (pio_u64)t * (pio_u64)a->x_stride);
    const pio_i32 cols = a->groups * a->cols;
    void *out = PIO_AT(void, a->y + (pio_u64)t * (pio_u64)a->y_stride);
    float *y = a->encoding == PIO_ENC_F32 ? out : scratch;
    for (pio_i32 g = 0; g < cols; g += a->cols) {
        const float scale = 1.0f / sqrtf(pio_sum_of_squares(x + g, a->cols) / (float)a->cols + a->eps);
        for (pio_i32 i = 0; i < a->cols; i++) y[g + i] = x[g + i] * scale * w[i];
    }
    if (y != out) pio_encode((pio_encoding)a->encoding, y, cols, out);
}

void NAME(const void *args, pio_worker *worker) {
    const pio_rmsnorm_args *a = args;
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    const pio_i32 run = PIO_MAX(1, rows / (TAKES * worker->n_workers));
    for (pio_i32 first; (first = pio_worker_take(worker) * run) < rows;)
        for (pio_i32 t = first; t < PIO_MIN(rows, first + run); t++) rmsnorm_row(a, t, worker->scratch);
}
