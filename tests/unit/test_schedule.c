/* The barriers of every full-size plan, on the CPU's rows and on Vulkan's: each is needed. A device's own checkers see
 * nothing of kernels that reach memory by addresses, so the proof is pio_schedule_check and this: no barrier, between
 * the ops or inside a row that records several dispatches, can be taken away without its noticing. No kernel runs. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"
#include "kernels/kv_cache/kv_cache.h"
#include "models/model.h"

enum { CHUNK = 512, HEAD_ROWS = 16, WORKERS = 48 };

/* Published shapes. */
static const char *const models[] = {"glm_4_7_flash", "qwen3_4b_instruct_2507", "qwen3_coder_30b", "qwen3_vl_2b"};

/* What rows are chosen from: those of all machines, those of the poorest, and those of float32. */
static const struct {
    const char *name;
    pio_backend backend;
    uint32_t features;
    bool portable;
} devices[] = {
    {"cpu, all features", PIO_BACKEND_CPU, UINT32_MAX, false},
    {"cpu, AVX2", PIO_BACKEND_CPU, PIO_CPU_AVX2, false},
    {"cpu, float32", PIO_BACKEND_CPU, UINT32_MAX, true},
#if PIO_HAS_VULKAN
    {"vulkan, all features", PIO_BACKEND_VULKAN, UINT32_MAX, false},
    {"vulkan, no features", PIO_BACKEND_VULKAN, PIO_VULKAN_BASE, false},
    {"vulkan, float32", PIO_BACKEND_VULKAN, PIO_VULKAN_BASE, true},
#endif
};

static const pio_dtype dtypes[] = {PIO_DTYPE_BF16, PIO_DTYPE_Q8, PIO_DTYPE_Q4};

static const struct {
    const char *graph;
    int32_t tokens, outs, patches;
} steps[] = {
    {"body", 1, HEAD_ROWS, 0},     {"body", 8, HEAD_ROWS, 0},     {"body", 24, HEAD_ROWS, 0},
    {"body", 128, HEAD_ROWS, 0},   {"body", CHUNK, HEAD_ROWS, 0}, {"head", CHUNK, 1, 0},
    {"head", CHUNK, HEAD_ROWS, 0}, {"vision", 1, 1, 256},         {"vision", 1, 1, 4096},
};

static void build(const char *model, pio_spec *spec) {
    char path[512];
    pio_error error = {0};
    pio_json *json;
    pio_any_config config;
    const pio_model_family *family;
    snprintf(path, sizeof path, "%s/models/%s/config.json", PIO_TEST_DATA, model);
    if (pio_json_load(path, 1 << 20, &json, &error)) fail_msg("%s", error.text);
    const pio_json_object root = pio_json_root(json);
    if (pio_model_family_find(&root, &family, &error) || family->read_config(&root, &config, &error))
        fail_msg("%s", error.text);
    memset(spec, 0, sizeof *spec);
    spec->page_tokens = PIO_KV_PAGE_TOKENS;
    family->build(&config, spec);
    if (pio_verify(spec, &error)) fail_msg("%s", error.text);
    pio_json_free(json);
}

static void expect_caught(pio_schedule *schedule) {
    pio_error error = {0};
    if (!pio_schedule_check(schedule, &error)) fail_msg("a barrier is missing and nobody noticed");
    assert_int_equal(error.status, PIO_INTERNAL);
}

/* Takes every barrier away in its turn; returns how many there are. */
static int32_t remove_each(pio_schedule *schedule) {
    int32_t removed = 0;
    for (int32_t c = 0; c < schedule->n_commands; c++) {
        pio_command *command = &schedule->commands[c];
        if (command->barrier_before) {
            command->barrier_before = false;
            expect_caught(schedule);
            command->barrier_before = true;
            removed++;
        }
        for (int k = 0; k < command->n_dispatches; k++) {
            const uint32_t bit = UINT32_C(1) << k;
            if (!(command->barriers_inside & bit)) continue;
            command->barriers_inside &= ~bit;
            expect_caught(schedule);
            command->barriers_inside |= bit;
            removed++;
        }
    }
    return removed;
}

static void check_step(const pio_spec *spec, const pio_selector *selector, size_t step, const char *name) {
    const pio_graph *graph = pio_spec_graph(spec, steps[step].graph);
    const pio_bounds bounds = pio_step_bounds(spec, steps[step].tokens, steps[step].outs, steps[step].patches);
    pio_error error = {0};
    pio_schedule schedule;
    pio_plan plan;
    if (!graph) return; /* a model without eyes */
    if (pio_plan_make(spec, graph, selector, &bounds, false, &plan, &error)) fail_msg("%s: %s", name, error.text);
    if (pio_schedule_imagine(&plan, &schedule, &error)) fail_msg("%s: %s", name, error.text);
    if (pio_schedule_check(&schedule, &error)) fail_msg("%s, %s: %s", name, graph->name, error.text);
    const int32_t removed = remove_each(&schedule);
    assert_int_equal(removed, schedule.n_barriers);
    assert_true(removed > 0 && schedule.n_dispatches >= plan.n_nodes);
    pio_schedule_free(&schedule);
    pio_plan_free(&plan);
}

