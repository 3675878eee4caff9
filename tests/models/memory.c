/* usage: model_memory MODEL. A model takes what its plan says; decoding allocates nothing; and while a device is
 * opened, a model loaded and its first steps are run, every allocation may fail and the answer is a sentence (a
 * sanitizer's leak check sees what is left behind). */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/request.h"
#include "engine/step.h"
#include "engine/vision.h"
#include "tests/support/engine.h"
#include "tests/support/failing_memory.h"
#include "tests/support/family.h"
#include "tests/support/temp_dir.h"

enum { PROMPT = 5, CUT_LAYERS = 3, CUT_CONTEXT = 128 };

static pio_status open_model(const char *directory, const pio_engine_options *options, pio_model **model,
                             pio_error *error) {
    pio_status status = pio_model_open(directory, options, model, error);
    if (!status) status = pio_model_load(*model, error);
    if (status) {
        pio_model_close(*model);
        *model = NULL;
    }
    return status;
}

/* Feeds n tokens behind `context`, draws nothing, and waits for the last one's logits. */
static pio_status step(pio_model *model, const int32_t *ids, int32_t n, int32_t context, pio_error *error) {
    static const int32_t pages[] = {1, 2};
    uint64_t number;
    const pio_step_item item = {ids, n, context, pages, PIO_CEIL_DIV(context + n, model->spec.page_tokens)};
    const pio_step_out out = {.row = n - 1, .slot = -1};
    pio_status status = pio_step_body(model, &item, 1, error);
    if (!status) status = pio_step_head(model, &out, 1, &number, error);
    return status ? status : pio_step_wait(model, number, error);
}

static void decoding_allocates_nothing(void **state) {
    (void)state;
    static const struct {
        pio_dtype weights;
        bool compute_f32;
    } modes[] = {{PIO_DTYPE_BF16, false}, {PIO_DTYPE_Q8, false}, {PIO_DTYPE_Q4, false}, {PIO_DTYPE_BF16, true}};
    test_random random = test_random_begin("decoding_allocates_nothing");
    const size_t step_modes = TEST_SANITIZED ? PIO_COUNT(modes) : 1; /* one of them there */
    for (size_t mode = test_random_below(&random, step_modes); mode < PIO_COUNT(modes); mode += step_modes) {
        enum { STEPS = 70 }; /* past the end of a page */
        const pio_engine_options options = {.backend = PIO_AUTO,
                                            .device = PIO_AUTO,
                                            .n_threads = 3,
                                            .weights = modes[mode].weights,
                                            .compute_f32 = modes[mode].compute_f32,
                                            .context = 128};
        pio_error error = {0};
        pio_model *model;
        int32_t ids[PROMPT + STEPS];
        long before = atomic_load(&failing_memory_calls);
        if (open_model(the_family.tiny, &options, &model, &error)) fail_msg("%s", error.text);
        assert_true(atomic_load(&failing_memory_calls) - before >
                    100); /* else the linker did not send the calls here */
        test_random_ids(&random, model, ids, PROMPT + STEPS);
        assert_int_equal(step(model, ids, PROMPT, 0, &error), PIO_OK);
        before = atomic_load(&failing_memory_calls);
        for (int i = 0; i < STEPS; i++) assert_int_equal(step(model, ids + PROMPT + i, 1, PROMPT + i, &error), PIO_OK);
        assert_int_equal(atomic_load(&failing_memory_calls) - before, 0);
        pio_model_close(model);
    }
}

/* What the allocations were at the first token of an answer, and at the newest. */
typedef struct watch {
    long first, newest;
    int n_tokens;
} watch;

static bool note_token(void *user, int32_t token) {
    watch *w = user;
    (void)token;
    w->newest = atomic_load(&failing_memory_calls);
    if (!w->n_tokens++) w->first = w->newest;
    return true;
}

/* The same of the engine's loop, with penalties and biases, which have tables of their own. */
static void answering_allocates_nothing(void **state) {
    (void)state;
    enum { TOKENS = 90 };
    static const pio_logit_bias bias = {7, 1.5f};
    const pio_engine_options options = {
        .backend = PIO_AUTO, .device = PIO_AUTO, .n_threads = 2, .weights = PIO_DTYPE_Q8, .context = 128};
    test_random random = test_random_begin("answering_allocates_nothing");
    pio_error error = {0};
    pio_model *model;
    pio_engine *engine;
    int32_t ids[PROMPT];
    watch w = {0};
    if (open_model(the_family.tiny, &options, &model, &error)) fail_msg("%s", error.text);
    test_random_ids(&random, model, ids, PROMPT);
    assert_int_equal(pio_engine_create(model, &engine, &error), PIO_OK);
    pio_request request = {.prompt = ids,
                           .n_prompt = PROMPT,
                           .sampling = {.temperature = 1, .top_k = 40, .top_p = 0.9f, .repetition_penalty = 1.1f},
                           .max_tokens = TOKENS,
                           .on_token = note_token,
                           .user = &w};
    request.sampling.biases = &bias;
    request.sampling.n_biases = 1;
    pio_request *const requests[] = {&request};
    if (pio_engine_run(engine, requests, 1, NULL, NULL, &error)) fail_msg("%s", error.text);
    assert_int_equal(w.n_tokens, TOKENS);
    assert_int_equal(w.newest - w.first, 0);
    pio_engine_destroy(engine);
}

