#include "tests/support/test.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "io/safetensors_writer.h"
#include "tests/support/temp_dir.h"

/* Writes a shard with the named one-byte tensors (a NULL ends the list); each holds its name's last character. */
static void write_shard(const char *directory, const char *file, const char *const *names) {
    pio_safetensors_spec specs[8];
    size_t n = 0;
    for (; names[n]; n++) specs[n] = (pio_safetensors_spec){names[n], PIO_STORED_U8, 1, {1}};
    pio_safetensors_writer *writer;
    pio_error error;
    const char *path = temp_dir_path(directory, file);
    if (pio_safetensors_writer_create(path, specs, n, NULL, 0, &writer, &error) != PIO_OK) fail_msg("%s", error.text);
    for (size_t i = 0; i < n; i++) {
        const char *last = names[i] + strlen(names[i]) - 1;
        assert_int_equal(pio_safetensors_writer_write(writer, i, 0, last, 1, &error), PIO_OK);
    }
    assert_int_equal(pio_safetensors_writer_finish(writer, &error), PIO_OK);
    pio_safetensors_writer_destroy(writer);
}

static void write_index(const char *directory, const char *text) {
    temp_dir_write(directory, "model.safetensors.index.json", text, strlen(text));
}

/* Opening must fail with this status and a sentence that has these words. */
static void refuse(const char *directory, pio_status status, const char *word1, const char *word2, const char *word3) {
    pio_error error = {0};
    pio_checkpoint *cp = (void *)1;
    assert_int_equal(pio_checkpoint_open(directory, &cp, NULL), status);
    assert_int_equal(pio_checkpoint_open(directory, &cp, &error), status);
    assert_null(cp);
    const char *words[] = {directory, word1, word2, word3};
    for (int i = 0; i < 4; i++) {
        if (words[i] && !strstr(error.text, words[i])) fail_msg("'%s' lacks '%s'", error.text, words[i]);
    }
}

static const char *const SHARD_1[] = {"layers.0.w", "layers.0.x", NULL};
static const char *const SHARD_2[] = {"layers.1.y", "layers.1.z", "extra", NULL};

static void shards_are_united(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    write_shard(directory, "model-00001-of-00002.safetensors", SHARD_1);
    write_shard(directory, "model-00002-of-00002.safetensors", SHARD_2);
    write_shard(directory, "model.safetensors", SHARD_2); /* the index goes before it */
    temp_dir_write(directory, "other.safetensors", "never read", 10);
    write_index(directory, "{\"metadata\":{\"total_size\":4},\"weight_map\":{"
                           "\"layers.1.z\":\"model-00002-of-00002.safetensors\","
                           "\"layers.0.w\":\"model-00001-of-00002.safetensors\","
                           "\"layers.0.x\":\"model-00001-of-00002.safetensors\","
                           "\"layers.1.y\":\"model-00002-of-00002.safetensors\"}}\n");
    pio_error error;
    pio_checkpoint *cp;
    if (pio_checkpoint_open(directory, &cp, &error) != PIO_OK) fail_msg("%s", error.text);
    assert_int_equal(pio_checkpoint_n_tensors(cp), 4);
    assert_int_equal(pio_checkpoint_bytes(cp), 4);
    static const char *const order[] = {"layers.0.w", "layers.0.x", "layers.1.y", "layers.1.z"};
    for (size_t i = 0; i < 4; i++) {
        const pio_stored_tensor *tensor = pio_checkpoint_tensor(cp, i);
        assert_string_equal(tensor->name, order[i]);
        assert_ptr_equal(pio_checkpoint_find(cp, order[i]), tensor);
        assert_int_equal(*(const char *)tensor->data, "wxyz"[i]);
        assert_non_null(strstr(pio_file_path(tensor->file), i < 2 ? "00001-of" : "00002-of"));
    }
    assert_null(pio_checkpoint_tensor(cp, 4));
    assert_null(pio_checkpoint_find(cp, "extra")); /* the index does not list it */
    assert_null(pio_checkpoint_find(cp, "layers.0"));
    assert_string_equal(pio_checkpoint_directory(cp), directory);
    pio_checkpoint_close(cp);
    temp_dir_remove(directory);
}

static void the_identity_follows_the_files(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    assert_int_equal(mkdir(temp_dir_path(directory, "a b\n\xc3\xa9"), 0700), 0);
    char *inner = strdup(temp_dir_path(directory, "a b\n\xc3\xa9"));
    write_shard(inner, "model.safetensors", SHARD_1);
    char *identities[3];
    for (int i = 0; i < 3; i++) {
        pio_error error;
        pio_checkpoint *cp;
        if (i == 2) { /* one nanosecond is a change */
            struct stat info;
            assert_int_equal(stat(temp_dir_path(inner, "model.safetensors"), &info), 0);
            struct timespec times[2] = {info.st_atim, info.st_mtim};
            times[1].tv_nsec ^= 1;
            assert_int_equal(utimensat(AT_FDCWD, temp_dir_path(inner, "model.safetensors"), times, 0), 0);
        }
        if (pio_checkpoint_open(inner, &cp, &error) != PIO_OK) fail_msg("%s", error.text);
        identities[i] = strdup(pio_checkpoint_identity(cp));
        pio_checkpoint_close(cp);
    }
    assert_string_equal(identities[0], identities[1]);
    assert_string_not_equal(identities[0], identities[2]);
    assert_non_null(strstr(identities[0], "/a b%0A%C3%A9\nmodel.safetensors "));
    for (int i = 0; i < 3; i++) free(identities[i]);
    free(inner);
    temp_dir_remove(directory);
}

