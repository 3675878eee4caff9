/* The self-test finds a kernel that answers wrongly, and a model does without the rows that were found. */
#include "tests/support/test.h"

#include <string.h>

#include "engine/model.h"
#include "engine/selftest.h"
#include "kernels/norm/norm.h"

#define TINY PIO_SOURCE_DIR "/assets/tiny/qwen3_4b_instruct_2507"

static const pio_row *portable_row(pio_op op) {
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++)
        if (rows[i]->op == op && rows[i]->portable) return rows[i];
    return NULL;
}

static void do_nothing(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}

static void a_right_kernel_passes(void **state) {
    (void)state;
    pio_case_result result;
    pio_error error;
    assert_int_equal(pio_self_test_row(portable_row(PIO_OP_RMSNORM), NULL, &result, &error), PIO_OK);
    assert_int_equal(result.outcome, PIO_CASE_PASSED);
}

static void a_wrong_kernel_is_found(void **state) {
    (void)state;
    pio_row broken = *portable_row(PIO_OP_RMSNORM);
    static const pio_cpu_function functions[] = {do_nothing};
    memcpy(broken.functions, functions, sizeof functions);
    pio_case_result result;
    pio_error error;
    assert_int_equal(pio_self_test_row(&broken, NULL, &result, &error), PIO_OK);
    assert_int_equal(result.outcome, PIO_CASE_FAILED);
    assert_true(strlen(result.text) > 0);
}

static bool uses(const pio_model *model, const pio_row *row) {
    for (int i = 0; i < model->body.n; i++)
        for (int32_t n = 0; n < model->body.items[i].plan.n_nodes; n++)
            if (model->body.items[i].plan.nodes[n].row == row) return true;
    return false;
}

static void a_model_does_without_disabled_rows(void **state) {
    (void)state;
    const pio_engine_options options = {.backend = PIO_BACKEND_CPU, .device = PIO_AUTO, .weights = PIO_DTYPE_BF16};
    pio_model *model;
    pio_error error;
    const pio_row *first = NULL, *disabled[PIO_MAX_DISABLED] = {NULL};
    assert_int_equal(pio_model_open_without(TINY, &options, disabled, 0, &model, &error), PIO_OK);
    int n = 0;
    for (int32_t i = 0; i < model->body.items[0].plan.n_nodes && n < PIO_MAX_DISABLED; i++) {
        const pio_row *row = model->body.items[0].plan.nodes[i].row;
        bool known = row->portable;
        for (int k = 0; k < n; k++) known |= disabled[k] == row;
        if (!known) disabled[n++] = row;
    }
    first = n ? disabled[0] : NULL;
    pio_model_close(model);
    assert_int_equal(pio_model_open_without(TINY, &options, disabled, n, &model, &error), PIO_OK);
    for (int i = 0; i < n; i++) assert_false(uses(model, disabled[i]));
    pio_model_close(model);
    if (!first) print_message("this machine chose portable rows only: nothing was disabled\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_kernel_passes),
        cmocka_unit_test(a_wrong_kernel_is_found),
        cmocka_unit_test(a_model_does_without_disabled_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
