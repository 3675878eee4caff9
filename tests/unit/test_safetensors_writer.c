#include "tests/support/test.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/output.h"
#include "io/safetensors_writer.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"

enum { N_TENSORS = 40 };

typedef struct random_file {
    pio_safetensors_spec specs[N_TENSORS];
    char names[N_TENSORS][32];
    unsigned char *data[N_TENSORS];
    uint64_t bytes[N_TENSORS];
} random_file;

static random_file *make_random_file(test_random *random) {
    random_file *file = calloc(1, sizeof *file);
    for (int i = 0; i < N_TENSORS; i++) {
        snprintf(file->names[i], sizeof file->names[i], "t\"\\\xc3\xa9.%d", i);
        pio_safetensors_spec *spec = &file->specs[i];
        spec->name = file->names[i];
        do spec->dtype = (pio_stored_dtype)test_random_below(random, PIO_STORED_DTYPE_COUNT);
        while (pio_stored_dtype_bits(spec->dtype) % 8);
        spec->rank = (int)test_random_below(random, 5);
        uint64_t bytes = pio_stored_dtype_bits(spec->dtype) / 8;
        for (int d = 0; d < spec->rank; d++) bytes *= spec->dims[d] = test_random_below(random, 9);
        file->bytes[i] = bytes;
        file->data[i] = malloc(bytes + 1);
        for (uint64_t b = 0; b < bytes; b++) file->data[i][b] = (unsigned char)test_random_u64(random);
    }
    return file;
}

static void free_random_file(random_file *file) {
    for (int i = 0; i < N_TENSORS; i++) free(file->data[i]);
    free(file);
}

/* Last tensor first, in two pieces, the second one first. */
static void write_backwards(pio_safetensors_writer *writer, const random_file *file) {
    for (int i = N_TENSORS - 1; i >= 0; i--) {
        uint64_t half = file->bytes[i] / 2;
        assert_int_equal(
            pio_safetensors_writer_write(writer, (size_t)i, half, file->data[i] + half, file->bytes[i] - half, NULL),
            PIO_OK);
        assert_int_equal(pio_safetensors_writer_write(writer, (size_t)i, 0, file->data[i], half, NULL), PIO_OK);
    }
}

static void what_is_written_is_read(void **state) {
    (void)state;
    test_random random = test_random_begin("what_is_written_is_read");
    char *directory = temp_dir_make();
    const char *path = temp_dir_path(directory, "m.safetensors");
    pio_error error;
    for (int round = 0; round < 20; round++) {
        random_file *file = make_random_file(&random);
        const pio_safetensors_pair metadata[] = {{"format", "pt"}, {"quote\"", "line\nbreak \xf0\x9f\x98\x80"}};
        pio_safetensors_writer *writer;
        pio_status status = pio_safetensors_writer_create(path, file->specs, N_TENSORS, metadata, 2, &writer, &error);
        if (status != PIO_OK) fail_msg("%s", error.text);
        write_backwards(writer, file);
        assert_int_equal(pio_safetensors_writer_finish(writer, &error), PIO_OK);
        uint64_t file_bytes = pio_safetensors_writer_bytes(writer);
        pio_safetensors_writer_destroy(writer);
        assert_int_equal(temp_dir_count(directory), 1);

        pio_safetensors *st;
        if (pio_safetensors_open(path, &st, &error) != PIO_OK) fail_msg("%s", error.text);
        assert_int_equal(pio_file_bytes(pio_safetensors_file(st)), file_bytes);
        assert_string_equal(pio_safetensors_metadata(st, "quote\""), metadata[1].text);
        for (int i = 0; i < N_TENSORS; i++) {
            const pio_stored_tensor *tensor = pio_safetensors_find(st, file->names[i]);
            assert_non_null(tensor);
            assert_int_equal(tensor->dtype, file->specs[i].dtype);
            assert_int_equal(tensor->rank, file->specs[i].rank);
            assert_memory_equal(tensor->dims, file->specs[i].dims, (size_t)tensor->rank * sizeof tensor->dims[0]);
            assert_int_equal(tensor->bytes, file->bytes[i]);
            if (tensor->bytes) assert_memory_equal(tensor->data, file->data[i], tensor->bytes);
        }
        pio_safetensors_close(st);
        free_random_file(file);
    }
    temp_dir_remove(directory);
}

