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

static bool is_tested(const pio_self_test *test, const pio_row *row) {
    for (int i = 0; i < test->n_tested; i++)
        if (test->tested[i] == row) return true;
    return false;
}

pio_status pio_self_test_plan(pio_self_test *test, const pio_plan *plan, pio_error *error) {
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const pio_row *row = plan->nodes[i].row;
        if (is_tested(test, row) || test->n_tested == PIO_SELF_TEST_ROWS) continue;
        pio_case_result result;
        pio_status status = pio_self_test_row(row, test->device, &result, error);
        if (status) return status;
        test->tested[test->n_tested++] = row;
        if (result.outcome != PIO_CASE_FAILED) continue;
        test->failed[test->n_failed++] = row;
        test->on_failure(test->user, row, result.text);
    }
    return PIO_OK;
}
