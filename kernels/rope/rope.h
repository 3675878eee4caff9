/* Rotary position embedding (Su et al. 2021). */
#ifndef PIO_KERNELS_ROPE_ROPE_H
#define PIO_KERNELS_ROPE_ROPE_H

#include "kernels/dialect/args.h"

#define PIO_ROPE_HEAD_DIM_MAX 1024 /* of device rows */
#define PIO_ROPE_INTERLEAVED                                                                                           \
    1 /* attrs.flags: pairs are (0, 1), (2, 3), ...; rotated halves land as [firsts | seconds] */

/* table[t] = [cos(a_0) .. cos(a_R/2-1) | sin(a_0) ..], a_i = position x frequency_i rounded to float32, as the models'
 * reference rounds it; cosine and sine are those of the rounded angle, taken in double, times scale. */
PIO_ARGS(pio_rope_table_args) {
    pio_u64 frequencies; /* float32 [half_dim] */
    pio_u64 axes;        /* float32 [half_dim]: which of a token's three positions; 0: always the first */
    pio_u64 positions;   /* i32 [rows, 3] */
    pio_u64 table;       /* float32 [rows, 2 half_dim] */
    pio_u64 live;        /* i32: the live rows; 0: all */
    pio_i32 rows, half_dim;
    pio_i32 table_stride;
    pio_f32 scale;
};

/* Per head, over the first `half_dim` x 2 columns: y[i] = x[i] cos - x[half_dim + i] sin, y[half_dim + i] = x[half_dim
 * + i] cos + x[i] sin; the other columns are copied. y may be x. */
PIO_ARGS(pio_rope_args) {
    pio_u64 x, table, y;
    pio_u64 live;
    pio_i32 rows, n_heads, head_dim, half_dim;
    pio_i32 x_stride, table_stride, y_stride;
    pio_i32 flags;
};

#ifndef PIO_GLSL
#include <stdbool.h>

struct pio_call;
struct pio_launch;
bool pio_rope_match(const struct pio_call *call);
void pio_rope_launch(const struct pio_call *call, struct pio_launch *launch);
#endif

#endif
