/* usage: model_drift MODEL. What `compare` says of a model: the residual stream behind each layer is the one that
 * answers come from, it is the same however it is computed, and a fault in one layer is found in that layer. */
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/drift.h"
#include "engine/step.h"
#include "engine/taps.h"
#include "tests/support/engine.h"
#include "tests/support/family.h"

enum { N_PROMPT = 75, N_TOKENS = 12 };

static bool never(void) {
    return false;
}

static pio_engine_options options_of(bool compute_f32) {
    pio_engine_options options = test_engine_options(compute_f32);
    options.context = 128;
    options.keep_taps = true;
    return options;
}

static pio_trace trace_of(pio_model *model, const int32_t *prompt, const int32_t *forced) {
    pio_trace trace;
    pio_error error = {0};
    if (pio_trace_make(model, prompt, N_PROMPT, forced, N_TOKENS, never, &trace, &error)) fail_msg("%s", error.text);
    assert_int_equal(trace.n_layers, model->config.common.n_layers);
    assert_true(trace.prefill_tokens_per_s > 0 && trace.decode_tokens_per_s > 0);
    return trace;
}

static pio_trace trace_with(const pio_engine_options *options, const int32_t *prompt, const int32_t *forced) {
    pio_model *model = test_model_load(the_family.tiny, options);
    pio_trace trace = trace_of(model, prompt, forced);
    pio_model_close(model);
    return trace;
}

static pio_drift drift_of(const pio_trace *reference, const pio_trace *other, double bound) {
    pio_drift drift;
    pio_error error = {0};
    if (pio_drift_measure(reference, other, bound, &drift, &error)) fail_msg("%s", error.text);
    return drift;
}

static void random_prompt(test_random *random, int32_t prompt[N_PROMPT]) {
    pio_engine_options options = options_of(true);
    options.config_only = true;
    pio_error error = {0};
    pio_model *model;
    if (pio_model_open(the_family.tiny, &options, &model, &error)) fail_msg("%s", error.text);
    test_random_ids(random, model, prompt, N_PROMPT);
    pio_model_close(model);
}

/* The same steps as a trace, through a model that keeps nothing; logits: [N_TOKENS, vocab]. */
static void logits_without(const pio_engine_options *options, const int32_t *ids, float *logits) {
    pio_model *model = test_model_load(the_family.tiny, options);
    const size_t vocab = (size_t)model->config.common.vocab_size;
    const int32_t pages[] = {1, 2};
    pio_error error = {0};
    assert_true(N_PROMPT + N_TOKENS <= 2 * model->spec.page_tokens);
    for (int32_t place = 0, fed = 0; place < N_TOKENS; place++) {
        const int32_t n = place ? 1 : N_PROMPT;
        const pio_step_item item = {ids + fed, n, fed, pages, 2, NULL};
        const pio_step_out out = {.row = n - 1, .slot = -1};
        uint64_t number;
        if (pio_step_body(model, &item, 1, &error) || pio_step_head(model, &out, 1, &number, &error) ||
            pio_step_wait(model, number, &error) || pio_step_fetch_logits(model, 1, &error))
            fail_msg("%s", error.text);
        memcpy(logits + vocab * (size_t)place, pio_step_logits(model, 0), sizeof *logits * vocab);
        fed += n;
    }
    pio_model_close(model);
}

/* The logits of a trace are, bit by bit, those of a model that keeps nothing. */
static void keeping_changes_no_answer(void **state) {
    (void)state;
    test_random random = test_random_begin("keeping_changes_no_answer");
    int32_t all[N_PROMPT + N_TOKENS];
    random_prompt(&random, all);
    for (int compute_f32 = 0; compute_f32 < (test_is_slow() ? 1 : 2); compute_f32++) {
        pio_engine_options options = options_of(compute_f32);
        pio_trace trace = trace_with(&options, all, NULL);
        const size_t bytes = sizeof(float) * (size_t)trace.vocab * N_TOKENS;
        float *logits = malloc(bytes);
        assert_non_null(logits);
        memset(logits, 0xff, bytes);
        memcpy(all + N_PROMPT, trace.greedy, sizeof *all * N_TOKENS);
        options.keep_taps = false;
        logits_without(&options, all, logits);
        assert_memory_equal(trace.logits, logits, bytes);
        free(logits);
        pio_trace_free(&trace);
    }
}

/* In steps of any size, with other kernels and on another backend than the CPU, whose stream all are held against. Of
 * random prompts a tiny router is so unsure that rounding sends many tokens to other experts: then the default
 * arithmetic is near, and no more. */
static void the_stream_is_the_same_however_it_is_computed(void **state) {
    (void)state;
    test_random random = test_random_begin("the_stream_is_the_same_however_it_is_computed");
    static const struct {
        bool compute_f32;
        int32_t chunk;
        uint32_t without;
        double bound;
    } ways[] = {{true, 512, 0, 0},
                {true, 7, 0, 1e-9},
                {true, 512, PIO_CPU_AVX2 | PIO_CPU_AVX512 | PIO_CPU_AVX512BF16 | PIO_CPU_AMX, 1e-9},
                {false, 512, 0, 2e-3},
                {false, 16, 0, 2e-3}};
    int32_t prompt[N_PROMPT];
    random_prompt(&random, prompt);
    pio_engine_options options = options_of(true);
    options.backend = PIO_BACKEND_CPU;
    pio_model *model = test_model_load(the_family.tiny, &options);
    const bool has_experts = model->spec.n_chosen > 0;
    pio_trace reference = trace_of(model, prompt, NULL);
    pio_model_close(model);
    for (size_t i = 0; i < PIO_COUNT(ways); i += test_is_cpu() ? 1 : 3) { /* on a device float32 and the default */
        options = options_of(ways[i].compute_f32);
        if (test_is_cpu()) options.backend = PIO_BACKEND_CPU;
        options.chunk = ways[i].chunk;
        options.cpu_features_off = ways[i].without;
        pio_trace other = trace_with(&options, prompt, reference.greedy);
        const double same = test_is_cpu() ? ways[i].bound : PIO_MAX(ways[i].bound, 1e-9),
                     bound = has_experts && !ways[i].compute_f32 ? 0.1 : same;
        pio_drift drift = drift_of(&reference, &other, same);
        for (int32_t layer = 0; layer < drift.n_layers; layer++)
            if (!(drift.layers[layer].median <= bound))
                fail_msg("way %zu: layer %d drifts by %g", i, layer, drift.layers[layer].median);
        assert_true(drift.logits.median <= bound);
        assert_true(drift.agrees || bound > same);
        if (!ways[i].compute_f32) assert_true(drift.layers[0].median > 0);
        if (same == 0) assert_true(drift.layers[0].worst == 0 && drift.n_differing == 0);
        pio_drift_free(&drift);
        pio_trace_free(&other);
    }
    pio_trace_free(&reference);
}

