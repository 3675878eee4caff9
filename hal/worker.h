/* What a CPU kernel sees of the device that runs it. */
#ifndef PIO_HAL_WORKER_H
#define PIO_HAL_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* One worker of the group that runs a dispatch together. */
typedef struct pio_worker {
    int index;        /* 0 .. n_workers-1 */
    int n_workers;    /* workers that run this dispatch */
    atomic_int *next; /* the dispatch's counter of further tiles, 0 at its start, shared by the group */
    void *scratch;    /* this worker's own memory, 64-byte aligned, undefined contents; kept between dispatches */
    size_t scratch_bytes;
    bool taken;             /* it has taken its first tile of this dispatch */
    bool reads_far;         /* what it streams from memory comes fastest if asked for kilobytes ahead */
    const void *reads_next; /* of a kernel that another one calls: where that goes on reading; NULL: not known */
} pio_worker;

/* A CPU kernel. `args` is the op's argument struct. Every worker of the group calls it once a dispatch; they share the
 * tiles among themselves and meet only at recorded barriers. */
typedef void (*pio_cpu_function)(const void *args, pio_worker *worker);

/* Takes the next tile of the dispatch: 0, 1, 2, ... each number once in the group, rising for each worker. A worker's
 * first tile is its own index, so that a group that begins a dispatch together does not queue for the counter's line.
 */
static inline int pio_worker_take(pio_worker *worker) {
    if (worker->taken) return worker->n_workers + atomic_fetch_add_explicit(worker->next, 1, memory_order_relaxed);
    worker->taken = true;
    return worker->index;
}

enum { PIO_WORKER_SCRATCH_BYTES = 1 << 20 };

/* How many bytes ahead of what it reads a worker asks for. */
static inline int pio_worker_ahead(bool reads_far) {
    enum { NEAR = 128, FAR = 6144 };
    return reads_far ? FAR : NEAR;
}

#endif
