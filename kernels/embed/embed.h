/* EMBED and GATHER_ROWS: rows by index. */
#ifndef PIO_KERNELS_EMBED_EMBED_H
#define PIO_KERNELS_EMBED_EMBED_H

#include "kernels/dialect/args.h"

/* y[t] = table[ids[t]] as float32; an id below 0 is -1 - slot: the token drawn last in that sampler slot. Ids are
 * checked on the host; one outside the table reads its last row. */
PIO_ARGS(pio_embed_args) {
    pio_u64 table; /* [vocab, cols] in `layout` */
    pio_u64 slots; /* pio_sample_slot [] */
    pio_u64 ids;   /* i32 [rows] */
    pio_u64 y;     /* float32 [rows, cols] */
    pio_u64 live;  /* i32: the live rows; 0: all */
    pio_i32 rows, cols, vocab;
    pio_i32 table_layout; /* pio_layout */
    pio_i32 y_stride;
};

/* y[o] = x[indices[o]]; float32. */
PIO_ARGS(pio_gather_rows_args) {
    pio_u64 x, y;
    pio_u64 indices; /* i32 [rows] */
    pio_u64 live;
    pio_i32 rows, cols;
    pio_i32 x_rows; /* the bound on indices */
    pio_i32 x_stride, y_stride;
};

#ifndef PIO_GLSL
struct pio_call;
struct pio_launch;
void pio_embed_launch(const struct pio_call *call, struct pio_launch *launch);
#endif

#endif
