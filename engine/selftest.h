/* The device's self-test: before a model is used, each kernel that its plans chose answers one case. */
#ifndef PIO_ENGINE_SELFTEST_H
#define PIO_ENGINE_SELFTEST_H

#include "graph/plan.h"
#include "kernels/case.h"

/* Runs the first case that the row serves; PIO_CASE_NOT_SERVED: there is none. */
pio_status pio_self_test_row(const pio_row *row, const pio_case_device *device, pio_case_result *result,
                             pio_error *error);

/* The rows of some plans, each once, and those of them that answer wrongly. */
enum { PIO_SELF_TEST_ROWS = 256 };
typedef struct pio_self_test {
    const pio_case_device *device; /* NULL: this CPU */
    const pio_row *rows[PIO_SELF_TEST_ROWS], *failed[PIO_SELF_TEST_ROWS];
    int n_rows, n_tested, n_failed; /* rows[0..n_tested) have been tried */
    /* Told of each that fails. */
    void (*on_failure)(void *user, const pio_row *row, const char *what);
    void *user;
} pio_self_test;

/* Adds the plan's rows that are not there yet. */
void pio_self_test_add(pio_self_test *test, const pio_plan *plan);

/* Tries those that were added since the last time. A device compiles all their kernels before the first one runs. */
pio_status pio_self_test_run(pio_self_test *test, pio_error *error);

#endif
