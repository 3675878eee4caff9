#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/dtype.h"
#include "io/checkpoint.h"
#include "io/json.h"
#include "tests/support/engine.h"
#include "tests/support/temp_dir.h"

/* Runs tools/dummy_checkpoint; its exit status. Standard error goes to directory/stderr. */
static int run_tool(const char *directory, const char *arguments) {
    char command[2048];
    snprintf(command, sizeof command, "cd '%s' && PIO_BUILD_DIR='%s' '%s/tools/dummy_checkpoint' %s 2>stderr",
             directory, PIO_BUILD_DIR, PIO_SOURCE_DIR, arguments);
    int result = system(command);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

static void write_config(const char *directory, const char *text) {
    temp_dir_write(directory, "config.json", text, strlen(text));
}

#define SIZES                                                                                                          \
    "\"hidden_size\":48,\"vocab_size\":300,\"intermediate_size\":80,\"num_hidden_layers\":3,"                          \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":16,\"max_position_embeddings\":1000"

/* Mean and deviation of a bf16 tensor. */
static void moments(const pio_stored_tensor *tensor, double *mean, double *deviation) {
    const unsigned char *data = tensor->data;
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < tensor->n_elements; i++) {
        float x = pio_bf16_to_f32((uint16_t)(data[2 * i] | data[2 * i + 1] << 8));
        assert_true(isfinite(x));
        sum += x;
        squares += (double)x * x;
    }
    *mean = sum / (double)tensor->n_elements;
    *deviation = sqrt(squares / (double)tensor->n_elements - *mean * *mean);
}

static pio_checkpoint *open_checkpoint(const char *directory) {
    pio_checkpoint *cp;
    pio_error error;
    if (pio_checkpoint_open(directory, &cp, &error) != PIO_OK) fail_msg("%s", error.text);
    return cp;
}

static void a_whole_checkpoint_is_written(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    for (int tied = 0; tied < 2; tied++) {
        write_config(directory, tied ? "{\"model_type\":\"qwen3\"," SIZES ",\"tie_word_embeddings\":true}"
                                     : "{\"model_type\":\"qwen3\"," SIZES "}");
        /* a fresh OUT, then one with the three shards of before in it */
        assert_int_equal(run_tool(directory, tied ? ". out" : "--shard-bytes 40000 --seed 7 . out"), 0);
        pio_checkpoint *cp = open_checkpoint(temp_dir_path(directory, "out"));
        assert_int_equal(pio_checkpoint_n_tensors(cp), 2 + 3 * 11 + !tied);
        assert_int_equal(pio_checkpoint_find(cp, "lm_head.weight") != NULL, !tied);
        static const struct {
            const char *name;
            uint64_t rows, columns; /* columns 0: a norm */
        } expected[] = {
            {"model.embed_tokens.weight", 300, 48},
            {"model.layers.0.self_attn.q_proj.weight", 64, 48},
            {"model.layers.2.self_attn.k_proj.weight", 32, 48},
            {"model.layers.1.self_attn.v_proj.weight", 32, 48},
            {"model.layers.1.self_attn.o_proj.weight", 48, 64},
            {"model.layers.2.mlp.gate_proj.weight", 80, 48},
            {"model.layers.2.mlp.up_proj.weight", 80, 48},
            {"model.layers.2.mlp.down_proj.weight", 48, 80},
            {"model.layers.0.self_attn.q_norm.weight", 16, 0},
            {"model.layers.0.self_attn.k_norm.weight", 16, 0},
            {"model.layers.0.input_layernorm.weight", 48, 0},
            {"model.layers.2.post_attention_layernorm.weight", 48, 0},
            {"model.norm.weight", 48, 0},
        };
        for (size_t i = 0; i < PIO_COUNT(expected); i++) {
            const pio_stored_tensor *tensor = pio_checkpoint_find(cp, expected[i].name);
            assert_non_null(tensor);
            assert_int_equal(tensor->dtype, PIO_STORED_BF16);
            assert_int_equal(tensor->rank, expected[i].columns ? 2 : 1);
            assert_int_equal(tensor->dims[0], expected[i].rows);
            double mean, deviation, n = sqrt((double)tensor->n_elements);
            moments(tensor, &mean, &deviation);
            double wanted = expected[i].columns ? 1 / sqrt((double)expected[i].columns) : 0.1;
            if (expected[i].columns) assert_int_equal(tensor->dims[1], expected[i].columns);
            assert_true(fabs(mean - (expected[i].columns ? 0.0 : 1.0)) < 6 * wanted / n);
            assert_true(fabs(deviation / wanted - 1) < 6 / n);
        }
        pio_checkpoint_close(cp);
        pio_json *json;
        assert_int_equal(pio_json_load(temp_dir_path(directory, "out/config.json"), 10000, &json, NULL), PIO_OK);
        pio_json_free(json);
        /* the old shards stay beside, unread */
        assert_true(temp_dir_count(temp_dir_path(directory, "out")) > 4);
    }
    temp_dir_remove(directory);
}

