#include "tests/support/test.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/quant_cache.h"
#include "tests/support/temp_dir.h"

enum { BYTES = 1 << 18 };

typedef struct fixture {
    char *root, *model, *cache;
    pio_checkpoint *source;
    pio_quant_cache_key key;
} fixture;

static const pio_safetensors_spec CODES = {"codes", PIO_STORED_U8, 2, {BYTES / 256, 256}};

/* A source of n bytes, opened. */
static void open_source(fixture *f, size_t n) {
    const pio_safetensors_spec spec = {"w", PIO_STORED_U8, 1, {n}};
    char path[600];
    snprintf(path, sizeof path, "%s/model.safetensors", f->model);
    pio_safetensors_writer *writer;
    pio_error error;
    if (pio_safetensors_writer_create(path, &spec, 1, NULL, 0, &writer, &error) != PIO_OK) fail_msg("%s", error.text);
    unsigned char *data = malloc(n);
    memset(data, 7, n);
    assert_int_equal(pio_safetensors_writer_write(writer, 0, 0, data, n, &error), PIO_OK);
    free(data);
    assert_int_equal(pio_safetensors_writer_finish(writer, &error), PIO_OK);
    pio_safetensors_writer_destroy(writer);
    pio_checkpoint_close(f->source);
    if (pio_checkpoint_open(f->model, &f->source, &error) != PIO_OK) fail_msg("%s", error.text);
    f->key.source = f->source;
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->root = temp_dir_make();
    f->model = strdup(temp_dir_path(f->root, "My model \xc3\xa9"));
    mkdir(f->model, 0700);
    pio_error error;
    if (pio_quant_cache_directory(temp_dir_path(f->root, "new/xdg"), "/h", &f->cache, &error) != PIO_OK) return -1;
    f->key = (pio_quant_cache_key){.directory = f->cache, .weights = "q4", .format_version = 3};
    open_source(f, 100);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    pio_checkpoint_close(f->source);
    temp_dir_remove(f->root);
    free(f->model);
    free(f->cache);
    free(f);
    return 0;
}

static pio_status fill(const pio_quant_cache_key *key, int value, pio_error *error) {
    pio_safetensors_writer *writer;
    pio_status status = pio_quant_cache_begin(key, &CODES, 1, &writer, error);
    unsigned char *data = malloc(BYTES);
    memset(data, value, BYTES);
    if (status == PIO_OK) status = pio_safetensors_writer_write(writer, 0, 0, data, BYTES, error);
    if (status == PIO_OK) status = pio_safetensors_writer_finish(writer, error);
    pio_safetensors_writer_destroy(writer);
    free(data);
    return status;
}

/* The value that the cached file holds throughout, or -1. */
static int cached_value(const pio_quant_cache_key *key, pio_error *error) {
    pio_safetensors *st;
    if (pio_quant_cache_open(key, &st, error) != PIO_OK) {
        assert_null(st);
        return -1;
    }
    const pio_stored_tensor *codes = pio_safetensors_find(st, "codes");
    assert_non_null(codes);
    const unsigned char *data = codes->data;
    int value = data[0];
    for (size_t i = 0; i < BYTES; i++) assert_int_equal(data[i], value);
    pio_safetensors_close(st);
    return value;
}

static void the_directory_follows_the_specification(void **state) {
    (void)state;
    char *path;
    pio_error error;
    assert_int_equal(pio_quant_cache_directory("/x", "/h", &path, &error), PIO_OK);
    assert_string_equal(path, "/x/inference-pio");
    free(path);
    static const char *const unusable[] = {NULL, "", "relative"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pio_quant_cache_directory(unusable[i], "/h", &path, &error), PIO_OK);
        assert_string_equal(path, "/h/.cache/inference-pio");
        free(path);
        assert_int_equal(pio_quant_cache_directory(NULL, unusable[i], &path, &error), PIO_NOT_FOUND);
        assert_null(path);
    }
}

/* A place where nothing may be made is named with that reason. */
static void a_place_that_is_read_only(void **state) {
    fixture *f = *state;
    pio_error error;
    if (geteuid() != 0) skip(); /* only root can become somebody who may not */
    assert_int_equal(chmod(f->root, 0555), 0);
    assert_int_equal(seteuid(65534), 0);
    const pio_status status = fill(&f->key, 5, &error);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(status, PIO_IO);
    if (!strstr(error.text, "/new") || !strstr(error.text, strerror(EACCES))) fail_msg("%s", error.text);
}

