/* What is kept on disk is read back whole or not at all. */
#include "tests/support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/kept.h"
#include "tests/support/cli.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"

enum { MOST = 1 << 20 };

typedef struct fixture {
    char *root, directory[512], path[600];
    unsigned char bytes[700];
    size_t n;
} fixture;

static void begin(fixture *f, const char *name) {
    test_random random = test_random_begin(name);
    f->root = temp_dir_make();
    snprintf(f->directory, sizeof f->directory, "%s/not/there", f->root);
    snprintf(f->path, sizeof f->path, "%s/device-1.kept", f->directory);
    f->n = 1 + test_random_below(&random, sizeof f->bytes);
    for (size_t i = 0; i < f->n; i++) f->bytes[i] = (unsigned char)test_random_below(&random, 256);
}

static pio_status read_back(const fixture *f, const char *key, size_t limit) {
    void *bytes = (void *)f;
    size_t n = 77;
    pio_error error = {0};
    pio_status status = pio_kept_read(f->directory, key, limit, &bytes, &n, &error);
    if (status) {
        assert_null(bytes);
        assert_int_equal(n, 0);
        assert_true(strlen(error.text) > 10);
    } else {
        assert_int_equal(n, f->n);
        assert_memory_equal(bytes, f->bytes, n);
        free(bytes);
    }
    return status;
}

static void what_was_kept_comes_back(void **state) {
    (void)state;
    fixture f;
    begin(&f, "what_was_kept_comes_back");
    assert_int_equal(read_back(&f, "device-1", MOST), PIO_NOT_FOUND);
    assert_int_equal(pio_kept_write(f.directory, "device-1", f.bytes, f.n, NULL), PIO_OK);
    assert_int_equal(read_back(&f, "device-1", f.n), PIO_OK);
    assert_int_equal(read_back(&f, "device-1", f.n - 1), PIO_LIMIT);
    assert_int_equal(read_back(&f, "device-2", MOST), PIO_NOT_FOUND);
    f.bytes[0] ^= 1; /* the newer one counts */
    assert_int_equal(pio_kept_write(f.directory, "device-1", f.bytes, f.n, NULL), PIO_OK);
    assert_int_equal(read_back(&f, "device-1", MOST), PIO_OK);
    temp_dir_remove(f.root);
}

static void what_is_damaged_is_not_read(void **state) {
    (void)state;
    fixture f;
    begin(&f, "what_is_damaged_is_not_read");
    assert_int_equal(pio_kept_write(f.directory, "device-1", f.bytes, f.n, NULL), PIO_OK);
    size_t n;
    char *file = cli_read_file(f.path, &n);
    for (size_t length = 0; length < n; length++) { /* cut */
        temp_dir_write(f.directory, "device-1.kept", file, length);
        assert_int_equal(read_back(&f, "device-1", MOST), PIO_NOT_FOUND);
    }
    const size_t key_end = 8 + strlen("device-1") + 1; /* what follows it in its field is nothing */
    for (size_t at = 0; at < n; at++) {
        if (at >= key_end && at < 8 + PIO_KEPT_KEY_BYTES) continue;
        file[at] ^= 0x10;
        temp_dir_write(f.directory, "device-1.kept", file, n);
        if (read_back(&f, "device-1", MOST) != PIO_NOT_FOUND) fail_msg("byte %zu of %zu", at, n);
        file[at] ^= 0x10;
    }
    temp_dir_write(f.directory, "device-2.kept", file, n); /* of another key */
    assert_int_equal(read_back(&f, "device-2", MOST), PIO_NOT_FOUND);
    free(file);
    temp_dir_remove(f.root);
}

/* A disk that is full, as far as a limit of the process can show it. */
static void a_full_disk_leaves_what_was_there(void **state) {
    (void)state;
    fixture f;
    begin(&f, "a_full_disk_leaves_what_was_there");
    assert_int_equal(pio_kept_write(f.directory, "device-1", f.bytes, f.n, NULL), PIO_OK);
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        static char much[1 << 16];
        const struct rlimit limit = {4096, 4096};
        pio_error error = {0};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit)) _exit(2);
        _exit(pio_kept_write(f.directory, "device-1", much, sizeof much, &error) == PIO_IO ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read_back(&f, "device-1", MOST), PIO_OK);
    assert_int_equal(rmdir(f.directory), -1); /* one file, */
    assert_int_equal(unlink(f.path), 0);
    assert_int_equal(rmdir(f.directory), 0); /* and nothing besides */
    temp_dir_remove(f.root);
}

/* Processes that write the same file at once: who reads sees one of theirs. */
static void two_writers_do_not_mix(void **state) {
    (void)state;
    enum { TIMES = 40, BYTES = 5000 };
    fixture f;
    begin(&f, "two_writers_do_not_mix");
    pid_t children[2];
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i]) continue;
        char bytes[BYTES];
        memset(bytes, 'a' + i, sizeof bytes);
        for (int n = 0; n < TIMES; n++)
            if (pio_kept_write(f.directory, "device-1", bytes, sizeof bytes, NULL)) _exit(1);
        _exit(0);
    }
    int n_read = 0, left = 2;
    while (left) {
        void *bytes;
        size_t n;
        if (!pio_kept_read(f.directory, "device-1", MOST, &bytes, &n, NULL)) {
            const char *text = bytes;
            assert_int_equal(n, BYTES);
            assert_true(text[0] == 'a' || text[0] == 'b');
            for (size_t i = 1; i < n; i++) assert_int_equal(text[i], text[0]);
            free(bytes);
            n_read++;
        }
        int status;
        const pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended > 0) {
            assert_int_equal(status, 0);
            left--;
        }
    }
    assert_true(n_read > 0);
    temp_dir_remove(f.root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_kept_comes_back),
        cmocka_unit_test(what_is_damaged_is_not_read),
        cmocka_unit_test(a_full_disk_leaves_what_was_there),
        cmocka_unit_test(two_writers_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
