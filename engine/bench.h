/* How fast a loaded model is, as a fraction of what its device could do. */
#ifndef PIO_ENGINE_BENCH_H
#define PIO_ENGINE_BENCH_H

#include "engine/ceiling.h"
#include "engine/cost.h"

typedef struct pio_bench_test {
    const char *name; /* "prefill", "decode" or "vision" */
    int32_t batch;    /* sequences */
    int32_t tokens;   /* of each, in one go */
    int32_t context;  /* tokens in each one's cache before; filled with random numbers */
    int repeats;      /* timed runs, of which the median counts */
} pio_bench_test;

typedef struct pio_bench_result {
    pio_bench_test test;
    double *runs_s; /* [test.repeats] seconds of every timed run, in their order */
    double seconds; /* their median */
    double tokens_per_s;
    pio_cost cost;
} pio_bench_result;

void pio_bench_result_free(pio_bench_result *result);

/* Runs one test, into a result that is freed whatever is returned. The model's context must hold context + tokens of
 * every sequence. */
pio_status pio_bench_run(pio_model *model, const pio_bench_test *test, bool (*cancelled)(void),
                         pio_bench_result *result, pio_error *error);

/* Sees one picture of random patches, side x side of them (test->tokens is set to what they make), test->repeats times.
 */
pio_status pio_bench_vision(pio_model *model, const pio_bench_test *test, int32_t side, bool (*cancelled)(void),
                            pio_bench_result *result, pio_error *error);

/* The larger of bytes over read bandwidth and operations over the arithmetic rate, in parts of the time taken. */
double pio_bench_fraction(const pio_bench_result *result, const pio_ceilings *ceilings);

#endif
