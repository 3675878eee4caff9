#include "engine/selftest.h"

enum { SEED = 1, WORKERS = 2 };

pio_status pio_self_test_row(const pio_row *row, const pio_case_device *device, pio_case_result *result,
                             pio_error *error) {
    pio_status status = PIO_OK;
    result->outcome = PIO_CASE_NOT_SERVED;
    for (int index = 0; !status && result->outcome == PIO_CASE_NOT_SERVED; index++)
        status = pio_case_run(row, device, index, SEED, WORKERS, PIO_ENC_F32, result, error);
    return status == PIO_NOT_FOUND ? PIO_OK : status;
}

static bool is_there(const pio_self_test *test, const pio_row *row) {
    for (int i = 0; i < test->n_rows; i++)
        if (test->rows[i] == row) return true;
    return false;
}

void pio_self_test_add(pio_self_test *test, const pio_plan *plan) {
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const pio_row *row = plan->nodes[i].row;
        if (!is_there(test, row) && test->n_rows < PIO_SELF_TEST_ROWS) test->rows[test->n_rows++] = row;
    }
}

/* What cannot be recorded or compiled says so when its row is tried. */
static void compile(const pio_self_test *test) {
    pio_list *list = NULL;
    if (pio_list_create(test->device->device, false, &list, NULL)) return;
    for (int i = test->n_tested; i < test->n_rows; i++) {
        bool served = false;
        for (int index = 0; !served; index++)
            if (pio_case_record(test->rows[i], test->device, index, SEED, WORKERS, list, &served, NULL)) break;
    }
    (void)pio_list_end(list, NULL);
    pio_list_destroy(list);
}

pio_status pio_self_test_run(pio_self_test *test, pio_error *error) {
    if (test->device && test->n_tested < test->n_rows) compile(test);
    for (; test->n_tested < test->n_rows; test->n_tested++) {
        const pio_row *row = test->rows[test->n_tested];
        pio_case_result result;
        pio_status status = pio_self_test_row(row, test->device, &result, error);
        if (status) return status;
        if (result.outcome != PIO_CASE_FAILED) continue;
        test->failed[test->n_failed++] = row;
        test->on_failure(test->user, row, result.text);
    }
    return PIO_OK;
}
