/* RMSNORM: y = x * w / sqrt(mean(x^2) + eps) over each group of N columns by itself (Zhang and Sennrich 2019); float32.
 */
#ifndef PIO_KERNELS_NORM_NORM_H
#define PIO_KERNELS_NORM_NORM_H

#include "kernels/dialect/args.h"

/* x float32 [rows, groups x cols], weight float32 [cols] -> y [rows, groups x cols] in float32, bf16 or s8. */
PIO_ARGS(pio_rmsnorm_args) {
    pio_u64 x, weight, y;
    pio_u64 live; /* i32: the live rows; 0: all */
    pio_i32 rows; /* the bound */
    pio_i32 cols, groups;
    pio_i32 x_stride, y_stride; /* bytes */
    pio_i32 encoding;           /* pio_encoding of y */
    pio_f32 eps;
};

#ifndef PIO_GLSL
#include <stdbool.h>

struct pio_call;

/* Whole groups, and a row that fits the worker's scratch where it is encoded. */
bool pio_rmsnorm_match(const struct pio_call *call);
#endif

#endif
