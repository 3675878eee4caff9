/* usage: model_unit MODEL. A checkpoint that cannot be served is refused with one sentence that names what is wrong:
 * every tensor missing, misshapen, of a wrong type or holding NaN in its turn, files that are cut, and each config of
 * the model's configs.jsonl; the other configs there are spellings that must be read. (A sanitizer's leak check sees
 * what is left behind.)
 *
 * configs.jsonl: first {"checkpoint": folder in tests/data/golden}, which all lines begin with; then lines {"set":
 * {path: value}, "remove": [path], "refused": status, "words": [in the sentence]}, each part optional, where a path may
 * lead into objects ("text_config.hidden_size"). A line that is not refused opens and loads. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "io/safetensors_writer.h"
#include "tests/support/cli.h"
#include "tests/support/engine.h"
#include "tests/support/family.h"
#include "tests/support/temp_dir.h"

enum { MOST_TENSORS = 512, MANY_TENSORS = 64 };

static char base[TEST_PATH_BYTES]; /* the checkpoint that is spoilt */

/* Opens and loads: the status, with the sentence in *error. */
static pio_status try(const char *directory, const pio_engine_options *options, pio_error *error) {
    pio_model *model;
    pio_status status = pio_model_open(directory, options, &model, error);
    assert_int_equal(status == PIO_OK, model != NULL);
    if (!status) status = pio_model_load(model, error);
    pio_model_close(model);
    return status;
}

static void check_sentence(const pio_error *error, pio_status status, const char *const words[], size_t n_words) {
    assert_int_equal(error->status, status);
    assert_null(strchr(error->text, '\n'));
    for (size_t i = 0; i < n_words; i++)
        if (words[i] && !strstr(error->text, words[i])) fail_msg("'%s' lacks '%s'", error->text, words[i]);
}

static void expect_refusal(const char *directory, const pio_engine_options *options, pio_status expected,
                           const char *one, const char *two, const char *three, const char *four) {
    pio_error error = {0};
    const pio_status status = try(directory, options, &error);
    if (status != expected) fail_msg("%s: %s", pio_status_name(status), error.text);
    check_sentence(&error, expected, (const char *const[]){one, two, three, four}, 4);
}

/* ---- configs ---- */

/* The object that a path leads to, and its last part in *key. */
static json_t *walk(json_t *config, const char *path, const char **key) {
    for (const char *dot; (dot = strchr(path, '.')); path = dot + 1) {
        char part[64];
        snprintf(part, sizeof part, "%.*s", (int)(dot - path), path);
        config = json_object_get(config, part);
        if (!json_is_object(config)) fail_msg("there is no object '%s'", part);
    }
    *key = path;
    return config;
}

/* A fresh directory with the base's config as the line changes it; NULL: as it is. */
static char *make_directory(json_t *line) {
    char *directory = temp_dir_make();
    char path[TEST_PATH_BYTES + 16];
    const char *at, *key;
    json_t *value;
    size_t i;
    snprintf(path, sizeof path, "%s/config.json", base);
    json_t *config = json_load_file(path, 0, NULL);
    assert_non_null(config);
    json_object_foreach(json_object_get(line, "set"), at, value) {
        json_t *object = walk(config, at, &key);
        json_object_set(object, key, value);
    }
    json_array_foreach(json_object_get(line, "remove"), i, value) {
        json_t *object = walk(config, json_string_value(value), &key);
        if (json_object_del(object, key)) fail_msg("there is no '%s' to be removed", json_string_value(value));
    }
    assert_int_equal(json_dump_file(config, temp_dir_path(directory, "config.json"), 0), 0);
    json_decref(config);
    return directory;
}

static void link_weights(const char *directory) {
    char target[TEST_PATH_BYTES + 32];
    snprintf(target, sizeof target, "%s/model.safetensors", base);
    assert_int_equal(symlink(target, temp_dir_path(directory, "model.safetensors")), 0);
}

