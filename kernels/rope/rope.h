#ifndef PIO_KERNELS_ROPE_ROPE_H
#define PIO_KERNELS_ROPE_ROPE_H

#include "kernels/dialect/args.h"

PIO_ARGS(pio_rope_table_args) {
    pio_u64 x;
};

PIO_ARGS(pio_rope_args) {
    pio_u64 x;
};

#endif
