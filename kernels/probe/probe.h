#ifndef PIO_KERNELS_PROBE_PROBE_H
#define PIO_KERNELS_PROBE_PROBE_H

#include "kernels/dialect/args.h"

PIO_ARGS(pio_probe_read_args) {
    pio_u64 x;
};

PIO_ARGS(pio_probe_ops_args) {
    pio_u64 x;
};

#endif
