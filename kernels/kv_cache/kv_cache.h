#ifndef PIO_KERNELS_KV_CACHE_KV_CACHE_H
#define PIO_KERNELS_KV_CACHE_KV_CACHE_H

#include "kernels/dialect/args.h"

PIO_ARGS(pio_kv_append_args) {
    pio_u64 x;
};

PIO_ARGS(pio_qk_norm_rope_append_args) {
    pio_u64 x;
};

#endif