static void a_filled_cache_is_used_until_anything_changes(void **state) {
    fixture *f = *state;
    pio_error error;
    assert_int_equal(cached_value(&f->key, &error), -1);
    assert_int_equal(error.status, PIO_NOT_FOUND);
    assert_int_equal(fill(&f->key, 5, &error), PIO_OK);
    assert_int_equal(cached_value(&f->key, &error), 5);
    char *path;
    assert_int_equal(pio_quant_cache_path(&f->key, &path, &error), PIO_OK);
    assert_non_null(strstr(path, "/new/xdg/inference-pio/My_model__C3_A9-"));
    assert_non_null(strstr(path, "-q4-v3.safetensors"));
    struct stat info;
    assert_int_equal(stat(f->cache, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);

    pio_quant_cache_key other = f->key;
    other.weights = "q8";
    assert_int_equal(cached_value(&other, &error), -1);
    other = f->key;
    other.format_version = 4;
    assert_int_equal(cached_value(&other, &error), -1);
    char *other_path; /* renamed by hand to what the other version would use: the metadata tells */
    assert_int_equal(pio_quant_cache_path(&other, &other_path, &error), PIO_OK);
    assert_int_equal(link(path, other_path), 0);
    assert_int_equal(cached_value(&other, &error), -1);
    assert_non_null(strstr(error.text, "another format_version"));
    assert_int_equal(unlink(other_path), 0);
    free(other_path);

    open_source(f, 101); /* another size and time under the same path */
    assert_int_equal(cached_value(&f->key, &error), -1);
    assert_int_equal(error.status, PIO_NOT_FOUND);
    assert_non_null(strstr(error.text, "another source"));
    assert_int_equal(fill(&f->key, 6, &error), PIO_OK);
    assert_int_equal(cached_value(&f->key, &error), 6);
    assert_int_equal(temp_dir_count(f->cache), 1); /* the old one was replaced */
    free(path);
}

static void a_broken_file_is_not_used(void **state) {
    fixture *f = *state;
    pio_error error;
    assert_int_equal(fill(&f->key, 5, &error), PIO_OK);
    char *path;
    assert_int_equal(pio_quant_cache_path(&f->key, &path, &error), PIO_OK);
    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(cached_value(&f->key, &error), -1);
    assert_int_equal(error.status, PIO_NOT_FOUND);
    assert_non_null(strstr(error.text, "broken"));
    assert_int_equal(fill(&f->key, 8, &error), PIO_OK);
    assert_int_equal(cached_value(&f->key, &error), 8);
    free(path);
}

static void racing_processes_both_succeed(void **state) {
    fixture *f = *state;
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (int round = 0; round < 5; round++) {
                if (fill(&f->key, 10 + i, NULL) != PIO_OK) _exit(1);
                if (cached_value(&f->key, NULL) < 10) _exit(2); /* somebody's, whole */
            }
            _exit(0);
        }
        assert_true(children[i] > 0);
    }
    for (int i = 0; i < 4; i++) {
        int result;
        assert_int_equal(waitpid(children[i], &result, 0), children[i]);
        assert_int_equal(result, 0);
    }
    assert_in_range(cached_value(&f->key, NULL), 10, 13);
    assert_int_equal(temp_dir_count(f->cache), 1);
}

static void a_full_disk_is_a_status_and_leaves_nothing(void **state) {
    fixture *f = *state;
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = BYTES / 2;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    pio_error error = {0};
    pio_status status = fill(&f->key, 1, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, PIO_IO);
    assert_non_null(strstr(error.text, f->cache));
    assert_int_equal(temp_dir_count(f->cache), 0);
    assert_int_equal(cached_value(&f->key, &error), -1);
}

static void an_impossible_directory_is_a_status(void **state) {
    fixture *f = *state;
    pio_error error;
    char *file = strdup(temp_dir_write(f->root, "file", "x", 1)),
         *inside = strdup(temp_dir_path(f->root, "file/cache"));
    for (int i = 0; i < 2; i++) {
        pio_quant_cache_key key = f->key;
        key.directory = i ? file : inside;
        assert_int_equal(fill(&key, 1, &error), PIO_IO);
        assert_non_null(strstr(error.text, "XDG_CACHE_HOME"));
        assert_int_equal(cached_value(&key, &error), -1);
    }
    free(file);
    free(inside);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_directory_follows_the_specification),
        cmocka_unit_test_setup_teardown(a_filled_cache_is_used_until_anything_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_place_that_is_read_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_file_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(racing_processes_both_succeed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_a_status_and_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(an_impossible_directory_is_a_status, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
