#include "tests/support/rows.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORKERS = 16 };

typedef struct group {
    pio_recorder recorder; /* first: the row's record() sees only this */
    const pio_row *row;
    int n_workers;
    void *scratch[MOST_WORKERS];
} group;

typedef struct thread {
    pthread_t id;
    pio_cpu_function function;
    const void *args;
    pio_worker worker;
} thread;

static void *enter(void *user) {
    thread *t = user;
    t->function(t->args, &t->worker);
    return NULL;
}

static void run(group *g, pio_cpu_function function, const void *args) {
    thread threads[MOST_WORKERS];
    atomic_int next = 0;
    for (int i = 0; i < g->n_workers; i++) {
        threads[i] = (thread){.function = function, .args = args};
        threads[i].worker = (pio_worker){i, g->n_workers, &next, g->scratch[i], PIO_WORKER_SCRATCH_BYTES};
        memset(g->scratch[i], 0xff, PIO_WORKER_SCRATCH_BYTES); /* NaN */
        assert_int_equal(pthread_create(&threads[i].id, NULL, enter, &threads[i]), 0);
    }
    for (int i = 0; i < g->n_workers; i++) pthread_join(threads[i].id, NULL);
}

static pio_status dispatch(pio_recorder *recorder, int index, const pio_launch *launch, const void *args,
                           size_t args_bytes, pio_error *error) {
    group *g = (group *)recorder;
    (void)launch, (void)args_bytes, (void)error;
    run(g, g->row->functions[index], args);
    return PIO_OK;
}

static pio_status barrier(pio_recorder *recorder, pio_error *error) {
    (void)recorder, (void)error;
    return PIO_OK;
}

static group begin(const pio_row *row, int n_workers) {
    group g = {.recorder = {dispatch, barrier}, .row = row, .n_workers = n_workers};
    assert_in_range(n_workers, 1, MOST_WORKERS);
    for (int i = 0; i < n_workers; i++) assert_non_null(g.scratch[i] = aligned_alloc(64, PIO_WORKER_SCRATCH_BYTES));
    return g;
}

static void end(group *g) {
    for (int i = 0; i < g->n_workers; i++) free(g->scratch[i]);
}

bool test_row_runs_here(const pio_row *row) {
    uint32_t has = 0;
    if (row->backend != PIO_BACKEND_CPU) return false; /* see shared.h */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) has |= PIO_CPU_AVX2;
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni")) has |= PIO_CPU_AVX512;
    if (__builtin_cpu_supports("avx512bf16")) has |= PIO_CPU_AVX512BF16;
    return (row->features & ~has) == 0;
}

void test_row_run(const pio_row *row, pio_call *call) {
    group g = begin(row, call->n_workers);
    size_t bytes = row->scratch ? row->scratch(call) : 0;
    void *scratch = NULL;
    if (bytes) {
        assert_non_null(scratch = aligned_alloc(64, (bytes + 63) / 64 * 64));
        memset(scratch, 0xff, bytes);
    }
    call->scratch = (pio_addr)(uintptr_t)scratch;
    assert_int_equal(pio_row_record(row, &g.recorder, call, NULL), PIO_OK);
    free(scratch);
    end(&g);
}

void test_reference_run(pio_call *call) {
    group g = begin(NULL, call->n_workers);
    uint64_t args[PIO_ARGS_MAX_BYTES / 8];
    pio_op_get(call->op)->bind(call, args);
    run(&g, pio_op_get(call->op)->reference, args);
    end(&g);
}
