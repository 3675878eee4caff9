/* Groups of threads and their barrier, with more threads than CPUs too. */
#include "tests/support/test.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/threads.h"
#include "tests/support/random.h"

enum { MOST = 8 };

static pio_pool *make(int n) {
    pio_error error = {0};
    pio_pool *pool;
    if (pio_pool_create(n, &pool, &error)) fail_msg("%s", error.text);
    assert_int_equal(pio_pool_size(pool), n ? n : pio_threads_default());
    return pool;
}

/* What a run leaves behind. The entries are plain memory: a run orders them. */
typedef struct record {
    int calls[MOST], n_workers[MOST];
    int value; /* set before the run */
    int seen[MOST];
} record;

static void note(void *context, int worker, int n_workers) {
    record *r = context;
    r->calls[worker]++;
    r->n_workers[worker] = n_workers;
    r->seen[worker] = r->value;
}

static void a_run_calls_every_worker_once(void **state) {
    (void)state;
    enum { RUNS = 2000 };
    for (int n = 1; n <= MOST; n++) {
        record r = {0};
        pio_pool *pool = make(n);
        for (int run = 1; run <= RUNS; run++) {
            r.value = run;
            pio_pool_run(pool, note, &r);
            for (int i = 0; i < MOST; i++) {
                assert_int_equal(r.calls[i], i < n ? run : 0);
                assert_int_equal(r.n_workers[i], i < n ? n : 0);
                assert_int_equal(r.seen[i], i < n ? run : 0);
            }
        }
        pio_pool_destroy(pool);
    }
}

/* Workers that went to sleep, far beyond the time that they spin, come back. */
static void sleepers_wake(void **state) {
    (void)state;
    const struct timespec pause = {.tv_nsec = 3000000};
    record r = {.value = 7};
    pio_pool *pool = make(4);
    for (int run = 1; run <= 20; run++) {
        nanosleep(&pause, NULL);
        pio_pool_run(pool, note, &r);
        for (int i = 0; i < 4; i++) assert_int_equal(r.calls[i], run);
    }
    nanosleep(&pause, NULL);
    pio_pool_destroy(pool); /* asleep */
}

typedef struct rounds {
    pio_barrier barrier;
    int n_rounds;
    int cells[MOST]; /* each written by its worker before a barrier and read by the next one after it */
    atomic_int wrong;
    bool dawdle; /* worker 0 comes late, so that the others sleep at the barrier */
} rounds;

static void go_round(void *context, int worker, int n) {
    rounds *r = context;
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int round = 0; round < r->n_rounds; round++) {
        if (r->dawdle && worker == round % n) nanosleep(&pause, NULL);
        r->cells[worker] = round * MOST + worker;
        pio_barrier_wait(&r->barrier);
        int next = (worker + 1) % n;
        if (r->cells[next] != round * MOST + next) atomic_fetch_add(&r->wrong, 1);
        pio_barrier_wait(&r->barrier);
    }
}

static void barriers_order_memory(void **state) {
    (void)state;
    for (int n = 1; n <= MOST; n++) {
        rounds r = {.n_rounds = 500};
        pio_pool *pool = make(n);
        pio_barrier_init(&r.barrier, n);
        pio_pool_run(pool, go_round, &r);
        r.dawdle = true;
        r.n_rounds = 10;
        pio_pool_run(pool, go_round, &r);
        assert_int_equal(atomic_load(&r.wrong), 0);
        for (int i = 0; i < n; i++) assert_int_equal(r.cells[i], 9 * MOST + i);
        pio_pool_destroy(pool);
    }
}

static void groups_are_independent(void **state) {
    (void)state;
    record a = {.value = 1}, b = {.value = 2};
    pio_pool *first = make(3), *second = make(2);
    for (int run = 1; run <= 500; run++) {
        pio_pool_run(first, note, &a);
        pio_pool_run(second, note, &b);
    }
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(a.calls[i], i < 3 ? 500 : 0);
        assert_int_equal(b.calls[i], i < 2 ? 500 : 0);
    }
    pio_pool_destroy(first);
    pio_pool_run(second, note, &b);
    assert_int_equal(b.calls[1], 501);
    pio_pool_destroy(second);
}

static void groups_come_and_go(void **state) {
    (void)state;
    test_random random = test_random_begin("groups_come_and_go");
    pio_pool_destroy(NULL);
    for (int i = 0; i < 200; i++) {
        record r = {0};
        int n = 1 + (int)test_random_below(&random, MOST), runs = (int)test_random_below(&random, 4);
        pio_pool *pool = make(n);
        for (int run = 0; run < runs; run++) pio_pool_run(pool, note, &r);
        for (int w = 0; w < n; w++) assert_int_equal(r.calls[w], runs);
        pio_pool_destroy(pool);
    }
}

static void look_at_signals(void *context, int worker, int n_workers) {
    bool *blocked = context;
    sigset_t now;
    (void)n_workers;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    blocked[worker] = sigismember(&now, SIGINT);
}

/* A Ctrl-C comes to the thread that waits for it. */
static void workers_take_no_signals(void **state) {
    (void)state;
    bool blocked[3] = {0};
    pio_pool *pool = make(3);
    pio_pool_run(pool, look_at_signals, blocked);
    assert_false(blocked[0]); /* the caller's own thread */
    assert_true(blocked[1] && blocked[2]);
    pio_pool_destroy(pool);
}

static void the_default_is_sensible(void **state) {
    (void)state;
    record r = {.value = 3};
    assert_in_range(pio_threads_default(), 1, PIO_MAX_THREADS);
    pio_pool *pool = make(0);
    if (pio_pool_size(pool) <= MOST) pio_pool_run(pool, note, &r);
    pio_pool_destroy(pool);
}

static void too_many_are_refused(void **state) {
    (void)state;
    pio_error error = {0};
    pio_pool *pool = (pio_pool *)&error;
    assert_int_equal(pio_pool_create(PIO_MAX_THREADS + 1, &pool, &error), PIO_LIMIT);
    assert_null(pool);
    assert_non_null(strstr(error.text, "1025"));
    assert_non_null(strstr(error.text, "1024"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_calls_every_worker_once),
        cmocka_unit_test(sleepers_wake),
        cmocka_unit_test(barriers_order_memory),
        cmocka_unit_test(groups_are_independent),
        cmocka_unit_test(groups_come_and_go),
        cmocka_unit_test(workers_take_no_signals),
        cmocka_unit_test(the_default_is_sensible),
        cmocka_unit_test(too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