static void impossible_lists_are_refused(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    const char *path = temp_dir_path(directory, "m.safetensors");
    static const struct {
        pio_safetensors_spec specs[2];
        size_t n;
    } cases[] = {
        {{{"a", PIO_STORED_U8, 1, {1}}, {"a", PIO_STORED_F32, 1, {1}}}, 2},
        {{{"__metadata__", PIO_STORED_U8, 1, {1}}}, 1},
        {{{"a\n", PIO_STORED_U8, 1, {1}}}, 1},
        {{{"\xff", PIO_STORED_U8, 1, {1}}}, 1},
        {{{"a", PIO_STORED_F4, 1, {3}}}, 1},
        {{{"a", PIO_STORED_F32, 2, {1ull << 62, 8}}}, 1},
        {{{"a", PIO_STORED_U8, 1, {1ull << 60}}, {"b", PIO_STORED_U8, 1, {(1ull << 61) - 1}}}, 2},
        {{{"a", PIO_STORED_U8, 9, {1}}}, 1},
        {{{"a", PIO_STORED_DTYPE_COUNT, 1, {1}}}, 1},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_error error = {0};
        pio_safetensors_writer *writer = (void *)1;
        pio_status status = pio_safetensors_writer_create(path, cases[i].specs, cases[i].n, NULL, 0, &writer, &error);
        /* the seventh can be stated but not stored */
        if (i == 6)
            assert_int_equal(status, PIO_IO);
        else
            assert_int_equal(status, PIO_INVALID_ARGUMENT);
        assert_null(writer);
        assert_true(strlen(error.text) > 0);
    }
    assert_int_equal(temp_dir_count(directory), 0);
    temp_dir_remove(directory);
}

static void half_a_file_is_never_seen(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    const char *path = temp_dir_write(directory, "m.safetensors", "old", 3);
    const pio_safetensors_spec spec = {"a", PIO_STORED_U8, 1, {4}};
    pio_error error;
    pio_safetensors_writer *writer;
    assert_int_equal(pio_safetensors_writer_create(path, &spec, 1, NULL, 0, &writer, &error), PIO_OK);
    assert_int_equal(pio_safetensors_writer_write(writer, 0, 1, "xyz", 3, &error), PIO_OK);
    assert_int_equal(pio_safetensors_writer_write(writer, 0, 3, "xy", 2, &error), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_safetensors_writer_write(writer, 1, 0, "x", 1, &error), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_safetensors_writer_finish(writer, &error), PIO_INTERNAL);
    assert_non_null(strstr(error.text, "3 of the 4 bytes"));
    pio_safetensors_writer_destroy(writer);
    assert_int_equal(temp_dir_count(directory), 1);
    char *text;
    size_t n;
    assert_int_equal(pio_file_read_text(path, 100, &text, &n, &error), PIO_OK);
    assert_string_equal(text, "old");
    free(text);

    assert_int_equal(
        pio_safetensors_writer_create(temp_dir_path(directory, "no/m"), &spec, 1, NULL, 0, &writer, &error),
        PIO_NOT_FOUND);
    assert_non_null(strstr(error.text, "make it first"));
    assert_int_equal(pio_safetensors_writer_create(directory, &spec, 1, NULL, 0, &writer, &error),
                     PIO_INVALID_ARGUMENT);
    temp_dir_remove(directory);
}

