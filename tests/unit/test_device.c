/* Choosing a device, and what the null device is good for: plans, lists and their submission, but no answers. */
#include "tests/support/test.h"

#include <string.h>

#include "engine/device.h"
#include "engine/request.h"
#include "engine/step.h"

#define TINY PIO_SOURCE_DIR "/assets/tiny/qwen3_4b_instruct_2507"

static pio_engine_options options_of(int backend) {
    return (pio_engine_options){.backend = backend, .device = PIO_AUTO, .n_threads = 2, .weights = PIO_DTYPE_BF16};
}

static void unknown_backends_list_the_known(void **state) {
    (void)state;
    pio_error error = {0};
    int backend = 7;
    static const char *const unknown[] = {"", "cud", "CPU", "gpu", "auto ", "a name that is far longer than it should"};
    for (size_t i = 0; i < PIO_COUNT(unknown); i++) {
        assert_int_equal(pio_backend_parse(unknown[i], &backend, &error), PIO_INVALID_ARGUMENT);
        assert_non_null(strstr(error.text, "PIO_BACKEND"));
        assert_non_null(strstr(error.text, "one of auto, cpu, null, vulkan, cuda, hip"));
        char quoted[64];
        snprintf(quoted, sizeof quoted, "'%.40s'", unknown[i]);
        assert_non_null(strstr(error.text, quoted));
    }
}

static void known_backends_are_parsed(void **state) {
    (void)state;
    int backend = 7;
    assert_int_equal(pio_backend_parse("auto", &backend, NULL), PIO_OK);
    assert_int_equal(backend, PIO_AUTO);
    for (int i = 0; i < PIO_BACKEND_COUNT; i++) {
        assert_int_equal(pio_backend_parse(pio_backend_name((pio_backend)i), &backend, NULL), PIO_OK);
        assert_int_equal(backend, i);
    }
}

static bool is_built(int backend) {
    const pio_driver *driver;
    for (int i = 0; (driver = pio_driver_at(i)); i++)
        if ((int)driver->backend == backend) return true;
    return false;
}

/* A backend that the build or the machine lacks is refused in one sentence, and nothing else is taken instead. */
static void missing_backends_say_what_there_is(void **state) {
    (void)state;
    for (int backend = 0; backend < PIO_BACKEND_COUNT; backend++) {
        const pio_engine_options options = options_of(backend);
        pio_chosen_device chosen;
        pio_error error = {0};
        pio_status status = pio_choose_device(&options, &chosen, &error);
        if (!status) {
            assert_int_equal(chosen.caps.backend, backend);
            pio_device_destroy(chosen.device);
            continue;
        }
        assert_int_equal(status, PIO_UNSUPPORTED);
        assert_null(chosen.device);
        assert_non_null(strstr(error.text, pio_backend_name((pio_backend)backend)));
        assert_null(strchr(error.text, '\n'));
        if (is_built(backend)) continue;
        assert_non_null(strstr(error.text, "this build does not have"));
        assert_non_null(strstr(error.text, "it has "));
        assert_non_null(strstr(error.text, "null, cpu"));
        assert_non_null(strstr(error.text, "PIO_BACKEND"));
    }
}

static void devices_out_of_range_are_refused(void **state) {
    (void)state;
    pio_engine_options options = options_of(PIO_BACKEND_CPU);
    pio_chosen_device chosen;
    pio_error error = {0};
    options.device = 1;
    assert_int_equal(pio_choose_device(&options, &chosen, &error), PIO_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "no device 1"));
    options.device = 0;
    options.n_threads = 100000;
    assert_int_equal(pio_choose_device(&options, &chosen, &error), PIO_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "100000 threads"));
    assert_null(chosen.device);
}

static void the_default_computes(void **state) {
    (void)state;
    const pio_engine_options options = options_of(PIO_AUTO);
    pio_chosen_device chosen;
    pio_error error = {0};
    assert_int_equal(pio_choose_device(&options, &chosen, &error), PIO_OK);
    assert_true(chosen.caps.computes);
    assert_int_not_equal(chosen.caps.backend, PIO_BACKEND_NULL);
    assert_true(strlen(chosen.reason) > 0);
    pio_device_destroy(chosen.device);
}

static void null_runs_whole_steps(void **state) {
    (void)state;
    const pio_engine_options options = options_of(PIO_BACKEND_NULL);
    static const int32_t ids[] = {1, 2, 3, 4, 5}, pages[] = {1};
    pio_error error = {0};
    pio_model *model;
    uint64_t number;
    if (pio_model_open(TINY, &options, &model, &error)) fail_msg("%s", error.text);
    assert_int_equal(model->chosen.caps.backend, PIO_BACKEND_NULL);
    if (pio_model_load(model, &error)) fail_msg("%s", error.text);
    for (int i = 0; i < 4; i++) {
        const pio_step_item item = {ids, i ? 1 : 5, i ? 4 + i : 0, pages, 1};
        assert_int_equal(pio_step_body(model, &item, 1, &error), PIO_OK);
        assert_int_equal(pio_step_head(model, &(pio_step_out){.row = item.n - 1, .slot = -1}, 1, &number, &error),
                         PIO_OK);
        assert_int_equal(number, 2 * (i + 1));
        assert_int_equal(pio_step_wait(model, number, &error), PIO_OK);
    }
    pio_model_close(model);
}

static void null_has_no_answers(void **state) {
    (void)state;
    const pio_engine_options options = options_of(PIO_BACKEND_NULL);
    pio_error error = {0};
    pio_model *model;
    if (pio_model_open(TINY, &options, &model, &error)) fail_msg("%s", error.text);
    if (pio_model_load(model, &error)) fail_msg("%s", error.text);
    pio_engine *engine = (pio_engine *)model;
    assert_int_equal(pio_engine_create(model, &engine, &error), PIO_UNSUPPORTED);
    assert_null(engine);
    assert_non_null(strstr(error.text, "null backend computes nothing"));
    assert_non_null(strstr(error.text, "PIO_BACKEND"));
    pio_model_close(model);
}

/* Without instruction sets, the plan holds rows for any machine only. */
static void null_plans_for_other_machines(void **state) {
    (void)state;
    for (int without = 0; without < 2; without++) {
        pio_engine_options options = options_of(PIO_BACKEND_NULL);
        pio_error error = {0};
        pio_model *model;
        uint32_t used = 0;
        options.config_only = true;
        options.cpu_features_off = without ? PIO_CPU_AVX2 | PIO_CPU_AVX512 | PIO_CPU_AVX512BF16 | PIO_CPU_AMX : 0;
        if (pio_model_open(TINY, &options, &model, &error)) fail_msg("%s", error.text);
        for (int i = 0; i < model->body.n; i++)
            for (int32_t n = 0; n < model->body.items[i].plan.n_nodes; n++)
                used |= model->body.items[i].plan.nodes[n].row->features;
        assert_int_equal(used == 0, without);
        pio_model_close(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_backends_list_the_known),
        cmocka_unit_test(known_backends_are_parsed),
        cmocka_unit_test(missing_backends_say_what_there_is),
        cmocka_unit_test(devices_out_of_range_are_refused),
        cmocka_unit_test(the_default_computes),
        cmocka_unit_test(null_runs_whole_steps),
        cmocka_unit_test(null_has_no_answers),
        cmocka_unit_test(null_plans_for_other_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
