#ifndef PIO_KERNELS_ELEMENTWISE_ELEMENTWISE_H
#define PIO_KERNELS_ELEMENTWISE_ELEMENTWISE_H

#include "kernels/dialect/args.h"

#define PIO_SWIGLU_BLOCK 16 /* gate rows (columns of gate_up) before the up rows (columns) that belong to them */

PIO_ARGS(pio_add_args) {
    pio_u64 x;
};

PIO_ARGS(pio_swiglu_args) {
    pio_u64 x;
};

PIO_ARGS(pio_convert_args) {
    pio_u64 x;
};

#endif
