/* ADD, SWIGLU, GELU and CONVERT: one pass over rows. */
#ifndef PIO_KERNELS_ELEMENTWISE_ELEMENTWISE_H
#define PIO_KERNELS_ELEMENTWISE_ELEMENTWISE_H

#include "kernels/dialect/args.h"

/* Rows of gate and up take turns in blocks of this many: block b of gate_up is 16 columns of gate, then the 16 of up
 * that belong to them; a last block that is not full has as many of each as are left. */
#define PIO_SWIGLU_BLOCK 16

/* y = a + b; float32 [rows, cols]. y may be a. */
PIO_ARGS(pio_add_args) {
    pio_u64 a, b, y;
    pio_u64 live; /* i32: the live rows; 0: all */
    pio_i32 rows, cols;
    pio_i32 a_stride, b_stride, y_stride; /* bytes */
};

#define PIO_GELU_ERF 1 /* attrs.flags: the exact form */

/* Arguments of the ops that make y of x row by row, in float32, bf16 or s8 (kernels/dtype/encoding.h); x is float32:
 *
 *   SWIGLU    y[j] = silu(gate[j]) * up[j], silu(v) = v / (1 + e^-v); x is gate and up [rows, 2 cols] in blocks
 *   GELU      y = x Phi(x), Phi the normal distribution (Hendrycks and Gimpel 2016): exactly, x (1 + erf(x / sqrt 2)) /
 * 2, or x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2; x [rows, cols] CONVERT   y = x in another encoding; x [rows,
 * cols] */
PIO_ARGS(pio_map_args) {
    pio_u64 x, y;
    pio_u64 live;
    pio_i32 rows, cols; /* of y */
    pio_i32 x_stride, y_stride;
    pio_i32 encoding; /* pio_encoding of y */
    pio_i32 flags;    /* GELU: PIO_GELU_ERF */
};

#ifndef PIO_GLSL
#include <stdbool.h>

typedef pio_map_args pio_swiglu_args, pio_gelu_args, pio_convert_args;

struct pio_call;

/* A row of y fits the worker's scratch. */
bool pio_row_fits_scratch(const struct pio_call *call);
#endif

#endif
