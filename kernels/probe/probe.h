/* Probes measure what the device can do at most, through the same backend as everything else: how fast it reads memory,
 * and how fast it multiplies and adds from registers. */
#ifndef PIO_KERNELS_PROBE_PROBE_H
#define PIO_KERNELS_PROBE_PROBE_H

#include "kernels/dialect/args.h"

/* Reads every byte once: sums[w] is the sum of the 64-bit words that worker w read. in[0] [rows, cols] float32, without
 * gaps and with a whole number of 1,024-byte pieces; out[0] u64 [workers]. */
PIO_ARGS(pio_probe_read_args) {
    pio_u64 data, sums;
    pio_u64 bytes;
};

/* Every worker computes at least attrs.flags x 1,000,000 operations (a multiply-add is two) in the row's encoding: s8
 * dot products into int32, bf16 dot products or float32 multiply-adds into float32. in[0] is any tensor, which is not
 * read; out[0] u64 [workers + 1]: [0] receives the operations that a worker did, the others something that depends on
 * the results. */
PIO_ARGS(pio_probe_ops_args) {
    pio_u64 done;
    pio_i32 millions;
    pio_i32 reserved;
};

#define PIO_PROBE_PIECE 1024 /* bytes */

#ifndef PIO_GLSL
#include "hal/worker.h"

enum { PIO_PROBE_WORKERS = 1024 };

/* The bytes [from, to) that a worker reads. */
void pio_probe_share(const pio_probe_read_args *args, const pio_worker *worker, pio_u64 *from, pio_u64 *to);

struct pio_call;
struct pio_launch;
void pio_probe_launch(const struct pio_call *call, struct pio_launch *launch);
void pio_probe_matrix_launch(const struct pio_call *call, struct pio_launch *launch);
#endif

#endif
