/* usage: model_loading MODEL. Weights, pictures and logits pass a device whose memory is not mapped (engine/upload.h)
 * as they pass one whose memory is; and a load that is cancelled, or whose device is lost, ends with a sentence. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/step.h"
#include "tests/support/engine.h"
#include "tests/support/family.h"
#include "tests/support/temp_dir.h"

enum { N_IDS = 40, PATCHES = 8 };

typedef struct prompt {
    int32_t ids[N_IDS];
    test_pictures pictures;
} prompt;

/* Random tokens and, for a model with eyes, a picture among them. */
static void make_prompt(test_random *random, const pio_model *model, prompt *p) {
    const pio_model_eyes *eyes = &model->config.common.eyes;
    test_random_ids(random, model, p->ids, N_IDS);
    p->pictures.n = eyes->merge != 0;
    if (!eyes->merge) return;
    p->pictures.items[0] = test_picture_random(random, PATCHES, PATCHES, eyes->merge, eyes->patch_values);
    p->pictures.list[0] = &p->pictures.items[0];
    for (int32_t i = 0; i < PATCHES / eyes->merge * (PATCHES / eyes->merge); i++) p->ids[2 + i] = eyes->image_token;
}

static void free_prompt(prompt *p) {
    if (p->pictures.n) free(p->pictures.items[0].patches);
}

static float *logits_of(pio_model *model, const prompt *p) {
    float *logits = malloc(sizeof *logits * N_IDS * (size_t)model->config.common.vocab_size);
    assert_non_null(logits);
    test_model_logits_seen(model, p->ids, N_IDS, 16, &p->pictures, logits);
    return logits;
}

/* The same logits from a device whose memory is mapped and from one whose memory is not. */
static void compare_ways(test_random *random, pio_engine_options options) {
    prompt p;
    float *logits[2];
    size_t bytes = 0;
    for (int unmapped = 0; unmapped < 2; unmapped++) {
        options.unmapped = unmapped;
        pio_model *model = test_model_load(the_family.tiny, &options);
        assert_int_equal(model->chosen.caps.host_visible, !unmapped);
        assert_int_equal(model->memory_plan.staging > 0, unmapped);
        if (!unmapped) make_prompt(random, model, &p);
        bytes = sizeof(float) * N_IDS * (size_t)model->config.common.vocab_size;
        logits[unmapped] = logits_of(model, &p);
        pio_model_close(model);
    }
    assert_memory_equal(logits[0], logits[1], bytes);
    free(logits[0]);
    free(logits[1]);
    free_prompt(&p);
}

static void memory_of_its_own_holds_the_same_weights(void **state) {
    (void)state;
    static const pio_dtype weights[] = {PIO_DTYPE_BF16, PIO_DTYPE_Q8, PIO_DTYPE_Q4};
    test_random random = test_random_begin("memory_of_its_own_holds_the_same_weights");
    for (size_t i = 0; i < PIO_COUNT(weights); i++) {
        const bool only = test_random_below(&random, 2);
        for (int compute_f32 = 0; compute_f32 < 2; compute_f32++) {
            if (TEST_SANITIZED && compute_f32 != only) continue;
            pio_engine_options options = test_engine_options(compute_f32);
            options.backend = PIO_BACKEND_CPU;
            options.weights = weights[i];
            options.n_threads = 1 + (int)test_random_below(&random, 4);
            compare_ways(&random, options);
        }
    }
}

/* The first Vulkan device, where there is one that can be mapped: a card's own memory has no other way to compare. */
static void a_vulkan_device_holds_the_same_weights(void **state) {
    (void)state;
    test_random random = test_random_begin("a_vulkan_device_holds_the_same_weights");
    pio_engine_options options = test_engine_options(true);
    pio_chosen_device chosen;
    options.backend = PIO_BACKEND_VULKAN;
    if (pio_choose_device(&options, &chosen, NULL)) skip();
    const bool mapped = chosen.caps.host_visible;
    pio_device_destroy(chosen.device);
    if (!mapped) skip();
    options.weights = (pio_dtype[]){PIO_DTYPE_BF16, PIO_DTYPE_Q8, PIO_DTYPE_Q4}[test_random_below(&random, 3)];
    print_message("weights %s\n", pio_dtype_name(options.weights));
    compare_ways(&random, options);
}

/* Quantised rows that go to the cache on disk, and that come from there. */
static void kept_weights_come_the_same_way(void **state) {
    (void)state;
    test_random random = test_random_begin("kept_weights_come_the_same_way");
    char *directory = temp_dir_make();
    pio_engine_options options = test_engine_options(true);
    options.backend = PIO_BACKEND_CPU;
    options.weights = PIO_DTYPE_Q4;
    options.unmapped = true;
    options.cache_directory = directory;
    prompt p;
    float *logits[2];
    size_t bytes = 0;
    uint64_t read_bytes[2];
    for (int kept = 0; kept < 2; kept++) {
        pio_model *model = test_model_load(the_family.tiny, &options);
        if (!kept) make_prompt(&random, model, &p);
        bytes = sizeof(float) * N_IDS * (size_t)model->config.common.vocab_size;
        read_bytes[kept] = model->read_bytes;
        logits[kept] = logits_of(model, &p);
        pio_model_close(model);
        assert_int_equal(temp_dir_count(directory), 1);
    }
    assert_memory_equal(logits[0], logits[1], bytes);
    assert_true(read_bytes[1] < read_bytes[0]); /* else it came from the checkpoint again */
    free(logits[0]);
    free(logits[1]);
    free_prompt(&p);
    temp_dir_remove(directory);
}

/* ---- ends before the end ---- */

/* What the first report of progress does. */
typedef struct ending {
    pio_model *model;
    bool lose; /* the device; else it asks to stop */
    int n_reports;
} ending;

static bool end_it(void *user, const char *what, double fraction) {
    ending *e = user;
    (void)what, (void)fraction;
    e->n_reports++;
    if (e->lose) atomic_store(&e->model->chosen.device->lost, true);
    return e->lose;
}

/* Quantising in plain C takes long enough for a report. */
static void a_load_can_end_before_its_end(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        ending e = {.lose = i == 2};
        pio_engine_options options = test_engine_options(true);
        options.backend = PIO_BACKEND_CPU;
        options.weights = PIO_DTYPE_Q4;
        options.cpu_features_off = PIO_CPU_AVX2 | PIO_CPU_AVX512 | PIO_CPU_AVX512BF16 | PIO_CPU_AMX;
        options.n_threads = 1;    /* the one that reports */
        options.unmapped = i > 0; /* memory that is mapped needs the device no more, and cannot lose it */
        options.progress = end_it;
        options.user = &e;
        pio_error error = {0};
        if (pio_model_open(the_family.tiny, &options, &e.model, &error)) fail_msg("%s", error.text);
        assert_int_equal(pio_model_load(e.model, &error), e.lose ? PIO_DEVICE_LOST : PIO_CANCELLED);
        assert_non_null(strstr(error.text, e.lose ? "the device is lost" : "was interrupted"));
        assert_int_equal(e.n_reports, 1);
        pio_model_close(e.model);
    }
}

int main(int argc, char **argv) {
    if (!test_family_begin(argc, argv)) return 2;
    if (!the_family.has_tiny) return TEST_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_of_its_own_holds_the_same_weights),
        cmocka_unit_test(a_vulkan_device_holds_the_same_weights),
        cmocka_unit_test(kept_weights_come_the_same_way),
        cmocka_unit_test(a_load_can_end_before_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