/* ---- the plan ---- */

/* Bytes that a line of the process's status counts. */
static uint64_t status_bytes(const char *field) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kib = 0;
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, field, strlen(field))) kib = strtoull(line + strlen(field), NULL, 10);
    if (file) fclose(file);
    return kib * 1024;
}

/* Published shapes with as many layers as show every kind. */
static char *cut_model(void) {
    char *directory = temp_dir_make();
    json_t *config = json_load_file("config.json", 0, NULL);
    assert_non_null(config);
    json_t *text = json_object_get(config, "text_config");
    json_object_set_new(text ? text : config, "num_hidden_layers", json_integer(CUT_LAYERS));
    assert_int_equal(json_dump_file(config, temp_dir_path(directory, "config.json"), 0), 0);
    json_decref(config);
    return directory;
}

/* Sees a picture of as many patches as the plan counts, for a model with eyes. */
static pio_status see(pio_model *model, pio_error *error) {
    const pio_model_eyes *eyes = &model->config.common.eyes;
    if (!eyes->merge) return PIO_OK;
    pio_picture picture = {.merge = eyes->merge, .patch_values = eyes->patch_values};
    pio_buffer *rows = NULL;
    for (picture.rows = picture.merge; picture.rows * picture.rows < PIO_VISION_PATCHES;) picture.rows += picture.merge;
    picture.cols = picture.rows;
    picture.patches = calloc((size_t)(picture.rows * picture.cols) * (size_t)picture.patch_values, sizeof(float));
    const pio_picture *pictures[] = {&picture};
    pio_status status = picture.patches ? PIO_OK : PIO_OUT_OF_MEMORY;
    if (!status) status = pio_vision_run(model, pictures, 1, &rows, error);
    pio_buffer_destroy(rows);
    free(picture.patches);
    return status;
}

/* The logits of as many rows as a head step may have, which the plan counts. */
static pio_status want_all(pio_model *model, pio_error *error) {
    pio_step_out outs[PIO_HEAD_ROWS];
    uint64_t number;
    for (int32_t i = 0; i < PIO_HEAD_ROWS; i++) outs[i] = (pio_step_out){.row = i, .slot = -1};
    pio_status status = pio_step_head(model, outs, PIO_HEAD_ROWS, &number, error);
    return status ? status : pio_step_wait(model, number, error);
}

