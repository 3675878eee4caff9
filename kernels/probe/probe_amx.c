/* PROBE_OPS by tiles: four sums in turns, each of which is longer under way than the other three take to begin. */
#include "kernels/dialect/amx.h"
#include "kernels/families.h"

enum { ROUNDS = 8, DOTS = 4 };

#define RUN(dot, columns)                                                                                              \
    const pio_probe_ops_args *a = args;                                                                                \
    const pio_u64 ops = (pio_u64)a->millions * 1000000;                                                                \
    const pio_u64 ops_a_dot = 2 * PIO_AMX_ROWS * PIO_AMX_ROWS * (columns);                                             \
    memset(worker->scratch, 0x3e, PIO_AMX_TILE_BYTES);                                                                 \
    pio_amx_configure_products(PIO_AMX_ROWS);                                                                          \
    PIO_AMX_ZERO(0);                                                                                                   \
    PIO_AMX_ZERO(1);                                                                                                   \
    PIO_AMX_ZERO(2);                                                                                                   \
    PIO_AMX_ZERO(3);                                                                                                   \
    PIO_AMX_LOAD(4, worker->scratch, PIO_AMX_ROW_BYTES);                                                               \
    PIO_AMX_LOAD(5, worker->scratch, PIO_AMX_ROW_BYTES);                                                               \
    PIO_AMX_LOAD(6, worker->scratch, PIO_AMX_ROW_BYTES);                                                               \
    PIO_AMX_LOAD(7, worker->scratch, PIO_AMX_ROW_BYTES);                                                               \
    for (pio_u64 n = 0; n < ops; n += ROUNDS * DOTS * ops_a_dot)                                                       \
        for (int i = 0; i < ROUNDS; i++) {                                                                             \
            dot(0, 4, 6);                                                                                              \
            dot(1, 4, 7);                                                                                              \
            dot(2, 5, 6);                                                                                              \
            dot(3, 5, 7);                                                                                              \
        }                                                                                                              \
    PIO_AMX_STORE(0, worker->scratch, PIO_AMX_ROW_BYTES);                                                              \
    pio_amx_release();                                                                                                 \
    if (worker->index == 0) PIO_AT(pio_u64, a->done)[0] = ops;

void pio_probe_s8_amx(const void *args, pio_worker *worker) {
    RUN(PIO_AMX_DOT_S8_U8, 64)
}

void pio_probe_bf16_amx(const void *args, pio_worker *worker) {
    RUN(PIO_AMX_DOT_BF16, 32)
}
