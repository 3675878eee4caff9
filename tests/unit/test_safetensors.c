#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/safetensors.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"

/* A file of the given header and n_data bytes 0, 1, 2, .. behind it; free it. */
static unsigned char *make_bytes(const char *header, size_t n_data, size_t *n_bytes) {
    size_t n = strlen(header);
    unsigned char *bytes = malloc(8 + n + n_data);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)n >> 8 * i);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < n_data; i++) bytes[8 + n + i] = (unsigned char)i;
    *n_bytes = 8 + n + n_data;
    return bytes;
}

/* Parses from memory allocated to the byte, so that a sanitizer sees a read behind the end. */
static pio_status parse(const char *header, size_t n_data, pio_error *error) {
    size_t n;
    unsigned char *bytes = make_bytes(header, n_data, &n);
    pio_safetensors *st = (void *)1;
    pio_status status = pio_safetensors_parse("x.safetensors", bytes, n, &st, error);
    assert_true((status == PIO_OK) == (st != NULL));
    pio_safetensors_close(st);
    free(bytes);
    return status;
}

static void good_headers_are_read(void **state) {
    (void)state;
    static const char header[] = " {\"__metadata__\":{\"format\":\"pt\",\"\\u00e9\\ud83d\\ude00\":\"\\\"a\\\\b\\n\"},\n"
                                 "\"b\" : {\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16], \"later\": "
                                 "{\"x\":[1.5e3,null,true,\"]\"]}},"
                                 "\"a.\\u0062\":{\"shape\":[],\"data_offsets\":[0,4],\"dtype\":\"F32\"},"
                                 "\"empty\":{\"dtype\":\"I64\",\"shape\":[3,0],\"data_offsets\":[16,16]},"
                                 "\"half\":{\"dtype\":\"F4\",\"shape\":[6],\"data_offsets\":[16,19]}}   ";
    char *directory = temp_dir_make();
    size_t n;
    unsigned char *bytes = make_bytes(header, 19, &n);
    const char *path = temp_dir_write(directory, "m.safetensors", bytes, n);

    pio_error error = {0};
    pio_safetensors *st;
    if (pio_safetensors_open(path, &st, &error) != PIO_OK) fail_msg("%s", error.text);
    assert_int_equal(pio_safetensors_n_tensors(st), 4);
    assert_string_equal(pio_safetensors_metadata(st, "format"), "pt");
    assert_string_equal(pio_safetensors_metadata(st, "\xc3\xa9\xf0\x9f\x98\x80"), "\"a\\b\n");
    assert_null(pio_safetensors_metadata(st, "none"));
    assert_string_equal(pio_safetensors_tensor(st, 0)->name, "a.b"); /* by offset */
    assert_null(pio_safetensors_tensor(st, 4));
    assert_null(pio_safetensors_find(st, "a"));
    assert_null(pio_safetensors_find(st, "__metadata__"));
    const pio_stored_tensor *b = pio_safetensors_find(st, "b");
    assert_int_equal(b->dtype, PIO_STORED_BF16);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->dims[0], 2);
    assert_int_equal(b->dims[1], 3);
    assert_int_equal(b->n_elements, 6);
    assert_int_equal(b->bytes, 12);
    assert_int_equal(b->offset, n - 15);
    assert_memory_equal(b->data, bytes + n - 15, 12);
    assert_ptr_equal(b->file, pio_safetensors_file(st));
    char shape[32];
    assert_string_equal(pio_stored_tensor_shape(b, shape, sizeof shape), "[2, 3]");
    assert_string_equal(pio_stored_tensor_shape(b, shape, 4), "[2,");
    assert_int_equal(pio_safetensors_find(st, "a.b")->rank, 0);
    assert_int_equal(pio_safetensors_find(st, "empty")->n_elements, 0);
    assert_int_equal(pio_safetensors_find(st, "half")->bytes, 3);
    pio_safetensors_close(st);
    free(bytes);
    temp_dir_remove(directory);
    assert_int_equal(parse("{}", 0, NULL), PIO_OK);
    assert_int_equal(parse("{\"__metadata__\":null}", 0, NULL), PIO_OK);
}

