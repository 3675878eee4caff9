/* The rows of LAYERNORM, one source for all instruction sets: a file a set defines NAME and includes this. A tile is
 * one row of y, laid together in the worker's scratch and normalised there. */
#include "kernels/dialect/vector.h"
#include "kernels/families.h"

#include <math.h>

/* x becomes (x - mean) / sqrt(variance + eps) * w + b; two passes, for a mean may be far from zero. */
static PIO_ALWAYS_INLINE void normalise(float *x, pio_i32 n, const float *w, const float *b, float eps) {
    const float mean = pio_sum(x, n) / (float)n;
    for (pio_i32 i = 0; i < n; i++) x[i] -= mean;
    const float scale = 1.0f / sqrtf(pio_sum_of_squares(x, n) / (float)n + eps);
    for (pio_i32 i = 0; i < n; i++) x[i] = x[i] * scale * w[i] + b[i];
}

void NAME(const void *args, pio_worker *worker) {
    const pio_layernorm_args *a = args;
    const float *w = PIO_AT(const float, a->weight), *b = PIO_AT(const float, a->bias);
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows, merged = a->y_cols / a->x_cols;
    float *row = worker->scratch;
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;) {
        for (pio_i32 i = 0; i < merged; i++)
            memcpy(row + i * a->x_cols,
                   PIO_AT(const float, a->x + ((pio_u64)t * (pio_u64)merged + (pio_u64)i) * (pio_u64)a->x_stride),
                   sizeof *row * (size_t)a->x_cols);
        for (pio_i32 g = 0; g < a->y_cols; g += a->cols) normalise(row + g, a->cols, w, b, a->eps);
        pio_encode((pio_encoding)a->encoding, row, a->y_cols, PIO_AT(void, a->y + (pio_u64)t * (pio_u64)a->y_stride));
    }
}
