/* A checkpoint or a setting that cannot be served is refused with one sentence that names it: every tensor of a
 * checkpoint missing, misshapen, of a wrong type or holding NaN in its turn, every required value of config.json, and
 * options out of range. (A sanitizer's leak check sees what is left behind.) */
#include "tests/support/test.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "io/safetensors_writer.h"
#include "tests/support/engine.h"
#include "tests/support/temp_dir.h"

#define GOLDEN PIO_TEST_DATA "/golden/qwen3_tied"

enum { MOST_TENSORS = 64, MOST_WORDS = 4 };

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

/* ---- tensors ---- */

typedef enum damage { NONE, MISSING, ANOTHER_SHAPE, ANOTHER_RANK, ANOTHER_DTYPE, NOT_A_NUMBER, ANOTHER_NAME } damage;

/* Writes the golden checkpoint's tensors into the directory, tensor `index` with the damage; `at`: of the NaN. */
static void write_damaged(const pio_checkpoint *from, const char *directory, size_t index, damage what, uint64_t at) {
    static const uint16_t nan = 0x7fc0; /* bf16 */
    pio_safetensors_spec specs[MOST_TENSORS];
    pio_safetensors_writer *writer;
    size_t n = 0, n_tensors = pio_checkpoint_n_tensors(from), of[MOST_TENSORS];
    assert_true(n_tensors <= MOST_TENSORS);
    for (size_t i = 0; i < n_tensors; i++) {
        const pio_stored_tensor *tensor = pio_checkpoint_tensor(from, i);
        const damage here = i == index ? what : NONE;
        assert_int_equal(tensor->dtype, PIO_STORED_BF16);
        if (here == MISSING) continue;
        pio_safetensors_spec *spec = &specs[n];
        of[n++] = i;
        *spec = (pio_safetensors_spec){tensor->name, tensor->dtype, tensor->rank, {0}};
        memcpy(spec->dims, tensor->dims, sizeof spec->dims);
        if (here == ANOTHER_SHAPE) spec->dims[0]--;
        if (here == ANOTHER_RANK) spec->dims[spec->rank++] = 1;
        if (here == ANOTHER_DTYPE) spec->dtype = PIO_STORED_I16;
        if (here == ANOTHER_NAME) spec->name = "model.layers.0.self_attn.extra.weight";
    }
    assert_int_equal(
        pio_safetensors_writer_create(temp_dir_path(directory, "model.safetensors"), specs, n, NULL, 0, &writer, NULL),
        PIO_OK);
    for (size_t k = 0; k < n; k++) {
        const pio_stored_tensor *tensor = pio_checkpoint_tensor(from, of[k]);
        uint64_t bytes = 2;
        for (int d = 0; d < specs[k].rank; d++) bytes *= specs[k].dims[d];
        char *data = malloc(bytes);
        assert_non_null(data);
        memcpy(data, tensor->data, bytes);
        if (of[k] == index && what == NOT_A_NUMBER) memcpy(data + 2 * at, &nan, sizeof nan);
        assert_int_equal(pio_safetensors_writer_write(writer, k, 0, data, bytes, NULL), PIO_OK);
        free(data);
    }
    assert_int_equal(pio_safetensors_writer_finish(writer, NULL), PIO_OK);
    pio_safetensors_writer_destroy(writer);
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

static void every_damaged_tensor_is_named(void **state) {
    (void)state;
    static const struct {
        damage what;
        pio_status status;
        const char *words[2];
    } damages[] = {
        {MISSING, PIO_NOT_FOUND, {"missing"}},          {ANOTHER_SHAPE, PIO_CORRUPT, {"shape [", "config.json"}},
        {ANOTHER_RANK, PIO_CORRUPT, {"shape [", "1]"}}, {ANOTHER_DTYPE, PIO_UNSUPPORTED, {"I16", "BF16"}},
        {NOT_A_NUMBER, PIO_CORRUPT, {"not finite"}},    {ANOTHER_NAME, PIO_NOT_FOUND, {"missing"}},
    };
    static const pio_dtype weights[] = {PIO_DTYPE_BF16, PIO_DTYPE_Q8, PIO_DTYPE_Q4};
    test_random random = test_random_begin("every_damaged_tensor_is_named");
    pio_engine_options options = test_engine_options(false);
    options.backend = PIO_BACKEND_CPU;
    pio_checkpoint *from;
    assert_int_equal(pio_checkpoint_open(GOLDEN, &from, NULL), PIO_OK);
    char *directory = make_directory(NULL, NULL);
    write_damaged(from, directory, 0, NONE, 0); /* as it is, it can be used */
    pio_model_close(test_model_load(directory, &options));
    for (size_t i = 0; i < pio_checkpoint_n_tensors(from); i++) {
        const pio_stored_tensor *tensor = pio_checkpoint_tensor(from, i);
        for (size_t k = 0; k < PIO_COUNT(damages); k++) {
            const char *const words[MOST_WORDS] = {tensor->name, directory, damages[k].words[0], damages[k].words[1]};
            write_damaged(from, directory, i, damages[k].what, test_random_below(&random, tensor->n_elements));
            options.weights = weights[test_random_below(&random, PIO_COUNT(weights))];
            expect_refusal(directory, &options, damages[k].status, words);
        }
    }
    temp_dir_remove(directory);
    pio_checkpoint_close(from);
}

static void unknown_tensors_and_cut_files_are_named(void **state) {
    (void)state;
    const pio_engine_options options = test_engine_options(false);
    pio_checkpoint *from;
    assert_int_equal(pio_checkpoint_open(GOLDEN, &from, NULL), PIO_OK);
    char *directory = make_directory("num_hidden_layers", "1");
    write_damaged(from, directory, 0, NONE, 0); /* the layer past the last is left alone */
    pio_model_close(test_model_load(directory, &options));
    temp_dir_remove(directory);

    directory = make_directory("tie_word_embeddings", "false");
    write_damaged(from, directory, 0, NONE, 0);
    expect_refusal(directory, &options, PIO_NOT_FOUND, (const char *const[MOST_WORDS]){"lm_head.weight", directory});
    const char *path = temp_dir_path(directory, "model.safetensors");
    for (int cut = 0; cut < 2; cut++) {
        assert_int_equal(truncate(path, cut ? 100 : 100000), 0);
        expect_refusal(directory, &options, PIO_CORRUPT,
                       (const char *const[MOST_WORDS]){"model.safetensors", directory});
    }
    assert_int_equal(unlink(path), 0);
    expect_refusal(directory, &options, PIO_NOT_FOUND, (const char *const[MOST_WORDS]){"safetensors", directory});
    temp_dir_remove(directory);
    pio_checkpoint_close(from);
}

/* ---- config.json ---- */

static void wrong_configs_are_refused_with_key_and_value(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
        pio_status status;
        const char *words[3];
    } cases[] = {
        {"model_type", NULL, PIO_CORRUPT, {"model_type"}},
        {"vocab_size", NULL, PIO_CORRUPT, {"vocab_size"}},
        {"hidden_size", NULL, PIO_CORRUPT, {"hidden_size"}},
        {"num_hidden_layers", NULL, PIO_CORRUPT, {"num_hidden_layers"}},
        {"num_attention_heads", NULL, PIO_CORRUPT, {"num_attention_heads"}},
        {"intermediate_size", NULL, PIO_CORRUPT, {"intermediate_size"}},
        {"max_position_embeddings", NULL, PIO_CORRUPT, {"max_position_embeddings"}},
        {"model_type", "\"mamba\"", PIO_UNSUPPORTED, {"mamba", "supported are", "qwen3"}},
        {"hidden_size", "0", PIO_CORRUPT, {"hidden_size", "0"}},
        {"vocab_size", "\"many\"", PIO_CORRUPT, {"vocab_size", "many"}},
        {"num_attention_heads", "1e99", PIO_CORRUPT, {"num_attention_heads"}},
        {"num_key_value_heads", "3", PIO_CORRUPT, {"num_key_value_heads 3", "num_attention_heads 4"}},
        {"head_dim", "33", PIO_UNSUPPORTED, {"head_dim 33"}},
        {"hidden_act", "\"gelu\"", PIO_UNSUPPORTED, {"gelu", "silu"}},
        {"attention_bias", "true", PIO_UNSUPPORTED, {"attention_bias"}},
        {"use_sliding_window", "true", PIO_UNSUPPORTED, {"use_sliding_window"}},
        {"rope_parameters", "{\"rope_type\": \"yarn\"}", PIO_UNSUPPORTED, {"yarn", "default"}},
        {"rope_scaling", "{\"type\": \"linear\", \"factor\": 2}", PIO_UNSUPPORTED, {"linear", "default"}},
        {"rms_norm_eps", "\"small\"", PIO_CORRUPT, {"rms_norm_eps"}},
        {"tie_word_embeddings", "1", PIO_CORRUPT, {"tie_word_embeddings"}},
    };
    pio_engine_options options = test_engine_options(false);
    options.config_only = true;
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        char *directory = make_directory(cases[i].key, cases[i].value);
        const char *const words[MOST_WORDS] = {directory, cases[i].words[0], cases[i].words[1], cases[i].words[2]};
        expect_refusal(directory, &options, cases[i].status, words);
        temp_dir_remove(directory);
    }
    expect_refusal("/nowhere/at/all", &options, PIO_NOT_FOUND, (const char *const[MOST_WORDS]){"/nowhere/at/all"});
}

/* ---- options ---- */

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
        {"sample=fastest", PIO_INVALID_ARGUMENT, {"PIO_KERNEL", "fastest", "sample.base.f32.portable"}},
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_damaged_tensor_is_named),
        cmocka_unit_test(unknown_tensors_and_cut_files_are_named),
        cmocka_unit_test(wrong_configs_are_refused_with_key_and_value),
        cmocka_unit_test(contexts_beyond_model_or_memory_are_refused_with_the_numbers),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(unknown_kernels_list_the_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
