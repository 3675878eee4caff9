#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"

static pio_json *parse(const char *text) {
    pio_json *json;
    pio_error error;
    if (pio_json_parse("config.json", text, strlen(text), &json, &error) != PIO_OK)
        fail_msg("%s: %s", text, error.text);
    return json;
}

static void values_are_read(void **state) {
    (void)state;
    pio_json *json =
        parse("\xef\xbb\xbf{\"i\": -5, \"d\": 1e-6, \"b\": true, \"s\": \"\\u00e9\\\"NaN\", \"none\": null,"
              "\"list\": [3, 4], \"one\": 7, \"mean\": [0.5, 1], \"names\": [\"x\", \"y\"],"
              "\"rope\": {\"theta\": 1000000, \"deep\": {\"k\": 1}}}");
    pio_json_object root = pio_json_root(json), rope, deep, absent;
    pio_error error;
    int64_t i = 99, list[3];
    double d, mean[2];
    bool b = false;
    size_t n;
    const char *s, *names[2];
    assert_int_equal(pio_json_get_int(&root, "i", -5, -5, &i, &error), PIO_OK);
    assert_int_equal(i, -5);
    assert_int_equal(pio_json_get_double(&root, "d", 0, 1, &d, &error), PIO_OK);
    assert_true(d == 1e-6);
    assert_int_equal(pio_json_get_double(&root, "i", -10, 1, &d, &error), PIO_OK);
    assert_true(d == -5.0);
    assert_int_equal(pio_json_get_bool(&root, "b", &b, &error), PIO_OK);
    assert_true(b);
    assert_int_equal(pio_json_get_string(&root, "s", &s, &error), PIO_OK);
    assert_string_equal(s, "\xc3\xa9\"NaN");
    assert_int_equal(pio_json_get_ints(&root, "list", 0, 9, list, 3, &n, &error), PIO_OK);
    assert_int_equal(n, 2);
    assert_int_equal(list[1], 4);
    assert_int_equal(pio_json_get_ints(&root, "one", 0, 9, list, 1, &n, &error), PIO_OK);
    assert_int_equal(n, 1);
    assert_int_equal(list[0], 7);
    assert_int_equal(pio_json_get_ints(&root, "none", 0, 9, list, 1, &n, &error), PIO_OK);
    assert_int_equal(n, 0);
    assert_int_equal(pio_json_get_doubles(&root, "mean", 0, 1, mean, 2, &n, &error), PIO_OK);
    assert_true(n == 2 && mean[0] == 0.5 && mean[1] == 1.0);
    assert_int_equal(pio_json_get_strings(&root, "names", names, 2, &n, &error), PIO_OK);
    assert_string_equal(names[1], "y");

    assert_true(pio_json_has(&root, "i"));
    assert_false(pio_json_has(&root, "none"));
    assert_false(pio_json_has(&root, "nowhere"));
    assert_int_equal(pio_json_get_int_or(&root, "none", 0, 1, 77, &i, &error), PIO_OK);
    assert_int_equal(i, 77);
    assert_int_equal(pio_json_get_double_or(&root, "nowhere", 0, 1, 2.5, &d, &error), PIO_OK);
    assert_true(d == 2.5);
    assert_int_equal(pio_json_get_bool_or(&root, "none", false, &b, &error), PIO_OK);
    assert_false(b);
    assert_int_equal(pio_json_get_string_or(&root, "none", NULL, &s, &error), PIO_OK);
    assert_null(s);
    assert_int_equal(pio_json_get_bool_or(&root, "b", false, &b, &error), PIO_OK);
    assert_true(b);

    assert_int_equal(pio_json_get_object(&root, "rope", &rope, &error), PIO_OK);
    assert_int_equal(pio_json_get_object(&rope, "deep", &deep, &error), PIO_OK);
    assert_int_equal(pio_json_get_int(&deep, "k", 2, 9, &i, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': rope.deep.k is 1, but must be a whole number from 2 to 9");
    assert_int_equal(pio_json_get_object(&root, "nowhere", &absent, &error), PIO_OK);
    assert_null(absent.json);
    assert_int_equal(pio_json_get_int(&absent, "k", 0, 9, &i, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': nowhere.k is missing: download the file again");
    assert_int_equal(pio_json_get_int_or(&absent, "k", 0, 9, 3, &i, &error), PIO_OK);
    assert_int_equal(i, 3);
    pio_json_free(json);
}

static void wrong_values_are_named(void **state) {
    (void)state;
    pio_json *json = parse(
        "{\"r\": 1.5, \"t\": true, \"s\": \"a\\nb\", \"o\": {}, \"l\": [1, \"x\"], \"z\": \"a\\u0000b\", \"n\": null}");
    pio_json_object root = pio_json_root(json), out;
    pio_error error;
    int64_t i, is[2];
    double d;
    bool b;
    const char *s;
    size_t n;
    assert_int_equal(pio_json_get_int(&root, "r", 0, 9, &i, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': r is 1.5, but must be a whole number from 0 to 9");
    assert_int_equal(pio_json_get_int_or(&root, "t", 0, 9, 1, &i, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': t is true, but must be a whole number from 0 to 9");
    assert_int_equal(pio_json_get_double(&root, "s", 0, 9, &d, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': s is \"a?b\", but must be a number from 0 to 9");
    assert_int_equal(pio_json_get_double(&root, "r", 0, 1, &d, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': r is 1.5, but must be a number from 0 to 1");
    assert_int_equal(pio_json_get_bool(&root, "o", &b, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': o is an object, but must be true or false");
    assert_int_equal(pio_json_get_string(&root, "l", &s, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': l is a list, but must be a string");
    assert_int_equal(pio_json_get_string(&root, "z", &s, &error), PIO_CORRUPT);
    assert_int_equal(pio_json_get_string(&root, "n", &s, &error), PIO_CORRUPT);
    assert_int_equal(pio_json_get_object(&root, "l", &out, &error), PIO_CORRUPT);
    assert_int_equal(pio_json_get_ints(&root, "l", 0, 9, is, 2, &n, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': l is \"x\", but must be a whole number from 0 to 9");
    assert_int_equal(pio_json_get_ints(&root, "l", 0, 9, is, 1, &n, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': l has 2 items, but at most 1 are supported");
    pio_json_free(json);
}

/* What Python's json module writes and RFC 8259 does not know. */
static void pythons_numbers_do_no_harm(void **state) {
    (void)state;
    pio_json *json =
        parse("{\"a\": NaN, \"b\": [Infinity, -Infinity], \"m\": 1000000000000000019884624838656, \"i\": -5,"
              "\"s\": \"NaN \\\" Infinity 1000000000000000019884624838656\", \"f\": 1.0000000000000000000001,"
              "\"e\": 1e-0000000000000000000001, \"max\": 999999999999999999}");
    pio_json_object root = pio_json_root(json);
    pio_error error;
    double d;
    int64_t i;
    const char *s;
    assert_int_equal(pio_json_get_double(&root, "a", -1e300, 1e300, &d, &error), PIO_CORRUPT);
    assert_string_equal(error.text, "'config.json': a is \"NaN\", but must be a number from -1e+300 to 1e+300");
    assert_int_equal(pio_json_get_double(&root, "m", 0, 1e31, &d, &error), PIO_OK);
    assert_true(d == 1e30);
    assert_int_equal(pio_json_get_int(&root, "i", -9, 9, &i, &error), PIO_OK);
    assert_int_equal(i, -5);
    assert_int_equal(pio_json_get_int(&root, "max", 0, INT64_MAX, &i, &error), PIO_OK);
    assert_int_equal(i, 999999999999999999);
    assert_int_equal(pio_json_get_string(&root, "s", &s, &error), PIO_OK);
    assert_string_equal(s, "NaN \" Infinity 1000000000000000019884624838656");
    assert_int_equal(pio_json_get_double(&root, "f", 0, 2, &d, &error), PIO_OK);
    assert_true(d == 1.0);
    assert_int_equal(pio_json_get_double(&root, "e", 0, 2, &d, &error), PIO_OK);
    assert_true(d == 0.1);
    pio_json_free(json);
}

static void broken_files_are_refused(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    pio_json *json;
    pio_error error;
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{\"a\":1,}",
                                        "{\"a\":1,\"a\":2}",
                                        "{a:1}",
                                        "{\"a\":01}",
                                        "{\"\xff\":1}",
                                        "{\"a\":nan}",
                                        "{\"a\":\"\\ud800\"}",
                                        "{\"a\":1} x",
                                        "{\"a\":1e999}"};
    for (size_t i = 0; i < PIO_COUNT(texts); i++) {
        const char *path = temp_dir_write(directory, "config.json", texts[i], strlen(texts[i]));
        json = (void *)1;
        if (pio_json_load(path, 1000, &json, &error) != PIO_CORRUPT) fail_msg("'%s' was not refused", texts[i]);
        assert_null(json);
        assert_non_null(strstr(error.text, path));
        assert_non_null(strstr(error.text, "restore"));
    }
    char deep[5001];
    memset(deep, '[', sizeof deep - 1);
    memcpy(deep, "{\"a\":", 5);
    deep[sizeof deep - 1] = 0;
    assert_int_equal(pio_json_parse("deep", deep, strlen(deep), &json, &error), PIO_CORRUPT);
    assert_int_equal(pio_json_load(temp_dir_write(directory, "long", "{         }", 11), 10, &json, &error), PIO_LIMIT);
    assert_int_equal(pio_json_load(temp_dir_path(directory, "absent"), 10, &json, &error), PIO_NOT_FOUND);
    assert_int_equal(pio_json_load(directory, 10, &json, &error), PIO_INVALID_ARGUMENT);
    temp_dir_remove(directory);
}

/* Objects of random numbers come back as they were. */
static void random_numbers_survive(void **state) {
    (void)state;
    test_random random = test_random_begin("random_numbers_survive");
    for (int round = 0; round < 500; round++) {
        int64_t whole = (int64_t)test_random_u64(&random) / 10 / (int64_t)(1 + test_random_below(&random, 1u << 30));
        double real = (double)(int64_t)test_random_u64(&random) * (test_random_below(&random, 2) ? 1e-30 : 1e20);
        char text[160];
        snprintf(text, sizeof text, "{\"w\":%lld,\"r\":%.17g,\"l\":[%lld,1]}", (long long)whole, real,
                 (long long)whole);
        pio_json *json = parse(text);
        pio_json_object root = pio_json_root(json);
        int64_t got;
        double got_real;
        assert_int_equal(pio_json_get_int(&root, "w", INT64_MIN, INT64_MAX, &got, NULL), PIO_OK);
        assert_true(got == whole);
        assert_int_equal(pio_json_get_double(&root, "r", -1e300, 1e300, &got_real, NULL), PIO_OK);
        assert_true(got_real == real);
        assert_int_equal(pio_json_get_int(&root, "w", whole + 1, INT64_MAX, &got, NULL), PIO_CORRUPT);
        assert_int_equal(pio_json_get_int(&root, "w", INT64_MIN, whole - 1, &got, NULL), PIO_CORRUPT);
        pio_json_free(json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(pythons_numbers_do_no_harm),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(random_numbers_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