static void directories_without_weights_say_why(void **state) {
    (void)state;
    refuse("/nonexistent/place", PIO_NOT_FOUND, "no directory", NULL, NULL);
    char *directory = temp_dir_make();
    refuse(directory, PIO_NOT_FOUND, "empty directory", "download", NULL);
    refuse(temp_dir_write(directory, "config.json", "{}", 2), PIO_INVALID_ARGUMENT, "is a file", NULL, NULL);
    refuse(directory, PIO_NOT_FOUND, "no weights", "model.safetensors", NULL);
    temp_dir_write(directory, "model-q4.gguf", "x", 1);
    refuse(directory, PIO_UNSUPPORTED, "model-q4.gguf", "GGUF", "safetensors");
    temp_dir_write(directory, "pytorch_model.bin", "x", 1);
    refuse(directory, PIO_UNSUPPORTED, "pytorch_model.bin", "save_pretrained", NULL);
    temp_dir_write(directory, "consolidated.safetensors", "x", 1);
    refuse(directory, PIO_NOT_FOUND, "consolidated.safetensors", "rename", "index");
    temp_dir_write(directory, "model.safetensors", "x", 1);
    refuse(directory, PIO_CORRUPT, "model.safetensors", "truncated", NULL);
    temp_dir_write(directory, "model.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
    refuse(directory, PIO_CORRUPT, "model.safetensors", "no tensors", NULL);
    temp_dir_remove(directory);
}

static void contradicting_indexes_are_refused(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    write_shard(directory, "a.safetensors", SHARD_1);
    write_shard(directory, "b.safetensors", SHARD_2);
    static const struct {
        const char *index;
        pio_status status;
        const char *words[3];
    } cases[] = {
        {"{\"weight_map\":{\"layers.0.w\":\"a.safetensors\",\"layers.9.q\":\"c.safetensors\"}}",
         PIO_NOT_FOUND,
         {"'c.safetensors'", "file 2 of the 2", "download"}},
        {"{\"weight_map\":{\"layers.0.w\":\"a.safetensors\",\"layers.9.q\":\"b.safetensors\"}}",
         PIO_CORRUPT,
         {"'layers.9.q'", "'b.safetensors', is not there", "download"}},
        {"{\"weight_map\":{\"layers.0.w\":\"b.safetensors\",\"layers.0.x\":\"a.safetensors\"}}",
         PIO_CORRUPT,
         {"'layers.0.w' lies in 'a.safetensors'", "says 'b.safetensors'", "download"}},
        {"{\"weight_map\":{\"layers.0.w\":\"a.safetensors\",\"layers.0.w\":\"a.safetensors\"}}",
         PIO_CORRUPT,
         {"'layers.0.w' twice"}},
        {"{\"weight_map\":{\"w\":\"../a.safetensors\"}}", PIO_CORRUPT, {"beside the index"}},
        {"{\"weight_map\":{\"w\":\"/etc/passwd\"}}", PIO_CORRUPT, {"beside the index"}},
        {"{\"weight_map\":{\"w\":\"..\"}}", PIO_CORRUPT, {"beside the index"}},
        {"{\"weight_map\":{\"w\":\"\"}}", PIO_CORRUPT, {"beside the index"}},
        {"{\"weight_map\":{\"w\":\"a\\u0000b\"}}", PIO_CORRUPT, {"beside the index"}},
        {"{\"weight_map\":{\"w\":1}}", PIO_CORRUPT, {"string is missing"}},
        {"{\"weight_map\":[]}", PIO_CORRUPT, {"not an object"}},
        {"{\"weight_map\":{}}", PIO_CORRUPT, {"missing or empty"}},
        {"{\"weight_map\":{\"layers.0.w\":\"a.safetensors\"},\"weight_map\":{}}", PIO_CORRUPT, {"two weight_map"}},
        {"{}", PIO_CORRUPT, {"missing or empty"}},
        {"{\"weight_map\":{\"layers.0.w\":\"a.safetensors\"}} x", PIO_CORRUPT, {"follows"}},
        {"{\"weight_map\":{\"layers.0.w\":\"a.safe", PIO_CORRUPT, {"index.json", "not closed", "download"}},
        {"", PIO_CORRUPT, {"'{'"}},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        write_index(directory, cases[i].index);
        refuse(directory, cases[i].status, cases[i].words[0], cases[i].words[1], cases[i].words[2]);
    }
    temp_dir_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_united),
        cmocka_unit_test(the_identity_follows_the_files),
        cmocka_unit_test(directories_without_weights_say_why),
        cmocka_unit_test(contradicting_indexes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