#define T(name, dtype, shape, offsets)                                                                                 \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void bad_headers_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        pio_status status;
        const char *words[3]; /* that the sentence must have */
    } cases[] = {
        {"{" T("w", "BF16", "[2,2]", "[0,8]") "}", 7, PIO_CORRUPT, {"'w'", "truncated", "8"}},
        {"{" T("w", "BF16", "[2,2]", "[0,8]") "}", 9, PIO_CORRUPT, {"1 bytes follow", "download"}},
        {"{" T("w", "BF16", "[2,2]", "[0,6]") "}", 6, PIO_CORRUPT, {"'w'", "has 6 bytes", "[2, 2] of BF16 needs 8"}},
        {"{" T("w", "BF16", "[2,2]", "[8,0]") "}", 8, PIO_CORRUPT, {"'w'", "[8, 0]", "backwards"}},
        {"{" T("w", "U8", "[4]", "[1,5]") "}", 5, PIO_CORRUPT, {"'w'", "hole"}},
        {"{" T("v", "U8", "[4]", "[0,4]") "," T("w", "U8", "[4]", "[3,7]") "}", 7, PIO_CORRUPT, {"'w'", "overlaps"}},
        {"{" T("v", "U8", "[4]", "[0,4]") "," T("w", "U8", "[0]", "[2,2]") "}", 4, PIO_CORRUPT, {"overlap"}},
        {"{" T("v", "U8", "[4]", "[5,9]") "," T("w", "U8", "[4]", "[0,4]") "}", 9, PIO_CORRUPT, {"'v'", "hole"}},
        {"{" T("w", "U8", "[2]", "[0,2]") "," T("w", "U8", "[2]", "[2,4]") "}", 4, PIO_CORRUPT, {"'w'", "twice"}},
        {"{" T("w", "U8", "[18446744073709551615]", "[0,18446744073709551615]") "}", 1, PIO_CORRUPT, {"2^64"}},
        {"{" T("w", "U8", "[4294967296,4294967296]", "[0,0]") "}", 0, PIO_CORRUPT, {"'w'", "2^64"}},
        {"{" T("w", "U8", "[1]", "[18446744073709551614,18446744073709551615]") "}", 1, PIO_CORRUPT, {"truncated"}},
        {"{" T("w", "U8", "[1]", "[0,18446744073709551616]") "}", 1, PIO_CORRUPT, {"larger than 2^64"}},
        {"{" T("w", "U8", "[-1]", "[0,1]") "}", 1, PIO_CORRUPT, {"not negative"}},
        {"{" T("w", "U8", "[1.0]", "[0,1]") "}", 1, PIO_CORRUPT, {"whole number"}},
        {"{" T("w", "U8", "[01]", "[0,1]") "}", 1, PIO_CORRUPT, {"begins with 0"}},
        {"{" T("w", "U8", "[1,]", "[0,1]") "}", 1, PIO_CORRUPT, {"number"}},
        {"{" T("w", "U8", "[1]", "[0]") "}", 1, PIO_CORRUPT, {"two numbers"}},
        {"{" T("w", "U8", "[1]", "[0,1,2]") "}", 1, PIO_CORRUPT, {"two numbers"}},
        {"{" T("w", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, PIO_UNSUPPORTED, {"'w'", "8 dimensions"}},
        {"{" T("w", "F4", "[3]", "[0,2]") "}", 2, PIO_CORRUPT, {"'w'"}},
        {"{" T("w", "F31", "[1]", "[0,4]") "}", 4, PIO_UNSUPPORTED, {"'w'", "'F31'", "convert"}},
        {"{\"w\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, PIO_CORRUPT, {"'w'", "lacks its dtype"}},
        {"{\"w\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, PIO_CORRUPT, {"lacks its shape"}},
        {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, PIO_CORRUPT, {"lacks its data_offsets"}},
        {"{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, PIO_CORRUPT, {"twice"}},
        {"{\"w\":[]}", 0, PIO_CORRUPT, {"not an object"}},
        {"{\"w\\u001b[2J\":{}}", 0, PIO_CORRUPT, {"control character"}},
        {"{\"w\\u0000\":{}}", 0, PIO_CORRUPT, {"control character"}},
        {"{\"\xc0\xaf\":{}}", 0, PIO_CORRUPT, {"UTF-8"}},
        {"{\"\\ud800\":{}}", 0, PIO_CORRUPT, {"surrogate"}},
        {"{\"\\udc00\\ud800\":{}}", 0, PIO_CORRUPT, {"surrogate"}},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, PIO_CORRUPT, {"two __metadata__"}},
        {"{\"__metadata__\":{\"a\":1}}", 0, PIO_CORRUPT, {"string"}},
        {"{} x", 0, PIO_CORRUPT, {"follows"}},
        {"{", 0, PIO_CORRUPT, {"string is missing", "byte 9"}},
        {"{\"w\"", 0, PIO_CORRUPT, {"colon"}},
        {"{\"__metadata__\":{} \"w\"", 0, PIO_CORRUPT, {"comma or '}'"}},
        {"{\"w", 0, PIO_CORRUPT, {"not closed"}},
        {"{\"w\\", 0, PIO_CORRUPT, {"not closed"}},
        {"[]", 0, PIO_CORRUPT, {"'{'"}},
        {"", 0, PIO_CORRUPT, {"'{'"}},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_error error = {0};
        pio_status status = parse(cases[i].header, cases[i].n_data, &error);
        if (status != cases[i].status) fail_msg("%s: status %d, '%s'", cases[i].header, status, error.text);
        assert_int_equal(error.status, status);
        assert_non_null(strstr(error.text, "'x.safetensors'"));
        for (int w = 0; w < 3 && cases[i].words[w]; w++) {
            if (!strstr(error.text, cases[i].words[w])) fail_msg("'%s' lacks '%s'", error.text, cases[i].words[w]);
        }
        if (status == PIO_CORRUPT) assert_non_null(strstr(error.text, "download"));
        assert_int_equal(parse(cases[i].header, cases[i].n_data, NULL), status);
    }
}

static void deep_nesting_is_refused(void **state) {
    (void)state;
    char header[40000] = "{\"w\":{\"x\":";
    size_t n = strlen(header);
    memset(header + n, '[', sizeof header - n - 1);
    header[sizeof header - 1] = 0;
    pio_error error;
    assert_int_equal(parse(header, 0, &error), PIO_CORRUPT);
    assert_non_null(strstr(error.text, "deeper"));
}

/* Every prefix of a good file, and every length field, is refused or read, never anything else. */
static void any_truncation_is_refused(void **state) {
    (void)state;
    size_t n;
    unsigned char *bytes = make_bytes("{" T("a", "U8", "[5]", "[0,5]") "," T("b", "F16", "[2]", "[5,9]") "}", 9, &n);
    for (size_t cut = 0; cut < n; cut++) {
        unsigned char *prefix = malloc(cut ? cut : 1);
        memcpy(prefix, bytes, cut);
        pio_error error;
        pio_safetensors *st;
        assert_int_equal(pio_safetensors_parse("x", prefix, cut, &st, &error), PIO_CORRUPT);
        assert_null(st);
        assert_non_null(strstr(error.text, "truncated"));
        free(prefix);
    }
    for (int bit = 0; bit < 64; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        pio_safetensors *st;
        assert_int_equal(pio_safetensors_parse("x", bytes, n, &st, NULL), PIO_CORRUPT);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    free(bytes);
}

static void other_files_get_their_own_sentence(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    pio_error error;
    pio_safetensors *st;
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
    const char *path = temp_dir_write(directory, "lfs.safetensors", lfs, sizeof lfs - 1);
    assert_int_equal(pio_safetensors_open(path, &st, &error), PIO_CORRUPT);
    assert_non_null(strstr(error.text, "git lfs pull"));
    path = temp_dir_write(directory, "page.safetensors", "<!DOCTYPE html><html></html>", 28);
    assert_int_equal(pio_safetensors_open(path, &st, &error), PIO_CORRUPT);
    assert_non_null(strstr(error.text, "limit of 100000000"));
    path = temp_dir_write(directory, "empty.safetensors", "", 0);
    assert_int_equal(pio_safetensors_open(path, &st, &error), PIO_CORRUPT);
    assert_non_null(strstr(error.text, "truncated"));
    assert_int_equal(pio_safetensors_open(temp_dir_path(directory, "none"), &st, &error), PIO_NOT_FOUND);
    assert_int_equal(pio_safetensors_open(directory, &st, &error), PIO_INVALID_ARGUMENT);
    path = temp_dir_path(directory, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pio_safetensors_open(path, &st, &error), PIO_INVALID_ARGUMENT);
    assert_null(st);
    temp_dir_remove(directory);
}

/* Many tensors, their entries in random order: each is found with its own bytes. */
static void many_tensors_are_found(void **state) {
    (void)state;
    enum { N = 5000 };
    test_random random = test_random_begin("many_tensors_are_found");
    static unsigned order[N], bytes_of[N], begin_of[N];
    size_t total = 0;
    for (unsigned i = 0; i < N; i++) {
        order[i] = i;
        bytes_of[i] = (unsigned)test_random_below(&random, 40);
        begin_of[i] = (unsigned)total;
        total += bytes_of[i];
    }
    for (unsigned i = N - 1; i > 0; i--) {
        unsigned j = (unsigned)test_random_below(&random, i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    char *header = malloc(N * 100), *at = header;
    *at++ = '{';
    for (unsigned i = 0; i < N; i++) {
        unsigned t = order[i];
        at += sprintf(at, "%s\"layers.%u.w\":{\"dtype\":\"U8\",\"shape\":[%u],\"data_offsets\":[%u,%u]}", i ? "," : "",
                      t, bytes_of[t], begin_of[t], begin_of[t] + bytes_of[t]);
    }
    memcpy(at, "}", 2);
    size_t n;
    unsigned char *bytes = make_bytes(header, total, &n);
    pio_safetensors *st;
    pio_error error;
    if (pio_safetensors_parse("x", bytes, n, &st, &error) != PIO_OK) fail_msg("%s", error.text);
    assert_int_equal(pio_safetensors_n_tensors(st), N);
    for (unsigned i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "layers.%u.w", i);
        const pio_stored_tensor *tensor = pio_safetensors_find(st, name);
        assert_non_null(tensor);
        assert_int_equal(tensor->bytes, bytes_of[i]);
        assert_ptr_equal(tensor->data, bytes + n - total + begin_of[i]);
    }
    assert_null(pio_safetensors_find(st, "layers.5000.w"));
    pio_safetensors_close(st);
    free(bytes);
    free(header);
}

/* Resident memory of the file's mapping, from /proc. */
static size_t resident_kib(const void *data) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    if (!maps) return SIZE_MAX;
    char line[512], wanted[32];
    snprintf(wanted, sizeof wanted, "%lx-", (unsigned long)(uintptr_t)data);
    size_t kib = SIZE_MAX;
    int inside = 0;
    while (fgets(line, sizeof line, maps)) {
        if (strchr(line, '-') && strchr(line, ' ') > strchr(line, '-'))
            inside = strncmp(line, wanted, strlen(wanted)) == 0;
        if (inside && sscanf(line, "Rss: %zu", &kib) == 1) break;
    }
    fclose(maps);
    return kib;
}

static void released_pages_leave_memory(void **state) {
    (void)state;
    enum { BYTES = 4 << 20 };
    test_random random = test_random_begin("released_pages_leave_memory");
    char *directory = temp_dir_make();
    unsigned char *data = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++) data[i] = (unsigned char)test_random_u64(&random);
    const char *path = temp_dir_write(directory, "data", data, BYTES);
    pio_file *file;
    pio_error error;
    if (pio_file_open(path, &file, &error) != PIO_OK) fail_msg("%s", error.text);
    assert_int_equal(pio_file_bytes(file), BYTES);
    assert_true(pio_file_mtime_ns(file) > 0);
    pio_file_will_need(file, 0, BYTES);
    assert_int_equal(pio_file_populate(file, 0, BYTES, &error), PIO_OK);
    assert_memory_equal(pio_file_data(file), data, BYTES);
    size_t before = resident_kib(pio_file_data(file));
    if (before == SIZE_MAX || before == 0) {
        print_message("no /proc/self/smaps with resident sizes: not checked\n");
    } else {
        assert_true(before >= BYTES / 1024);
        pio_file_release(file, 100, BYTES - 200);
        assert_int_equal(resident_kib(pio_file_data(file)), 0);
    }
    /* windows of an odd size, walked through, leave nothing behind them */
    unsigned sum = 0;
    for (size_t at = 0; at < BYTES; at += 300007) {
        size_t n = PIO_MIN((size_t)300007, BYTES - at);
        for (size_t i = 0; i < n; i++) sum += ((const unsigned char *)pio_file_data(file))[at + i];
        pio_file_release(file, at, n);
    }
    for (size_t i = 0; i < BYTES; i++) sum -= data[i];
    assert_int_equal(sum, 0);
    if (before != SIZE_MAX && before != 0) assert_int_equal(resident_kib(pio_file_data(file)), 0);
    pio_file_release(file, BYTES, 1); /* outside: nothing */
    pio_file_release(file, BYTES - 1, UINT64_MAX);
    assert_memory_equal(pio_file_data(file), data, BYTES); /* comes back */
    pio_file_close(file);
    free(data);
    temp_dir_remove(directory);
}

static void text_files_are_read_whole(void **state) {
    (void)state;
    char *directory = temp_dir_make(), *text;
    size_t n;
    pio_error error;
    const char *path = temp_dir_write(directory, "t.json", "{\"a\": 1}", 8);
    assert_int_equal(pio_file_read_text(path, 8, &text, &n, &error), PIO_OK);
    assert_int_equal(n, 8);
    assert_string_equal(text, "{\"a\": 1}");
    free(text);
    assert_int_equal(pio_file_read_text(path, 7, &text, &n, &error), PIO_LIMIT);
    assert_null(text);
    assert_non_null(strstr(error.text, "8 bytes"));
    assert_int_equal(pio_file_read_text(temp_dir_path(directory, "no"), 7, &text, &n, &error), PIO_NOT_FOUND);
    temp_dir_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers_are_read),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(any_truncation_is_refused),
        cmocka_unit_test(other_files_get_their_own_sentence),
        cmocka_unit_test(many_tensors_are_found),
        cmocka_unit_test(released_pages_leave_memory),
        cmocka_unit_test(text_files_are_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