static void check_config(json_t *line, int number) {
    const pio_engine_options options = test_engine_options(false);
    const char *refused = json_string_value(json_object_get(line, "refused"));
    char *directory = make_directory(line);
    pio_error error = {0};
    link_weights(directory);
    const pio_status status = try(directory, &options, &error);
    if (strcmp(refused ? refused : pio_status_name(PIO_OK), pio_status_name(status)))
        fail_msg("configs.jsonl, line %d: %s: %s", number, pio_status_name(status), error.text);
    if (refused) {
        json_t *word;
        size_t i;
        check_sentence(&error, status, (const char *const[]){directory}, 1);
        json_array_foreach(json_object_get(line, "words"), i, word)
            check_sentence(&error, status, (const char *const[]){json_string_value(word)}, 1);
    }
    temp_dir_remove(directory);
}

static void configs_are_read_or_refused_with_key_and_value(void **state) {
    (void)state;
    test_lines lines = test_lines_begin("configs.jsonl");
    json_decref(test_lines_next(&lines));
    for (json_t *line; (line = test_lines_next(&lines)); json_decref(line)) check_config(line, lines.line);
    assert_true(lines.line > 10);
}

static int find_base(void **state) {
    (void)state;
    test_lines lines = test_lines_begin("configs.jsonl");
    for (json_t *line; (line = test_lines_next(&lines)); json_decref(line)) {
        const char *name = json_string_value(json_object_get(line, "checkpoint"));
        if (name) snprintf(base, sizeof base, "%s/golden/%s", PIO_TEST_DATA, name);
    }
    return base[0] ? 0 : -1;
}

/* ---- tensors ---- */

typedef enum damage { NONE, MISSING, ANOTHER_SHAPE, ANOTHER_RANK, ANOTHER_DTYPE, NOT_A_NUMBER, ANOTHER_NAME } damage;

static const struct {
    damage what;
    pio_status status;
    const char *words[2];
} damages[] = {
    {MISSING, PIO_NOT_FOUND, {"missing"}},          {ANOTHER_SHAPE, PIO_CORRUPT, {"shape [", "config.json"}},
    {ANOTHER_RANK, PIO_CORRUPT, {"shape [", "1]"}}, {ANOTHER_DTYPE, PIO_UNSUPPORTED, {"I16", "BF16"}},
    {NOT_A_NUMBER, PIO_CORRUPT, {"not finite"}},    {ANOTHER_NAME, PIO_NOT_FOUND, {"missing"}},
};

static pio_safetensors_spec damaged_spec(const pio_stored_tensor *tensor, damage what) {
    pio_safetensors_spec spec = {tensor->name, tensor->dtype, tensor->rank, {0}};
    memcpy(spec.dims, tensor->dims, sizeof spec.dims);
    if (what == ANOTHER_SHAPE) spec.dims[0]--;
    if (what == ANOTHER_RANK) spec.dims[spec.rank++] = 1;
    if (what == ANOTHER_DTYPE) spec.dtype = PIO_STORED_I16;
    if (what == ANOTHER_NAME) spec.name = "model.layers.0.self_attn.extra.weight";
    return spec;
}

static void write_tensor(pio_safetensors_writer *writer, size_t k, const pio_safetensors_spec *spec,
                         const pio_stored_tensor *tensor, bool nan, uint64_t nan_at) {
    static const uint32_t f32_nan = 0x7fc00000; /* its upper half is bf16's */
    const uint64_t element = pio_stored_dtype_bits(tensor->dtype) / 8;
    uint64_t bytes = pio_stored_dtype_bits(spec->dtype) / 8;
    for (int d = 0; d < spec->rank; d++) bytes *= spec->dims[d];
    char *data = malloc(bytes);
    assert_non_null(data);
    memcpy(data, tensor->data, PIO_MIN(bytes, tensor->bytes));
    if (nan) memcpy(data + element * nan_at, (const char *)&f32_nan + 4 - element, element);
    assert_int_equal(pio_safetensors_writer_write(writer, k, 0, data, bytes, NULL), PIO_OK);
    free(data);
}

