#ifndef PIO_KERNELS_ATTENTION_ATTENTION_H
#define PIO_KERNELS_ATTENTION_ATTENTION_H

#include "kernels/dialect/args.h"

PIO_ARGS(pio_attention_args) {
    pio_u64 x;
};

#endif
