/* ADD_POSITIONS and PICTURE_ROWS: where patches and the tokens of pictures get their own. */
#ifndef PIO_KERNELS_VISION_VISION_H
#define PIO_KERNELS_VISION_VISION_H

#include "kernels/dialect/args.h"

/* y[p] = x[p] + sum over 4 of share * table[row], taps[p] naming both: the learnt table of positions, interpolated to
 * the picture's own grid. Taps outside the table read its last row. x float32 [rows, cols]; y may be x. */
PIO_ARGS(pio_add_positions_args) {
    pio_u64 x, y;
    pio_u64 table; /* [table_rows, cols] in `layout` */
    pio_u64 taps;  /* pio_step_taps [rows] */
    pio_u64 live;  /* i32: the live rows; 0: all */
    pio_i32 rows, cols, table_rows;
    pio_i32 table_layout; /* pio_layout */
    pio_i32 x_stride, y_stride;
};

#define PIO_PICTURE_REPLACE 1 /* attrs.flags: y is the picture's row, not x plus it */

/* Where step.picture_rows[t] is not 0: y[t] = x[t] + the `cols` numbers from attrs.column on of the float32 row at that
 * address; elsewhere y[t] = x[t]. y may be x. */
PIO_ARGS(pio_picture_rows_args) {
    pio_u64 x, y;
    pio_u64 picture_rows; /* u64 [rows] */
    pio_u64 live;
    pio_i32 rows, cols, column;
    pio_i32 x_stride, y_stride;
    pio_i32 flags;
};

#ifndef PIO_GLSL
#include <stdbool.h>

struct pio_call;

/* A row of the table fits the worker's scratch. */
bool pio_add_positions_match(const struct pio_call *call);

struct pio_launch;
void pio_add_positions_launch(const struct pio_call *call, struct pio_launch *launch);
#endif

#endif