/* Writes the checkpoint's tensors into the directory, tensor `index` with the damage; `at`: of the NaN. */
static void write_damaged(const pio_checkpoint *from, const char *directory, size_t index, damage what, uint64_t at) {
    pio_safetensors_spec specs[MOST_TENSORS];
    pio_safetensors_writer *writer;
    size_t n = 0, n_tensors = pio_checkpoint_n_tensors(from), of[MOST_TENSORS];
    assert_true(n_tensors <= MOST_TENSORS);
    for (size_t i = 0; i < n_tensors; i++) {
        const pio_stored_tensor *tensor = pio_checkpoint_tensor(from, i);
        assert_true(tensor->dtype == PIO_STORED_BF16 || tensor->dtype == PIO_STORED_F32);
        if (i == index && what == MISSING) continue;
        specs[n] = damaged_spec(tensor, i == index ? what : NONE);
        of[n++] = i;
    }
    assert_int_equal(
        pio_safetensors_writer_create(temp_dir_path(directory, "model.safetensors"), specs, n, NULL, 0, &writer, NULL),
        PIO_OK);
    for (size_t k = 0; k < n; k++)
        write_tensor(writer, k, &specs[k], pio_checkpoint_tensor(from, of[k]), of[k] == index && what == NOT_A_NUMBER,
                     at);
    assert_int_equal(pio_safetensors_writer_finish(writer, NULL), PIO_OK);
    pio_safetensors_writer_destroy(writer);
}

static pio_checkpoint *open_base(void) {
    pio_checkpoint *from;
    pio_error error = {0};
    if (pio_checkpoint_open(base, &from, &error)) fail_msg("%s", error.text);
    return from;
}

static void every_damaged_tensor_is_named(void **state) {
    (void)state;
    static const pio_dtype weights[] = {PIO_DTYPE_BF16, PIO_DTYPE_Q8, PIO_DTYPE_Q4};
    test_random random = test_random_begin("every_damaged_tensor_is_named");
    pio_engine_options options = test_engine_options(false);
    options.backend = PIO_BACKEND_CPU;
    pio_checkpoint *from = open_base();
    const size_t n = pio_checkpoint_n_tensors(from);
    char *directory = make_directory(NULL);
    write_damaged(from, directory, 0, NONE, 0); /* as it is, it can be used */
    pio_model *whole = test_model_load(directory, &options);
    const size_t stride = TEST_SANITIZED ? PIO_MAX(1, n / 16) : 1;
    size_t turn = test_random_below(&random, PIO_COUNT(damages)); /* of the damages, where a tensor has but one */
    for (size_t i = test_random_below(&random, stride); i < n; i += stride) {
        const pio_stored_tensor *tensor = pio_checkpoint_tensor(from, i);
        if (pio_model_is_extra(&whole->config, tensor->name)) continue;
        const size_t only = turn++ % PIO_COUNT(damages);
        for (size_t k = 0; k < PIO_COUNT(damages); k++) {
            if ((n > MANY_TENSORS || TEST_SANITIZED) && k != only) continue;
            write_damaged(from, directory, i, damages[k].what, test_random_below(&random, tensor->n_elements));
            options.weights = weights[test_random_below(&random, PIO_COUNT(weights))];
            expect_refusal(directory, &options, damages[k].status, tensor->name, directory, damages[k].words[0],
                           damages[k].words[1]);
        }
    }
    pio_model_close(whole);
    temp_dir_remove(directory);
    pio_checkpoint_close(from);
}