/* The model's graphs with the layouts that the device chooses. */
static pio_selector choose(const char *model, size_t device, pio_dtype dtype, pio_spec *spec) {
    const pio_selector selector = {.backend = devices[device].backend,
                                   .features = devices[device].features,
                                   .portable = devices[device].portable,
                                   .n_workers = WORKERS};
    pio_error error = {0};
    build(model, spec);
    pio_spec_set_dtypes(spec, dtype, dtype == PIO_DTYPE_Q4 ? PIO_DTYPE_Q8 : dtype);
    if (pio_fuse(spec, &selector, &error) || pio_choose_layouts(spec, &selector, &error))
        fail_msg("%s: %s", devices[device].name, error.text);
    return selector;
}

static void check_device(const char *model, size_t device) {
    for (size_t d = 0; d < PIO_COUNT(dtypes); d++) {
        pio_spec spec;
        const pio_selector selector = choose(model, device, dtypes[d], &spec);
        for (size_t i = 0; i < PIO_COUNT(steps); i++) check_step(&spec, &selector, i, devices[device].name);
        pio_spec_free(&spec);
    }
}

static void every_barrier_is_needed(void **state) {
    for (size_t device = 0; device < PIO_COUNT(devices); device++) check_device(*state, device);
}

#if PIO_HAS_VULKAN
enum { MOST_LAYERS = 256, MOST_DENSE = 9, MOST_EXPERTS = 12 };

/* How many dispatches each layer of a decode step takes, and how many it may. */
static void count_layers(const pio_schedule *schedule, int counts[MOST_LAYERS], int most[MOST_LAYERS]) {
    memset(counts, 0, sizeof *counts * MOST_LAYERS);
    for (int i = 0; i < MOST_LAYERS; i++) most[i] = MOST_DENSE;
    for (int32_t i = 0; i < schedule->n_commands; i++) {
        const pio_command *command = &schedule->commands[i];
        const int32_t layer = command->planned->layer;
        if (layer < 0) continue;
        assert_true(layer < MOST_LAYERS);
        counts[layer] += command->n_dispatches;
        if (!strcmp(pio_op_get(command->planned->op)->family, "moe")) most[layer] = MOST_EXPERTS;
    }
}

/* On Vulkan a layer of a decode step takes at most 9 dispatches, one with experts 12. */
static void a_layer_takes_few_dispatches(void **state) {
    int counts[MOST_LAYERS], most[MOST_LAYERS], n_over = 0;
    for (size_t device = 0; device < PIO_COUNT(devices); device++) {
        if (devices[device].backend != PIO_BACKEND_VULKAN || devices[device].portable) continue;
        for (size_t d = 0; d < PIO_COUNT(dtypes); d++) {
            pio_spec spec;
            pio_plan plan;
            pio_schedule schedule;
            pio_error error = {0};
            const pio_selector selector = choose(*state, device, dtypes[d], &spec);
            const pio_bounds bounds = pio_step_bounds(&spec, 1, HEAD_ROWS, 0);
            if (pio_plan_make(&spec, pio_spec_graph(&spec, "body"), &selector, &bounds, false, &plan, &error) ||
                pio_schedule_imagine(&plan, &schedule, &error))
                fail_msg("%s", error.text);
            count_layers(&schedule, counts, most);
            for (int layer = 0; layer < MOST_LAYERS; layer++)
                if (counts[layer] > most[layer]) {
                    if (!n_over++ || layer < 2)
                        print_error("%s, %s: layer %d takes %d dispatches\n", devices[device].name,
                                    pio_dtype_name(dtypes[d]), layer, counts[layer]);
                }
            print_message("%s, %s: %d dispatches and %d barriers\n", devices[device].name, pio_dtype_name(dtypes[d]),
                          schedule.n_dispatches, schedule.n_barriers);
            pio_schedule_free(&schedule);
            pio_plan_free(&plan);
            pio_spec_free(&spec);
        }
    }
    assert_int_equal(n_over, 0);
}
#endif

int main(void) {
    struct CMUnitTest tests[2 * PIO_COUNT(models)];
    size_t n = 0;
    for (size_t i = 0; i < PIO_COUNT(models); i++) {
        void *model = (void *)(uintptr_t)models[i];
        tests[n++] = (struct CMUnitTest){models[i], every_barrier_is_needed, NULL, NULL, model};
#if PIO_HAS_VULKAN
        tests[n++] =
            (struct CMUnitTest){"a_layer_takes_few_dispatches", a_layer_takes_few_dispatches, NULL, NULL, model};
#endif
    }
    return _cmocka_run_group_tests("schedules", tests, n, NULL, NULL);
}
