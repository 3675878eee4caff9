#ifndef PIO_KERNELS_SAMPLE_SAMPLE_H
#define PIO_KERNELS_SAMPLE_SAMPLE_H

#include "kernels/dialect/args.h"

PIO_ARGS(pio_sample_args) {
    pio_u64 x;
};

#endif
