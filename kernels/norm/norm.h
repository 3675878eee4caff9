/* RMSNORM and LAYERNORM.
 *
 * RMSNORM: y = x * w / sqrt(mean(x^2) + eps) over each group of N columns by itself (Zhang and Sennrich 2019); float32.
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

/* LAYERNORM (Ba, Kiros and Hinton 2016): row t of y is rows g t .. g t + g - 1 of x side by side, y = (v - mean) /
 * sqrt(variance + eps) * w + b over each group of `cols` of its columns by itself; float32. With g > 1 that is the
 * merging of neighbouring patches, before the norm (cols = g N) or behind it (cols = N). x float32 [g rows, x_cols],
 * weight and bias float32 [cols] -> y [rows, g x_cols] in float32, bf16 or s8. */
PIO_ARGS(pio_layernorm_args) {
    pio_u64 x, weight, bias, y;
    pio_u64 live; /* i32: the live rows of y; 0: all */
    pio_i32 rows; /* the bound */
    pio_i32 cols, x_cols, y_cols;
    pio_i32 x_stride, y_stride;
    pio_i32 encoding;
    pio_f32 eps;
};

#ifndef PIO_GLSL
#include <stdbool.h>

struct pio_call;

/* Whole groups, and a row that fits the worker's scratch where it is encoded. */
bool pio_rmsnorm_match(const struct pio_call *call);
bool pio_layernorm_match(const struct pio_call *call);
bool pio_rmsnorm_match_device(const struct pio_call *call);

struct pio_launch;
void pio_rmsnorm_launch(const struct pio_call *call, struct pio_launch *launch);
void pio_layernorm_launch(const struct pio_call *call, struct pio_launch *launch);
#endif

#endif
