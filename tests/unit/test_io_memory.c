/* Every allocation of the file layer fails once: the answer is PIO_OUT_OF_MEMORY, and nothing is left behind in memory
 * (a sanitizer's leak check sees to that) or on disk. */
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint.h"
#include "io/json.h"
#include "io/quant_cache.h"
#include "tests/support/failing_memory.h"
#include "tests/support/temp_dir.h"

/* All that a load does: a sharded checkpoint, its settings, the cache filled and read. */
static pio_status load(const char *directory, const char *config, const char *cache, pio_error *error) {
    pio_checkpoint *cp = NULL;
    pio_json *json = NULL;
    pio_safetensors_writer *writer = NULL;
    pio_safetensors *st = NULL;
    pio_status status = pio_checkpoint_open(directory, &cp, error);
    if (status == PIO_OK) status = pio_json_parse("config.json", config, strlen(config), &json, error);
    if (status == PIO_OK) {
        const pio_quant_cache_key key = {.directory = cache, .source = cp, .weights = "q4", .format_version = 1};
        const pio_safetensors_spec spec = {"codes", PIO_STORED_U8, 1, {4}};
        status = pio_quant_cache_begin(&key, &spec, 1, &writer, error);
        if (status == PIO_OK) status = pio_safetensors_writer_write(writer, 0, 0, "abcd", 4, error);
        if (status == PIO_OK) status = pio_safetensors_writer_finish(writer, error);
        if (status == PIO_OK) status = pio_quant_cache_open(&key, &st, error);
    }
    pio_safetensors_close(st);
    pio_safetensors_writer_destroy(writer);
    pio_json_free(json);
    pio_checkpoint_close(cp);
    return status;
}

static void write_shard(const char *directory, const char *file, const char *tensor) {
    const pio_safetensors_spec spec = {tensor, PIO_STORED_U8, 1, {1}};
    const pio_safetensors_pair format = {"format", "pt"};
    pio_safetensors_writer *writer;
    assert_int_equal(pio_safetensors_writer_create(temp_dir_path(directory, file), &spec, 1, &format, 1, &writer, NULL),
                     PIO_OK);
    assert_int_equal(pio_safetensors_writer_write(writer, 0, 0, "x", 1, NULL), PIO_OK);
    assert_int_equal(pio_safetensors_writer_finish(writer, NULL), PIO_OK);
    pio_safetensors_writer_destroy(writer);
}

static void every_failure_is_a_status(void **state) {
    (void)state;
    static const char index[] = "{\"weight_map\":{\"v\":\"a.safetensors\",\"w\":\"b.safetensors\"}}";
    char *directory = temp_dir_make(), *cache = temp_dir_make();
    write_shard(directory, "a.safetensors", "v");
    write_shard(directory, "b.safetensors", "w");
    temp_dir_write(directory, "model.safetensors.index.json", index, sizeof index - 1);
    pio_status status = PIO_OUT_OF_MEMORY;
    long n = 0;
    for (; status != PIO_OK && n < 1000; n++) {
        pio_error error = {0};
        failing_memory_left = n;
        status = load(directory, "{\"model_type\":\"qwen3\",\"x\":NaN}", cache, &error);
        failing_memory_left = -1;
        if (status == PIO_OK) break;
        if (status != PIO_OUT_OF_MEMORY) fail_msg("allocation %ld: %s", n, error.text);
        assert_non_null(strstr(error.text, "not enough memory"));
        assert_in_range(temp_dir_count(cache), 0, 1); /* a failure after the commit leaves the whole file */
    }
    assert_int_equal(status, PIO_OK);
    assert_true(n > 20); /* else the linker did not send the calls here */
    assert_int_equal(temp_dir_count(cache), 1);
    assert_int_equal(temp_dir_count(directory), 3);
    temp_dir_remove(directory);
    temp_dir_remove(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failure_is_a_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