/* The limit on a file's size stands in for a full disk: both are refused while space is reserved. */
static void a_full_disk_leaves_nothing(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    const char *path = temp_dir_path(directory, "m.safetensors");
    struct rlimit old, small = {1 << 16, 1 << 16};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const pio_safetensors_spec spec = {"a", PIO_STORED_F32, 1, {1 << 15}};
    pio_error error = {0};
    pio_safetensors_writer *writer;
    pio_status status = pio_safetensors_writer_create(path, &spec, 1, NULL, 0, &writer, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    if (status == PIO_OK) fail_msg("128 KiB were reserved under a limit of 64");
    assert_int_equal(status, PIO_IO);
    assert_null(writer);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(temp_dir_count(directory), 0);
    temp_dir_remove(directory);
}

static void huge_files_are_refused_with_the_space_left(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    pio_output *output;
    for (pio_output_kind kind = PIO_OUTPUT_ANY; kind <= PIO_OUTPUT_NAMED; kind++) {
        pio_error error = {0};
        assert_int_equal(pio_output_create(temp_dir_path(directory, "f"), 1ull << 43, kind, &output, &error), PIO_IO);
        assert_null(output);
        assert_non_null(strstr(error.text, "8796093022208"));
        assert_int_equal(temp_dir_count(directory), 0);
    }
    temp_dir_remove(directory);
}

static void both_kinds_of_temporary_work(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    for (pio_output_kind kind = PIO_OUTPUT_ANY; kind <= PIO_OUTPUT_NAMED; kind++) {
        pio_output *output;
        pio_error error;
        const char *path = temp_dir_path(directory, kind == PIO_OUTPUT_ANY ? "any" : "named");
        for (int commit = 0; commit < 2; commit++) {
            assert_int_equal(pio_output_create(path, 5, kind, &output, &error), PIO_OK);
            assert_int_equal(pio_output_write(output, 1, "ello", 4, &error), PIO_OK);
            assert_int_equal(pio_output_write(output, 0, "h", 1, &error), PIO_OK);
            assert_int_equal(pio_output_write(output, 5, "!", 1, &error), PIO_INVALID_ARGUMENT);
            if (commit) assert_int_equal(pio_output_commit(output, &error), PIO_OK);
            pio_output_destroy(output);
            assert_int_equal(temp_dir_count(directory), (size_t)kind + (size_t)commit);
        }
        char *text;
        size_t n;
        assert_int_equal(pio_file_read_text(path, 5, &text, &n, &error), PIO_OK);
        assert_string_equal(text, "hello");
        free(text);
    }
    temp_dir_remove(directory);
}

/* Writers of one target, killed at a random moment or not, never leave anything but a whole file. */
static void racing_writers_leave_a_whole_file(void **state) {
    (void)state;
    enum { BYTES = 1 << 20, N_WRITERS = 6 };
    test_random random = test_random_begin("racing_writers_leave_a_whole_file");
    char *directory = temp_dir_make();
    const char *path = temp_dir_path(directory, "m.safetensors");
    const pio_safetensors_spec spec = {"a", PIO_STORED_U8, 1, {BYTES}};
    unsigned char *data = malloc(BYTES);
    pid_t children[N_WRITERS];
    for (int i = 0; i < N_WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            memset(data, 'a' + i, BYTES);
            pio_safetensors_writer *writer;
            if (pio_safetensors_writer_create(path, &spec, 1, NULL, 0, &writer, NULL) != PIO_OK) _exit(1);
            for (int at = 0; at < BYTES; at += 4096) {
                if (pio_safetensors_writer_write(writer, 0, (uint64_t)at, data + at, 4096, NULL) != PIO_OK) _exit(2);
            }
            if (pio_safetensors_writer_finish(writer, NULL) != PIO_OK) _exit(3);
            _exit(0);
        }
        assert_true(children[i] > 0);
    }
    usleep((useconds_t)test_random_below(&random, 2000));
    kill(children[0], SIGKILL);
    for (int i = 0; i < N_WRITERS; i++) {
        int result;
        assert_int_equal(waitpid(children[i], &result, 0), children[i]);
        if (i) assert_int_equal(result, 0);
    }
    pio_safetensors *st;
    pio_error error;
    if (pio_safetensors_open(path, &st, &error) != PIO_OK) fail_msg("%s", error.text);
    const unsigned char *read = pio_safetensors_find(st, "a")->data;
    memset(data, read[0], BYTES);
    assert_memory_equal(read, data, BYTES);
    pio_safetensors_close(st);
    free(data);
    temp_dir_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(impossible_lists_are_refused),
        cmocka_unit_test(half_a_file_is_never_seen),
        cmocka_unit_test(a_full_disk_leaves_nothing),
        cmocka_unit_test(huge_files_are_refused_with_the_space_left),
        cmocka_unit_test(both_kinds_of_temporary_work),
        cmocka_unit_test(racing_writers_leave_a_whole_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