static void cut_files_are_named(void **state) {
    (void)state;
    static const off_t lengths[] = {60000, 100, 0};
    const pio_engine_options options = test_engine_options(false);
    pio_checkpoint *from = open_base();
    char *directory = make_directory(NULL);
    write_damaged(from, directory, 0, NONE, 0);
    const char *path = temp_dir_path(directory, "model.safetensors");
    for (size_t i = 0; i < PIO_COUNT(lengths); i++) {
        assert_int_equal(truncate(path, lengths[i]), 0);
        expect_refusal(directory, &options, PIO_CORRUPT, "model.safetensors", directory, NULL, NULL);
    }
    assert_int_equal(unlink(path), 0);
    expect_refusal(directory, &options, PIO_NOT_FOUND, "safetensors", directory, NULL, NULL);
    temp_dir_remove(directory);
    pio_checkpoint_close(from);
    expect_refusal("/nowhere/at/all", &options, PIO_NOT_FOUND, "/nowhere/at/all", NULL, NULL, NULL);
}

/* A file that became shorter after it was opened is an error, not a signal. */
static void files_that_shrink_while_they_are_read_are_named(void **state) {
    (void)state;
    const pio_engine_options options = test_engine_options(false);
    pio_checkpoint *from = open_base();
    char *directory = make_directory(NULL);
    pio_error error = {0};
    pio_model *model;
    write_damaged(from, directory, 0, NONE, 0);
    if (pio_model_open(directory, &options, &model, &error)) fail_msg("%s", error.text);
    assert_int_equal(truncate(temp_dir_path(directory, "model.safetensors"), 50000), 0);
    assert_int_equal(pio_model_load(model, &error), PIO_IO);
    check_sentence(&error, PIO_IO, (const char *const[]){"model.safetensors", "shorter"}, 2);
    pio_model_close(model);
    temp_dir_remove(directory);
    pio_checkpoint_close(from);
}

/* A header of odd length puts every element at an odd address (a sanitizer sees who minds). */
static void tensors_may_lie_at_odd_addresses(void **state) {
    (void)state;
    static const pio_dtype weights[] = {PIO_DTYPE_BF16, PIO_DTYPE_Q8, PIO_DTYPE_Q4};
    pio_engine_options options = test_engine_options(true);
    char *directory = make_directory(NULL), path[TEST_PATH_BYTES + 32];
    size_t bytes = 0;
    uint64_t header;
    snprintf(path, sizeof path, "%s/model.safetensors", base);
    char *even = cli_read_file(path, &bytes), *odd = malloc(bytes + 2);
    assert_non_null(odd);
    memcpy(&header, even, sizeof header);
    const uint64_t padding = header % 2 ? 2 : 1, longer = header + padding;
    memcpy(odd, &longer, sizeof longer);
    memcpy(odd + 8, even + 8, header);
    memset(odd + 8 + header, ' ', padding);
    memcpy(odd + 8 + longer, even + 8 + header, bytes - 8 - header);
    temp_dir_write(directory, "model.safetensors", odd, bytes + padding);
    int32_t ids[5] = {3, 1, 4, 1, 5};
    for (size_t i = 0; i < PIO_COUNT(weights); i++) {
        options.weights = weights[i];
        pio_model *models[2] = {test_model_load(directory, &options), test_model_load(base, &options)};
        const size_t n = PIO_COUNT(ids) * (size_t)models[0]->config.common.vocab_size;
        float *logits[2] = {malloc(n * sizeof(float)), malloc(n * sizeof(float))};
        for (int k = 0; k < 2; k++) test_model_logits(models[k], ids, PIO_COUNT(ids), PIO_COUNT(ids), logits[k]);
        assert_memory_equal(logits[0], logits[1], n * sizeof(float));
        for (int k = 0; k < 2; k++) {
            free(logits[k]);
            pio_model_close(models[k]);
        }
    }
    free(even);
    free(odd);
    temp_dir_remove(directory);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configs_are_read_or_refused_with_key_and_value),
        cmocka_unit_test(every_damaged_tensor_is_named),
        cmocka_unit_test(cut_files_are_named),
        cmocka_unit_test(files_that_shrink_while_they_are_read_are_named),
        cmocka_unit_test(tensors_may_lie_at_odd_addresses),
    };
    if (!test_family_begin(argc, argv)) return 2;
    return cmocka_run_group_tests(tests, find_base, NULL);
}
