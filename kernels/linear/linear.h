#ifndef PIO_KERNELS_LINEAR_LINEAR_H
#define PIO_KERNELS_LINEAR_LINEAR_H

#include "kernels/dialect/args.h"

PIO_ARGS(pio_linear_args) {
    pio_u64 x;
};

PIO_ARGS(pio_linear_add_args) {
    pio_u64 x;
};

PIO_ARGS(pio_linear_swiglu_args) {
    pio_u64 x;
};

#endif
