/* The rows of RMSNORM, one source for all instruction sets: a file a set defines NAME and includes this. A tile is one
 * row of x; encoded rows are made in the worker's scratch first. */
#include "kernels/dialect/vector.h"
#include "kernels/families.h"

#include <math.h>

void NAME(const void *args, pio_worker *worker) {
    const pio_rmsnorm_args *a = args;
    const float *w = PIO_AT(const float, a->weight);
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows, cols = a->groups * a->cols;
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;) {
        const float *x = PIO_AT(const float, a->x + (pio_u64)t * (pio_u64)a->x_stride);
        void *out = PIO_AT(void, a->y + (pio_u64)t * (pio_u64)a->y_stride);
        float *y = a->encoding == PIO_ENC_F32 ? out : worker->scratch;
        for (pio_i32 g = 0; g < cols; g += a->cols) {
            const float scale = 1.0f / sqrtf(pio_sum_of_squares(x + g, a->cols) / (float)a->cols + a->eps);
            for (pio_i32 i = 0; i < a->cols; i++) y[g + i] = x[g + i] * scale * w[i];
        }
        if (y != out) pio_encode((pio_encoding)a->encoding, y, cols, out);
    }
}
