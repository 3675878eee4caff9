/* The device's self-test: before a model is used, each kernel that its plans chose answers one case. */
#ifndef PIO_ENGINE_SELFTEST_H
#define PIO_ENGINE_SELFTEST_H

#include "graph/plan.h"
#include "kernels/case.h"

/* Runs the first case that the row serves; PIO_CASE_NOT_SERVED: there is none. */
pio_status pio_self_test_row(const pio_row *row, const pio_case_device *device, pio_case_result *result,
                             pio_error *error);

/* Tests every row of the plan that is not in tested[0..*n_tested), adds it there, and moves those that answer wrongly
 * to the list `failed`. Both hold PIO_SELF_TEST_ROWS. */
enum { PIO_SELF_TEST_ROWS = 256 };
typedef struct pio_self_test {
    const pio_case_device *device; /* NULL: this CPU */
    const pio_row *tested[PIO_SELF_TEST_ROWS], *failed[PIO_SELF_TEST_ROWS];
    int n_tested, n_failed;
    /* Told of each that fails. */
    void (*on_failure)(void *user, const pio_row *row, const char *what);
    void *user;
} pio_self_test;

pio_status pio_self_test_plan(pio_self_test *test, const pio_plan *plan, pio_error *error);

#endif
