/* A group of threads that work together, and the barrier at which they meet. Waiting spins for some 50 us, since the
 * next work is usually nearer than a wake-up, then sleeps. */
#ifndef PIO_BASE_THREADS_H
#define PIO_BASE_THREADS_H

#include <stdatomic.h>

#include "base/status.h"

enum { PIO_MAX_THREADS = 1024 };

/* Threads worth having here: one a physical core where the topology is visible, within affinity and cgroup quota. */
int pio_threads_default(void);

typedef struct pio_pool pio_pool;

/* n_threads threads, the caller of pio_pool_run among them; 0: the default. More than PIO_MAX_THREADS are refused. */
pio_status pio_pool_create(int n_threads, pio_pool **out, pio_error *error);
void pio_pool_destroy(pio_pool *pool);
int pio_pool_size(const pio_pool *pool);

/* Calls work(context, worker, n_workers) once on every thread, the caller being worker 0, and returns when all have
 * returned. One thread at a time may run a pool. */
void pio_pool_run(pio_pool *pool, void (*work)(void *context, int worker, int n_workers), void *context);

/* A point that n threads pass together. Those who wait look at one cache line, those who arrive write to another: else
 * every arrival would take the line from all who wait. */
typedef struct pio_barrier {
    atomic_uint phase;
    atomic_int sleepers;
    int n;
    char apart[64];
    atomic_int arrived;
    char apart_from_others[64];
} pio_barrier;

void pio_barrier_init(pio_barrier *barrier, int n);
void pio_barrier_wait(pio_barrier *barrier);

#endif
