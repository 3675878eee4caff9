#define ISA(name) name##_portable
#include "kernels/probe/probe_rows.h"

/* Independent chains of float32 multiply-adds that the compiler vectorises for any x86-64. */
void pio_probe_f32_portable(const void *args, pio_worker *worker) {
    const pio_probe_ops_args *a = args;
    enum { LANES = 32 };
    const pio_u64 ops = (pio_u64)a->millions * 1000000;
    float sums[LANES];
    for (int i = 0; i < LANES; i++) sums[i] = (float)i;
    for (pio_u64 n = 0; n < ops; n += 2 * LANES)
        for (int i = 0; i < LANES; i++) sums[i] = sums[i] * 0.999f + 0.5f;
    volatile float sink = sums[worker->index % LANES];
    (void)sink;
    if (worker->index == 0) PIO_AT(pio_u64, a->done)[0] = ops;
}
