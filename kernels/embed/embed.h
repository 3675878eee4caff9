#ifndef PIO_KERNELS_EMBED_EMBED_H
#define PIO_KERNELS_EMBED_EMBED_H

#include "kernels/dialect/args.h"

PIO_ARGS(pio_embed_args) {
    pio_u64 x;
};

PIO_ARGS(pio_gather_rows_args) {
    pio_u64 x;
};

#endif
