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

/* Whether it is no fault of the kernels that are compiled, which say so when their row is tried. */
static bool is_grave(pio_status status) {
    return status == PIO_OUT_OF_MEMORY || status == PIO_DEVICE_LOST;
}

static pio_status compile(const pio_self_test *test, pio_error *error) {
    pio_list *list = NULL;
    pio_status status = pio_list_create(test->device->device, false, &list, error);
    if (status) return status;
    for (int i = test->n_tested; i < test->n_rows && !is_grave(status); i++) {
        bool served = false;
        status = PIO_OK;
        for (int index = 0; !status && !served; index++)
            status = pio_case_record(test->rows[i], test->device, index, SEED, WORKERS, list, &served, error);
    }
    if (!is_grave(status)) status = pio_list_end(list, error);
    pio_list_destroy(list);
    return is_grave(status) ? status : PIO_OK;
}

pio_status pio_self_test_run(pio_self_test *test, pio_error *error) {
    if (test->device && test->n_tested < test->n_rows) {
        pio_status status = compile(test, error);
        if (status) return status;
    }
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
