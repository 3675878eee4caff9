#include "base/threads.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#else
#define RELAX() sched_yield()
#endif

enum { SPIN_NS = 50000, SPINS_A_LOOK = 64 };

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- waiting ---- */

/* Returns once *word is no longer `old`. Whoever changes it calls wake() afterwards. */
static void wait_while(atomic_uint *word, unsigned old, atomic_int *sleepers) {
    uint64_t until = 0;
    for (unsigned spins = 1; atomic_load_explicit(word, memory_order_acquire) == old; spins++) {
        RELAX();
        if (spins % SPINS_A_LOOK) continue;
        uint64_t now = now_ns();
        if (!until) until = now + SPIN_NS;
        if (now < until) continue;
        atomic_fetch_add(sleepers, 1);
        while (atomic_load(word) == old) syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
        atomic_fetch_sub(sleepers, 1);
        return;
    }
}

static void wake(atomic_uint *word, atomic_int *sleepers) {
    if (atomic_load(sleepers) > 0) syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void pio_barrier_init(pio_barrier *barrier, int n) {
    atomic_init(&barrier->arrived, 0);
    atomic_init(&barrier->sleepers, 0);
    atomic_init(&barrier->phase, 0);
    barrier->n = n;
}

void pio_barrier_wait(pio_barrier *barrier) {
    if (barrier->n == 1) return;
    unsigned phase = atomic_load_explicit(&barrier->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&barrier->arrived, 1, memory_order_acq_rel) + 1 < barrier->n) {
        wait_while(&barrier->phase, phase, &barrier->sleepers);
        return;
    }
    atomic_store_explicit(&barrier->arrived, 0, memory_order_relaxed);
    atomic_store(&barrier->phase, phase + 1);
    wake(&barrier->phase, &barrier->sleepers);
}

/* ---- how many ---- */

/* The first number of a file, or `otherwise`. */
static long read_number(const char *path, long otherwise) {
    FILE *file = fopen(path, "r");
    long value;
    if (!file) return otherwise;
    if (fscanf(file, "%ld", &value) != 1) value = otherwise;
    fclose(file);
    return value;
}

/* Whether `cpu` is the first usable thread of its core. */
static bool first_of_core(int cpu, const cpu_set_t *usable) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    long first = read_number(path, cpu);
    return first == cpu || first < 0 || first >= CPU_SETSIZE || !CPU_ISSET((size_t)first, usable);
}

/* The CPUs for a group's threads, a core's first threads. Returns their number. */
static int list_cpus(int cpus[PIO_MAX_THREADS]) {
    cpu_set_t usable;
    int n = 0;
    CPU_ZERO(&usable);
    if (sched_getaffinity(0, sizeof usable, &usable)) return 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && n < PIO_MAX_THREADS; cpu++)
        if (CPU_ISSET((size_t)cpu, &usable) && first_of_core(cpu, &usable)) cpus[n++] = cpu;
    return n;
}

int pio_threads_default(void) {
    int cpus[PIO_MAX_THREADS], n = list_cpus(cpus);
    pio_cgroup group;
    pio_cgroup_self(&group);
    return pio_cgroup_cpus(&group, n < 1 ? 1 : n);
}

/* ---- the group ---- */

struct pio_pool {
    int n;
    pthread_t *threads; /* [n - 1] */
    void (*work)(void *, int, int);
    void *context;
    atomic_uint epoch; /* rises with each run */
    atomic_int sleepers;
    pio_barrier done;
    atomic_bool stop;
};

typedef struct start {
    pio_pool *pool;
    int worker;
} start;

static void *run_worker(void *argument) {
    start s = *(start *)argument;
    free(argument);
    for (unsigned epoch = 0;; epoch++) {
        wait_while(&s.pool->epoch, epoch, &s.pool->sleepers);
        if (atomic_load(&s.pool->stop)) return NULL;
        s.pool->work(s.pool->context, s.worker, s.pool->n);
        pio_barrier_wait(&s.pool->done);
    }
}

/* A thread that takes no signals but those of its own faults: others are for the program's own threads, which may wait
 * for one. */
static int create_quietly(pthread_t *thread, void *(*run)(void *), void *argument) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    sigset_t others, before;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&others, own[i]);
    pthread_sigmask(SIG_BLOCK, &others, &before);
    const int failed = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* A thread that cannot be bound to its CPU works all the same. */
static bool start_worker(pio_pool *pool, int worker, const int *cpus, int n_cpus) {
    start *s = malloc(sizeof *s);
    if (!s) return false;
    *s = (start){pool, worker};
    if (create_quietly(&pool->threads[worker - 1], run_worker, s)) {
        free(s);
        return false;
    }
    if (pool->n <= n_cpus) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET((size_t)cpus[worker], &one);
        pthread_setaffinity_np(pool->threads[worker - 1], sizeof one, &one);
    }
    return true;
}

static void stop_workers(pio_pool *pool, int n_started) {
    atomic_store(&pool->stop, true);
    atomic_fetch_add(&pool->epoch, 1);
    wake(&pool->epoch, &pool->sleepers);
    for (int i = 0; i < n_started; i++) pthread_join(pool->threads[i], NULL);
}

pio_status pio_pool_create(int n_threads, pio_pool **out, pio_error *error) {
    *out = NULL;
    int cpus[PIO_MAX_THREADS], n_cpus = list_cpus(cpus), n = n_threads > 0 ? n_threads : pio_threads_default();
    if (n > PIO_MAX_THREADS)
        return pio_fail(error, PIO_LIMIT, "%d threads are more than the %d that are possible", n, PIO_MAX_THREADS);
    pio_pool *pool = calloc(1, sizeof *pool);
    if (pool) pool->threads = calloc((size_t)n, sizeof *pool->threads);
    if (!pool || !pool->threads) {
        free(pool);
        return pio_fail_memory(error, "threads", sizeof(pthread_t) * (size_t)n);
    }
    pool->n = n;
    pio_barrier_init(&pool->done, n);
    for (int worker = 1; worker < n; worker++) {
        if (start_worker(pool, worker, cpus, n_cpus)) continue;
        stop_workers(pool, worker - 1);
        free(pool->threads);
        free(pool);
        return pio_fail(error, PIO_OUT_OF_MEMORY, "thread %d of %d cannot be started: use fewer with --threads",
                        worker + 1, n);
    }
    *out = pool;
    return PIO_OK;
}

void pio_pool_destroy(pio_pool *pool) {
    if (!pool) return;
    stop_workers(pool, pool->n - 1);
    free(pool->threads);
    free(pool);
}

int pio_pool_size(const pio_pool *pool) {
    return pool->n;
}

void pio_pool_run(pio_pool *pool, void (*work)(void *, int, int), void *context) {
    pool->work = work;
    pool->context = context;
    if (pool->n > 1) {
        atomic_fetch_add(&pool->epoch, 1);
        wake(&pool->epoch, &pool->sleepers);
    }
    work(context, 0, pool->n);
    pio_barrier_wait(&pool->done);
}
