/* Options that cannot be served are refused with one sentence that names them. What a checkpoint can have wrong is in
 * tests/models/unit.c. */
#include "tests/support/test.h"

#include <jansson.h>
#include <string.h>

#include "tests/support/engine.h"
#include "tests/support/temp_dir.h"

#define GOLDEN PIO_TEST_DATA "/golden/qwen3_tied"

enum { MOST_WORDS = 4 };

/* Opens and loads, which must fail with this status and a sentence that holds the words. */
static void expect_refusal(const char *directory, const pio_engine_options *options, pio_status expected,
                           const char *const words[MOST_WORDS]) {
    pio_error error = {0};
    pio_model *model;
    pio_status status = pio_model_open(directory, options, &model, &error);
    assert_int_equal(status == PIO_OK, model != NULL);
    if (!status) status = pio_model_load(model, &error);
    pio_model_close(model);
    if (status != expected) fail_msg("status %s: %s", pio_status_name(status), error.text);
    assert_int_equal(error.status, expected);
    assert_null(strchr(error.text, '\n'));
    for (int i = 0; i < MOST_WORDS && words[i]; i++)
        if (!strstr(error.text, words[i])) fail_msg("'%s' lacks '%s'", error.text, words[i]);
}

/* A fresh directory with the golden checkpoint's config, `key` of it replaced by the JSON value (NULL: left out). */
static char *make_directory(const char *key, const char *value) {
    char *directory = temp_dir_make();
    json_t *config = json_load_file(GOLDEN "/config.json", 0, NULL);
    assert_non_null(config);
    if (key && value) json_object_set_new(config, key, json_loads(value, JSON_DECODE_ANY, NULL));
    if (key && !value) assert_int_equal(json_object_del(config, key), 0);
    assert_int_equal(json_dump_file(config, temp_dir_path(directory, "config.json"), 0), 0);
    json_decref(config);
    return directory;
}

static void contexts_beyond_model_or_memory_are_refused_with_the_numbers(void **state) {
    (void)state;
    pio_engine_options options = test_engine_options(false);
    options.dummy_weights = true;
    options.context = 513;
    expect_refusal(GOLDEN, &options, PIO_INVALID_ARGUMENT, (const char *const[MOST_WORDS]){"513", "512", GOLDEN});
    char *directory = make_directory("max_position_embeddings", "2147483647");
    /* 2 layers x 2 heads x 32 x (K and V) x 2 bytes or more a token, of 2^30 tokens: over 500 GB */
    options.context = 1 << 30;
    expect_refusal(directory, &options, PIO_OUT_OF_MEMORY,
                   (const char *const[MOST_WORDS]){directory, "KV cache", "are free", "--context"});
    options.context = INT32_MAX; /* pages round it up */
    expect_refusal(directory, &options, PIO_LIMIT, (const char *const[MOST_WORDS]){"2147483647", "--context"});
    options.context = 1 << 28;
    options.max_sequences = 64;
    expect_refusal(directory, &options, PIO_LIMIT, (const char *const[MOST_WORDS]){"268435456", "64 sequences"});
    temp_dir_remove(directory);
}

static void options_out_of_range_are_named(void **state) {
    (void)state;
    const pio_engine_options good = test_engine_options(false);
    pio_engine_options o = good;
    o.context = -1;
    expect_refusal(GOLDEN, &o, PIO_INVALID_ARGUMENT, (const char *const[MOST_WORDS]){"context", "-1"});
    o = good, o.chunk = -5;
    expect_refusal(GOLDEN, &o, PIO_INVALID_ARGUMENT, (const char *const[MOST_WORDS]){"chunk", "-5"});
    o = good, o.max_sequences = 65;
    expect_refusal(GOLDEN, &o, PIO_INVALID_ARGUMENT, (const char *const[MOST_WORDS]){"sequences", "65", "64"});
    o = good, o.n_threads = -2;
    expect_refusal(GOLDEN, &o, PIO_INVALID_ARGUMENT, (const char *const[MOST_WORDS]){"threads", "-2"});
    o = good, o.n_threads = 1025, o.backend = PIO_BACKEND_CPU;
    expect_refusal(GOLDEN, &o, PIO_INVALID_ARGUMENT, (const char *const[MOST_WORDS]){"threads", "1025", "1024"});
    o = good, o.backend = PIO_BACKEND_CPU, o.device = 7;
    expect_refusal(GOLDEN, &o, PIO_INVALID_ARGUMENT, (const char *const[MOST_WORDS]){"no device 7"});
}

static void unknown_kernels_list_the_known(void **state) {
    (void)state;
    pio_engine_options options = test_engine_options(false);
    options.backend = PIO_BACKEND_CPU;
    static const struct {
        const char *kernels;
        pio_status status;
        const char *words[3];
    } cases[] = {
        {"sample=fastest", PIO_INVALID_ARGUMENT, {"--kernel (PIO_KERNEL)", "fastest", "sample.base.f32.portable"}},
        {"teleport=x", PIO_INVALID_ARGUMENT, {"PIO_KERNEL", "teleport", "linear"}},
        {"sample", PIO_INVALID_ARGUMENT, {"PIO_KERNEL", "sample", "<op>=<kernel>"}},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        const char *const words[MOST_WORDS] = {cases[i].words[0], cases[i].words[1], cases[i].words[2]};
        options.kernels = cases[i].kernels;
        expect_refusal(GOLDEN, &options, cases[i].status, words);
    }
    options.kernels = "sample=sample.base.f32.portable";
    pio_model_close(test_model_load(GOLDEN, &options));
}