/* Runs in a process of its own: loads, prefills a chunk, decodes, sees a picture. Its answer is the exit code. */
static int peak_is_as_planned(const char *directory) {
    enum { PREFILL = CUT_CONTEXT - 2 };
    const pio_engine_options options = {.backend = PIO_BACKEND_CPU,
                                        .device = PIO_AUTO,
                                        .n_threads = 2,
                                        .weights = PIO_DTYPE_Q4,
                                        .context = CUT_CONTEXT,
                                        .chunk = PREFILL,
                                        .dummy_weights = true};
    static int32_t ids[CUT_CONTEXT];
    pio_error error = {0};
    pio_model *model;
    const uint64_t before = status_bytes("VmRSS:");
    if (open_model(directory, &options, &model, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (step(model, ids, PREFILL, 0, &error)) return 1; /* fills the cache, but for what the step below adds */
    if (want_all(model, &error)) return 1;
    for (int32_t at = PREFILL; at < CUT_CONTEXT; at++)
        if (step(model, ids, 1, at, &error)) return 1;
    if (see(model, &error)) return 1;
    const double peak = (double)(status_bytes("VmHWM:") - before);
    const double planned = (double)model->memory_plan.total;
    printf("peak %.1f MB, planned %.1f MB: %+.2f%%\n", peak / 1e6, planned / 1e6, 100 * (peak / planned - 1));
    fflush(stdout);
    pio_model_close(model);
    return peak > 0.95 * planned && peak < 1.05 * planned ? 0 : 1;
}

static void a_model_takes_what_its_plan_says(void **state) {
    (void)state;
    if (TEST_SANITIZED) skip(); /* shadow and red zones */
    char *directory = cut_model();
    fflush(NULL);
    const pid_t child = fork();
    if (!child) _exit(peak_is_as_planned(directory));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    temp_dir_remove(directory);
}

/* ---- failures ---- */

static void every_failure_to_open_a_device_is_a_status(void **state) {
    (void)state;
    const pio_driver *driver;
    char why[256];
    for (int i = 0; (driver = pio_driver_at(i)); i++) {
        if (!driver->count(why, sizeof why)) continue;
        pio_status status = PIO_OUT_OF_MEMORY;
        for (long n = 0; status; n++) {
            pio_error error = {0};
            pio_device *device;
            failing_memory_left = n;
            status = pio_device_create(driver, 0, &(pio_driver_options){.n_threads = 4}, &device, &error);
            failing_memory_left = -1;
            assert_true(n < 100 && (!status || status == PIO_OUT_OF_MEMORY));
            assert_int_equal(status == PIO_OK, device != NULL);
            assert_int_equal(status != PIO_OK, strlen(error.text) > 0);
            assert_true(n > 0 || status);
            pio_device_destroy(device);
        }
    }
}

/* Opens, loads, runs two steps, the first of two tokens, and answers with two tokens more. */
static pio_status run_once(const char *directory, const pio_engine_options *options, pio_error *error) {
    static const int32_t ids[] = {3, 1, 4};
    pio_model *model;
    pio_status status = open_model(directory, options, &model, error);
    if (!status) status = step(model, ids, 2, 0, error);
    if (!status) status = step(model, ids + 2, 1, 2, error);
    pio_engine *engine = NULL;
    if (!status) status = pio_engine_create(model, &engine, error);
    if (!engine) pio_model_close(model);
    pio_request request = {.prompt = ids, .n_prompt = 3, .sampling = pio_sampling_greedy(), .max_tokens = 2};
    request.sampling.repetition_penalty = 1.2f; /* counts tokens */
    pio_request *const requests[] = {&request};
    if (!status) status = pio_engine_run(engine, requests, 1, NULL, NULL, error);
    pio_engine_destroy(engine);
    return status;
}

/* Tries runs in which allocation n fails, alone or with all after it, for every `stride`-th n from a random one on,
 * under sanitizers for one in 8 of these. */
static void fail_all(const char *directory, const pio_engine_options *options, test_random *random, long stride) {
    if (TEST_SANITIZED) stride *= 8;
    const long first = (long)test_random_below(random, (uint64_t)stride);
    for (int once = 0; once < 2; once++) {
        pio_status status = PIO_OUT_OF_MEMORY;
        long n = first, failed = 0;
        failing_memory_once = once;
        for (; status; n += stride) {
            pio_error error = {0};
            const long before = atomic_load(&failing_memory_failures);
            failing_memory_left = n;
            status = run_once(directory, options, &error);
            failing_memory_left = -1;
            if (status && status != PIO_OUT_OF_MEMORY) fail_msg("allocation %ld: %s", n, error.text);
            if (status) assert_true(strlen(error.text) > 0);
            if (!status && atomic_load(&failing_memory_failures) > before)
                fail_msg("allocation %ld failed and nobody noticed", n);
            failed += status != PIO_OK;
        }
        print_message("%ld failures of %ld allocations\n", failed, n);
        assert_true(failed > (TEST_SANITIZED ? 2 : 20));
    }
    failing_memory_once = false;
}

/* The same allocations come for layer after layer, so that a third of them has all kinds. */
static void failures_of_a_small_model_are_a_status(void **state) {
    (void)state;
    test_random random = test_random_begin("failures_of_a_small_model_are_a_status");
    const pio_engine_options options = {.backend = PIO_BACKEND_CPU,
                                        .device = PIO_AUTO,
                                        .n_threads = 2,
                                        .weights = PIO_DTYPE_Q8,
                                        .chunk = 2,
                                        .context = 64,
                                        .dummy_weights = true};
    fail_all(the_family.golden[0], &options, &random, 3);
}

static void failures_of_a_checkpoint_are_a_status(void **state) {
    (void)state;
    test_random random = test_random_begin("failures_of_a_checkpoint_are_a_status");
    const pio_engine_options options = {
        .backend = PIO_BACKEND_CPU, .device = PIO_AUTO, .n_threads = 2, .weights = PIO_DTYPE_Q4, .chunk = 2};
    fail_all(the_family.tiny, &options, &random, 29);
}

/* The same where weights take the way through staging. */
static void failures_on_the_way_to_a_device_are_a_status(void **state) {
    (void)state;
    test_random random = test_random_begin("failures_on_the_way_to_a_device_are_a_status");
    const pio_engine_options options = {.backend = PIO_BACKEND_CPU,
                                        .device = PIO_AUTO,
                                        .n_threads = 2,
                                        .weights = PIO_DTYPE_Q8,
                                        .chunk = 2,
                                        .unmapped = true};
    fail_all(the_family.tiny, &options, &random, 17);
}

int main(int argc, char **argv) {
    if (!test_family_begin(argc, argv)) return 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_allocates_nothing),
        cmocka_unit_test(answering_allocates_nothing),
        cmocka_unit_test(a_model_takes_what_its_plan_says),
        cmocka_unit_test(every_failure_to_open_a_device_is_a_status),
        cmocka_unit_test(failures_of_a_small_model_are_a_status),
        cmocka_unit_test(failures_of_a_checkpoint_are_a_status),
        cmocka_unit_test(failures_on_the_way_to_a_device_are_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