static void the_seed_decides_the_weights(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    write_config(directory, "{\"model_type\":\"qwen3\"," SIZES "}");
    assert_int_equal(run_tool(directory, "--seed 7 . a"), 0);
    assert_int_equal(run_tool(directory, "--seed 7 --shard-bytes 50000 . b"), 0);
    assert_int_equal(run_tool(directory, "--seed 8 . c"), 0);
    pio_checkpoint *a = open_checkpoint(temp_dir_path(directory, "a")),
                   *b = open_checkpoint(temp_dir_path(directory, "b")),
                   *c = open_checkpoint(temp_dir_path(directory, "c"));
    const pio_stored_tensor *previous = NULL;
    for (size_t i = 0; i < pio_checkpoint_n_tensors(a); i++) {
        const pio_stored_tensor *x = pio_checkpoint_tensor(a, i), *y = pio_checkpoint_find(b, x->name),
                                *z = pio_checkpoint_find(c, x->name);
        assert_memory_equal(x->data, y->data, x->bytes);
        assert_memory_not_equal(x->data, z->data, x->bytes);
        if (previous && previous->bytes == x->bytes) assert_memory_not_equal(previous->data, x->data, x->bytes);
        previous = x;
    }
    const pio_stored_tensor *embedding = pio_checkpoint_find(a, "model.embed_tokens.weight");
    const unsigned char *rows = embedding->data;
    for (int i = 1; i < 300; i++) assert_memory_not_equal(rows, rows + 96 * i, 96);
    pio_checkpoint_close(a);
    pio_checkpoint_close(b);
    pio_checkpoint_close(c);
    temp_dir_remove(directory);
}

/* The engine takes it: every tensor is there in its shape, and no other, and the logits are numbers. */
static void every_model_loads_what_is_written(void **state) {
    (void)state;
    static const struct {
        const char *config; /* a folder of tests/data/golden */
        const char *arguments;
        int32_t n_layers; /* 0: those of the config */
    } cases[] = {{"qwen3_untied_sharded", "--layers 1", 1},
                 {"qwen3_moe_some_dense", "", 0},
                 {"glm4_moe_lite_groups", "--layers 2", 2},
                 {"qwen3_vl_odd", "", 0}};
    char *directory = temp_dir_make();
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        char arguments[1024], out[32];
        snprintf(out, sizeof out, "out%zu", i);
        snprintf(arguments, sizeof arguments, "%s '%s/golden/%s' %s", cases[i].arguments, PIO_TEST_DATA,
                 cases[i].config, out);
        assert_int_equal(run_tool(directory, arguments), 0);
        const pio_engine_options options = test_engine_options(true);
        pio_model *model = test_model_load(temp_dir_path(directory, out), &options);
        if (cases[i].n_layers) assert_int_equal(model->config.common.n_layers, cases[i].n_layers);
        const int32_t ids[] = {1, 2, 3}, vocab = model->config.common.vocab_size;
        float *logits = malloc(sizeof *logits * PIO_COUNT(ids) * (size_t)vocab);
        assert_non_null(logits);
        test_model_logits(model, ids, PIO_COUNT(ids), PIO_COUNT(ids), logits);
        for (int32_t k = 0; k < vocab * (int32_t)PIO_COUNT(ids); k++) assert_true(isfinite(logits[k]));
        free(logits);
        pio_model_close(model);
    }
    temp_dir_remove(directory);
}

static void bad_configs_are_refused(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    static const struct {
        const char *config, *arguments, *words;
        int status;
    } cases[] = {
        {"{}", ". out", "model_type is missing", 1},
        {"{\"model_type\":\"llama\"}", ". out", "'llama' is not supported", 1},
        {"{\"model_type\":\"qwen3\",\"vocab_size\":-1}", ". out", "vocab_size is -1", 1},
        {"{\"model_type\":\"qwen3\"," SIZES "}", ". .", "source itself", 1},
        {"{\"model_type\":\"qwen3\"," SIZES "}", ". no/out", "name another directory", 1},
        {"{\"model_type\":\"qwen3\"," SIZES "}", "absent out", "absent/config.json", 1},
        {"{", "--layers 2 . out", "not JSON", 1},
        {"{}", "--seed x . out", "usage", 2},
        {"{}", ".", "usage", 2},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        write_config(directory, cases[i].config);
        assert_int_equal(run_tool(directory, cases[i].arguments), cases[i].status);
        char *text;
        size_t n;
        assert_int_equal(pio_file_read_text(temp_dir_path(directory, "stderr"), 10000, &text, &n, NULL), PIO_OK);
        if (!strstr(text, cases[i].words)) fail_msg("'%s' lacks '%s'", text, cases[i].words);
        free(text);
    }
    assert_int_equal(temp_dir_count(directory), 2); /* config.json and stderr */
    temp_dir_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_checkpoint_is_written),
        cmocka_unit_test(the_seed_decides_the_weights),
        cmocka_unit_test(every_model_loads_what_is_written),
        cmocka_unit_test(bad_configs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
