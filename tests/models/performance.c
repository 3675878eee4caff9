/* usage: model_performance MODEL. `bench` measures the model with every kind of weights and says so in numbers that can
 * be true; a picture of 16 x 16 patches is 64 tokens, and 15 are made 16. How large they are is for `bench` on a quiet
 * machine to say, not for a test. */
#include "tests/support/test.h"

#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "tests/support/cli.h"
#include "tests/support/engine.h"
#include "tests/support/family.h"

static double number(json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) fail_msg("there is no number '%s'", key);
    return json_number_value(value);
}

static void check_report(json_t *report, const char *weights) {
    json_t *results = json_object_get(report, "results"), *result, *ceilings = json_object_get(report, "ceilings");
    size_t i;
    bool prefill = false, decode = false, vision = false;
    const char *const named[] = {"backend", "device", "detail", "model"}; /* what bench_compare holds side by side */
    assert_string_equal(json_string_value(json_object_get(report, "weights")), weights);
    for (i = 0; i < PIO_COUNT(named); i++)
        if (json_string_length(json_object_get(report, named[i])) == 0) fail_msg("there is no '%s'", named[i]);
    if (!test_is_cpu())
        assert_string_equal(json_string_value(json_object_get(report, "backend")),
                            pio_backend_name((pio_backend)test_backend()));
    assert_true(number(ceilings, "read_bytes_per_s") > 1e8 && number(ceilings, "ops_per_s") > 1e8);
    json_array_foreach(results, i, result) {
        const char *test = json_string_value(json_object_get(result, "test"));
        assert_non_null(test);
        prefill |= !strcmp(test, "prefill");
        decode |= !strcmp(test, "decode");
        vision |= !strcmp(test, "vision");
        assert_true(number(result, "tokens") == (!strcmp(test, "prefill") ? 32 : !strcmp(test, "vision") ? 64 : 1));
        assert_true(number(result, "tokens_per_s") > 0);
        assert_true(number(result, "fraction") > 0 && isfinite(number(result, "fraction")));
    }
    assert_true(prefill && decode);
    assert_int_equal(vision, !strcmp(the_family.row->model_type, "qwen3_vl"));
}

static void bench_measures(void **state) {
    const char *weights = *state;
    cli_result r = CLI("bench", the_family.tiny, "--weights", weights, "--tokens", "32", "--context", "64", "--repeats",
                       "1", "--picture", "15", "--json");
    json_error_t error;
    CLI_EXPECT(&r, CLI_DONE, NULL);
    json_t *report = json_loads(r.out, 0, &error);
    if (!report) fail_msg("%s in %s", error.text, r.out);
    check_report(report, weights);
    json_decref(report);
    cli_free(&r);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        {"bench_measures bf16", bench_measures, NULL, NULL, "bf16"},
        {"bench_measures q8", bench_measures, NULL, NULL, "q8"},
        {"bench_measures q4", bench_measures, NULL, NULL, "q4"},
    };
    if (!test_family_begin(argc, argv)) return 2;
    if (!the_family.has_tiny) return TEST_SKIPPED;
    const size_t n = test_is_cpu() && !TEST_SANITIZED ? PIO_COUNT(tests) : 1; /* a device in software is slow */
    return _cmocka_run_group_tests("performance", tests, n, NULL, NULL);
}
