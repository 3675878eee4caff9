/* Memory for calls that a test makes itself and that rows of every backend run: a device works on a copy of all of it,
 * which comes back behind the row. */
#ifndef PIO_TESTS_SHARED_H
#define PIO_TESTS_SHARED_H

#include "kernels/kernel.h"

/* Zeroed, 64-byte aligned, until test_shared_reset. */
void *test_shared(size_t bytes);
void test_shared_reset(void);

/* Where `row` finds that memory (NULL: the reference), for addresses that stand in the memory itself. The operands of
 * a call are host addresses. */
pio_u64 test_shared_address(const pio_row *row, const void *pointer);

/* Whether a device of the row's backend is here and has what the row requires; runs the row on it. */
bool test_shared_runs(const pio_row *row);
void test_shared_run(const pio_row *row, const pio_call *call);

/* Closes the devices: a group's teardown. */
int test_shared_close(void **state);

#endif
