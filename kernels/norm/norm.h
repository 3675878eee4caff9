#ifndef PIO_KERNELS_NORM_NORM_H
#define PIO_KERNELS_NORM_NORM_H

#include "kernels/dialect/args.h"

PIO_ARGS(pio_rmsnorm_args) {
    pio_u64 x;
};

#endif
