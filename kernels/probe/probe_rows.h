/* PROBE_READ and the float32 PROBE_OPS, one source for all instruction sets: a file a set defines ISA(name). */
#include "kernels/dialect/vector.h"
#include "kernels/families.h"

enum { LANE_WORDS = PIO_PROBE_PIECE / 32 };

void ISA(pio_probe_read)(const void *args, pio_worker *worker) {
    const pio_probe_read_args *a = args;
    pio_u64 from, to, lanes[LANE_WORDS] = {0}, sum = 0;
    pio_probe_share(a, worker, &from, &to);
    for (pio_u64 at = from; at < to; at += PIO_PROBE_PIECE) {
        const pio_u64 *words = PIO_AT(const pio_u64, a->data + at);
        for (int i = 0; i < PIO_PROBE_PIECE; i += 64) PIO_PREFETCH((const char *)words + 4 * PIO_PROBE_PIECE + i);
        for (int q = 0; q < 4; q++)
            for (int i = 0; i < LANE_WORDS; i++) lanes[i] += words[q * LANE_WORDS + i];
    }
    for (int i = 0; i < LANE_WORDS; i++) sum += lanes[i];
    PIO_AT(pio_u64, a->sums)[worker->index] = sum;
}
