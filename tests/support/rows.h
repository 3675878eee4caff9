/* Running a row of the CPU without a device: a group of threads, and the row's dispatches one after another. */
#ifndef PIO_TESTS_ROWS_H
#define PIO_TESTS_ROWS_H

#include "kernels/kernel.h"

/* Whether this machine can run the row. */
bool test_row_runs_here(const pio_row *row);

/* Runs the row on the call with call->n_workers threads (call->scratch is set here), or its op's reference. */
void test_row_run(const pio_row *row, pio_call *call);
void test_reference_run(pio_call *call);

#endif
