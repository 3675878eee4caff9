/* The loop of a PROBE_OPS row: CHAINS independent accumulators, more than latency x rate of any of these units. A file
 * defines, per row, the vector type, its zero, one multiply-add of two constants into an accumulator, and the
 * operations of that. */
#define PIO_PROBE_ROW(name, vector, zero, x, y, step, ops_a_step)                                                      \
    void name(const void *args, pio_worker *worker) {                                                                  \
        enum { CHAINS = 12, UNROLL = 8 };                                                                              \
        const pio_probe_ops_args *a = args;                                                                            \
        const pio_u64 ops = (pio_u64)a->millions * 1000000;                                                            \
        vector sums[CHAINS];                                                                                           \
        for (int i = 0; i < CHAINS; i++) sums[i] = zero;                                                               \
        for (pio_u64 n = 0; n < ops; n += (pio_u64)CHAINS * UNROLL * (ops_a_step))                                     \
            for (int u = 0; u < UNROLL; u++)                                                                           \
                for (int i = 0; i < CHAINS; i++) sums[i] = step(sums[i], x, y);                                        \
        *(vector *)worker->scratch = sums[0];                                                                          \
        for (int i = 1; i < CHAINS; i++) ((volatile vector *)worker->scratch)[i] = sums[i];                            \
        if (worker->index == 0) PIO_AT(pio_u64, a->done)[0] = ops;                                                     \
    }