/* Greedy answers do not depend on how the cache is laid out, and what is computed anew is what was asked for. */
static void caches_of_any_page_and_type_answer_alike(void **state) {
    (void)state;
    enum { PROMPT = 300, TOKENS = 40 };
    static const struct {
        int32_t page_tokens;
        pio_kv_type kv_type;
        bool no_prefix_cache;
        int32_t n_reused;
    } cases[] = {
        {0, PIO_KV_TYPE_AUTO, false, 256},  {64, PIO_KV_TYPE_F32, false, 256}, {128, PIO_KV_TYPE_AUTO, false, 256},
        {256, PIO_KV_TYPE_F32, false, 256}, {512, PIO_KV_TYPE_F32, false, 0},  {192, PIO_KV_TYPE_AUTO, true, 0},
        {4096, PIO_KV_TYPE_AUTO, false, 0},
    };
    test_random random = test_random_begin("caches_of_any_page_and_type_answer_alike");
    int32_t ids[PROMPT];
    test_answer first, again, expected;
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_engine_options options = test_engine_options(true); /* float32: no near ties to fall otherwise */
        options.page_tokens = cases[i].page_tokens;
        options.kv_type = cases[i].kv_type;
        options.no_prefix_cache = cases[i].no_prefix_cache;
        pio_engine *engine = test_engine_open(TEST_TINY, &options);
        if (!i) test_random_ids(&random, pio_engine_model(engine), ids, PROMPT);
        test_answer_begin(&first, ids, PROMPT, TOKENS);
        test_answers_run(engine, &first, 1);
        test_answer_begin(&again, ids, PROMPT, TOKENS);
        test_answers_run(engine, &again, 1);
        if (!i) expected = first;
        test_answers_equal(&first, &expected);
        test_answers_equal(&again, &expected);
        assert_int_equal(first.request.n_reused, 0);
        assert_int_equal(again.request.n_reused, cases[i].n_reused);
        pio_engine_destroy(engine);
    }
}

static void a_cache_has_the_type_that_was_asked_for(void **state) {
    (void)state;
    for (int type = PIO_KV_TYPE_AUTO; type <= PIO_KV_TYPE_F32; type++) {
        pio_engine_options options = test_engine_options(false);
        pio_error error = {0};
        pio_model *model;
        options.kv_type = (pio_kv_type)type;
        pio_status status = pio_model_open(TEST_TINY, &options, &model, &error);
        if (type == PIO_KV_TYPE_BF16 && status == PIO_UNSUPPORTED) continue; /* a processor without AVX2 */
        assert_int_equal(status, PIO_OK);
        const pio_dtype dtype = pio_layout_get(model->spec.caches[0].layout)->dtype;
        assert_true(type == PIO_KV_TYPE_AUTO || dtype == (type == PIO_KV_TYPE_F32 ? PIO_DTYPE_F32 : PIO_DTYPE_BF16));
        pio_model_close(model);
    }
    pio_engine_options options = test_engine_options(true);
    options.kv_type = PIO_KV_TYPE_BF16; /* no portable row reads it */
    expect_refusal(TEST_TINY, &options, PIO_UNSUPPORTED, (const char *const[MOST_WORDS]){"kv_cache", "--compute f32"});
}

static void a_memory_limit_shortens_the_context_or_refuses(void **state) {
    (void)state;
    pio_engine_options options = test_engine_options(false);
    pio_error error = {0};
    pio_model *all, *less;
    assert_int_equal(pio_model_open(TEST_TINY, &options, &all, &error), PIO_OK);
    options.memory_limit_bytes = all->memory_plan.total - all->memory_plan.cache / 3;
    assert_int_equal(pio_model_open(TEST_TINY, &options, &less, &error), PIO_OK);
    assert_true(less->options.context < all->options.context);
    assert_true(less->memory_plan.total <= options.memory_limit_bytes);
    pio_model_close(less);
    options.memory_limit_bytes = all->memory_plan.weights;
    expect_refusal(TEST_TINY, &options, PIO_OUT_OF_MEMORY,
                   (const char *const[MOST_WORDS]){"memory_limit", "--weights"});
    pio_model_close(all);
    options = test_engine_options(false);
    options.page_tokens = 100;
    expect_refusal(TEST_TINY, &options, PIO_INVALID_ARGUMENT, (const char *const[MOST_WORDS]){"100", "64"});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_beyond_model_or_memory_are_refused_with_the_numbers),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(unknown_kernels_list_the_known),
        cmocka_unit_test(caches_of_any_page_and_type_answer_alike),
        cmocka_unit_test(a_cache_has_the_type_that_was_asked_for),
        cmocka_unit_test(a_memory_limit_shortens_the_context_or_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