/* Spoils every weight of a layer, on the device. */
static void spoil(pio_model *model, int32_t layer) {
    char part[32];
    int n = 0;
    pio_list *list;
    uint64_t number;
    assert_int_equal(pio_list_create(model->chosen.device, false, &list, NULL), PIO_OK);
    snprintf(part, sizeof part, ".layers.%d.", layer);
    for (int32_t i = 0; i < model->spec.n_weights; i++) {
        pio_error error = {0};
        const pio_buffer *weight = model->weights[i];
        if (!strstr(model->spec.weights[i].name, part)) continue;
        if (pio_list_fill(list, weight->address, 0, weight->bytes / 16 * 4, &error)) fail_msg("%s", error.text);
        n++;
    }
    assert_int_equal(pio_list_end(list, NULL), PIO_OK);
    assert_int_equal(pio_queue_submit(model->queue, &list, 1, &number, NULL), PIO_OK);
    assert_int_equal(pio_queue_wait(model->queue, number, UINT64_MAX, NULL), PIO_OK);
    pio_list_destroy(list);
    assert_true(n > 3);
}

static void a_fault_is_found_in_its_layer(void **state) {
    (void)state;
    test_random random = test_random_begin("a_fault_is_found_in_its_layer");
    int32_t prompt[N_PROMPT];
    random_prompt(&random, prompt);
    pio_engine_options options = options_of(true);
    pio_model *model = test_model_load(the_family.tiny, &options);
    const int32_t n_layers = model->config.common.n_layers,
                  wrong = (int32_t)test_random_below(&random, (uint64_t)n_layers);
    pio_trace reference = trace_of(model, prompt, NULL);
    spoil(model, wrong);
    pio_trace other = trace_of(model, prompt, reference.greedy);
    pio_drift drift = drift_of(&reference, &other, 2e-3);
    for (int32_t layer = 0; layer < n_layers; layer++) {
        if (layer < wrong) assert_true(drift.layers[layer].worst == 0);
        if (layer == wrong) assert_true(drift.layers[layer].median > 2e-3);
    }
    assert_false(drift.agrees);
    pio_drift_free(&drift);
    pio_trace_free(&other);
    pio_trace_free(&reference);
    pio_model_close(model);
}

/* Who does not ask for taps has none and pays nothing: the plan is the one that a trace reports. */
static void not_asked_for_they_cost_nothing(void **state) {
    (void)state;
    if (!test_is_cpu()) skip(); /* what is planned and refused is the host's affair: here and below */
    pio_engine_options options = options_of(false);
    pio_model *with = test_model_load(the_family.tiny, &options);
    options.keep_taps = false;
    pio_model *without = test_model_load(the_family.tiny, &options);
    pio_error error = {0};
    pio_taps *taps;
    uint64_t workspace;
    assert_int_equal(pio_taps_less_workspace(with, &workspace, &error), PIO_OK);
    assert_true(workspace == without->memory_plan.workspace);
    assert_true(with->memory_plan.workspace > workspace);
    for (int i = 0; i < with->body.n; i++)
        assert_int_equal(with->body.items[i].plan.n_nodes, without->body.items[i].plan.n_nodes);
    assert_int_equal(pio_taps_create(without, &taps, &error), PIO_INTERNAL);
    assert_null(taps);
    pio_model_close(with);
    pio_model_close(without);
}

static void more_than_the_context_is_refused(void **state) {
    (void)state;
    if (!test_is_cpu()) skip();
    pio_engine_options options = options_of(true);
    pio_model *model = test_model_load(the_family.tiny, &options);
    const int32_t prompt[] = {1, 2, 3};
    pio_error error = {0};
    pio_trace trace;
    assert_int_equal(pio_trace_make(model, prompt, 3, NULL, 126, never, &trace, &error), PIO_LIMIT);
    assert_non_null(strstr(error.text, "129"));
    pio_trace_free(&trace);
    assert_int_equal(pio_trace_make(model, (const int32_t[]){1 << 30}, 1, NULL, 1, never, &trace, &error),
                     PIO_INVALID_ARGUMENT);
    pio_trace_free(&trace);
    pio_model_close(model);
}

int main(int argc, char **argv) {
    if (!test_family_begin(argc, argv)) return 2;
    if (!the_family.has_tiny) return TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeping_changes_no_answer),
        cmocka_unit_test(the_stream_is_the_same_however_it_is_computed),
        cmocka_unit_test(a_fault_is_found_in_its_layer),
        cmocka_unit_test(not_asked_for_they_cost_nothing),
        cmocka_unit_test(more_than_the_context_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
