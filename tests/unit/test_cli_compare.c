/* compare: agreement, disagreement and what is refused, as a user meets them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cli.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

enum { N_LAYERS = 8 };

static json_t *parse(const cli_result *r) {
    json_error_t error;
    json_t *json = json_loadb(r->out, r->n_out, 0, &error);
    if (!json) fail_msg("%s in '%.2000s'", error.text, r->out);
    return json;
}

static double number(json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) fail_msg("there is no number '%s'", key);
    return json_number_value(value);
}

static const char *text(json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    if (!value) fail_msg("there is no text '%s'", key);
    return value;
}

static void check_drift(json_t *drift, double bound, bool zero) {
    json_t *layers = json_object_get(drift, "layers"), *layer;
    size_t i;
    assert_int_equal(json_array_size(layers), N_LAYERS);
    json_array_foreach(layers, i, layer) {
        char name[32];
        snprintf(name, sizeof name, "layer.%zu", i);
        assert_string_equal(text(layer, "of"), name);
        assert_true(number(layer, "worst") >= number(layer, "median"));
        assert_true(zero ? number(layer, "worst") == 0 : number(layer, "median") > 0);
    }
    assert_true(number(drift, "bound") == bound);
    assert_true(number(json_object_get(drift, "logits"), "median") <= bound);
    assert_true(json_is_true(json_object_get(drift, "agrees")));
}

static void backends_that_agree(void **state) {
    (void)state;
    static const struct {
        const char *name, *weights, *compute;
        double bound;
        bool zero;
    } wanted[] = {{"cpu:compute=f32", "bf16", "f32", 0, true},
                  {"cpu:0:compute=f32", "bf16", "f32", 1e-9, true},
                  {"cpu:compute=f32:cpu_without=avx2+amx", "bf16", "f32", 1e-9, false},
                  {"cpu", "bf16", "fast", 2e-3, false},
                  {"cpu:weights=q8:threads=1", "q8", "fast", 5e-3, false}};
    cli_result r = CLI("compare", CLI_TINY, "--backends",
                       "cpu:compute=f32,cpu:0:compute=f32,cpu:compute=f32:cpu_without=avx2+amx,cpu,"
                       "cpu:weights=q8:threads=1",
                       "--threads=2", "--prompt", "What is 47 + 38?", "--tokens", "8", "--json");
    CLI_EXPECT(&r, CLI_DONE, "device: cpu:0");
    json_t *report = parse(&r), *backends = json_object_get(report, "backends");
    assert_true(json_is_true(json_object_get(report, "agrees")));
    assert_non_null(strstr(text(report, "verdict"), "all agree with cpu:compute=f32"));
    assert_int_equal(number(report, "tokens"), 8);
    assert_true(number(report, "prompt_tokens") > 8);
    assert_int_equal(json_array_size(backends), sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        json_t *b = json_array_get(backends, i);
        assert_string_equal(text(b, "name"), wanted[i].name);
        assert_string_equal(text(b, "weights"), wanted[i].weights);
        assert_string_equal(text(b, "compute"), wanted[i].compute);
        assert_string_equal(text(b, "backend"), "cpu");
        assert_true(*text(b, "device") && *text(b, "detail"));
        assert_true(number(b, "prefill_tokens_per_s") > 0 && number(b, "decode_tokens_per_s") > 0);
        assert_int_equal(json_array_size(json_object_get(b, "greedy_ids")), 8);
        if (i)
            check_drift(json_object_get(b, "drift"), wanted[i].bound, wanted[i].zero);
        else
            assert_true(json_is_null(json_object_get(b, "drift")));
    }
    assert_non_null(strstr(text(json_array_get(backends, 4), "detail"), "1 thread,"));
    json_decref(report);
    cli_free(&r);
}

/* What comparing takes is not in the memory that it reports. */
static void memory_is_that_of_a_plan(void **state) {
    (void)state;
    cli_result r =
        CLI("compare", CLI_TINY, "--backends=cpu,cpu", "--ids=5,6,7", "--context=100", "--threads=2", "--json");
    cli_result plan = CLI("plan", CLI_TINY, "--backend=cpu", "--context=100", "--threads=2", "--json");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    CLI_EXPECT(&plan, CLI_DONE, NULL);
    json_t *report = parse(&r), *planned = parse(&plan);
    json_t *memory = json_object_get(json_array_get(json_object_get(report, "backends"), 1), "memory_bytes");
    if (!json_equal(memory, json_object_get(planned, "memory_bytes"))) fail_msg("%s, but %s", r.out, plan.out);
    json_decref(report);
    json_decref(planned);
    cli_free(&r);
    cli_free(&plan);
}

static void the_table(void **state) {
    (void)state;
    static const char *const rows[] = {
        "prefill, tokens/s", "decode, tokens/s", "memory ",           "drift, layer 0 ", "drift, layer 7 ",
        "drift, logits ",    "bound ",           "differing tokens ", "the first ",      "margin there ",
        "it agrees with cpu"};
    cli_result r = CLI("compare", CLI_TINY, "--backends", "cpu,cpu:weights=q4", "--threads=2");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strstr(r.out, rows[i])) fail_msg("'%s' is not in %s", rows[i], r.out);
    assert_non_null(strstr(r.out, "cpu:weights=q4"));
    assert_null(strstr(r.out, "drift, layer 8"));
    cli_free(&r);
    r = CLI("compare", CLI_TINY, "--backends", "cpu,cpu", "--tokens=1", "--ids=3"); /* no decode at all */
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_non_null(strstr(r.out, "1 tokens of prompt, 1 predicted"));
    cli_free(&r);
}

static void backends_that_differ(void **state) {
    (void)state;
    cli_result r = CLI("compare", CLI_TINY, "--backends", "cpu,cpu:compute=f32,cpu:weights=q4", "--bound=1e-3",
                       "--threads=2", "--json");
    CLI_EXPECT(&r, CLI_REFUSED, "inference-pio: cpu:weights=q4 differs from cpu: the residual stream drifts by",
               "from layer 0 on", "more than 0.001");
    json_t *report = parse(&r), *backends = json_object_get(report, "backends");
    assert_true(json_is_false(json_object_get(report, "agrees")));
    assert_non_null(strstr(text(report, "verdict"), "cpu:weights=q4 differs from cpu"));
    assert_true(json_is_true(json_object_get(json_object_get(json_array_get(backends, 1), "drift"), "agrees")));
    assert_true(json_is_false(json_object_get(json_object_get(json_array_get(backends, 2), "drift"), "agrees")));
    json_decref(report);
    cli_free(&r);
}

static void weights_can_be_random(void **state) {
    (void)state;
    size_t n;
    char *directory = temp_dir_make(), *config = cli_read_file(CLI_TINY_PATH "/config.json", &n), path[600];
    temp_dir_write(directory, "config.json", config, n);
    temp_dir_write(directory, "ids.json", "[1, 2, 3, 4, 5]", 15);
    snprintf(path, sizeof path, "%s/ids.json", directory);
    cli_result r = CLI("compare", directory, "--backends=cpu,cpu:threads=1", "--dummy-weights", "--ids-file", path,
                       "--threads=2", "--json");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    json_t *report = parse(&r);
    assert_int_equal(number(report, "prompt_tokens"), 5);
    json_decref(report);
    cli_free(&r);
    CLI_REFUSES(CLI_REFUSED, ("tokenizer"), "compare", directory, "--backends=cpu,cpu", "--dummy-weights");
    free(config);
    temp_dir_remove(directory);
}

static void what_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *arguments[4], *parts[3];
        int code;
    } rows[] = {
        {{"--ids=1"}, {"--backends", "two entries"}, CLI_USAGE},
        {{"--backends=cpu"}, {"--backends", "two entries"}, CLI_USAGE},
        {{"--backends="}, {"--backends", "''"}, CLI_USAGE},
        {{"--backends=cpu,"}, {"--backends", "''"}, CLI_USAGE},
        {{"--backends=cpu,abacus"}, {"--backends", "'abacus'", "vulkan"}, CLI_USAGE},
        {{"--backends=cpu,cpu:fast"}, {"'cpu:fast'", "weights=q8"}, CLI_USAGE},
        {{"--backends=cpu,cpu:weights=q3"}, {"--backends", "'q3'", "bf16, q8 or q4"}, CLI_USAGE},
        {{"--backends=cpu,cpu:weihgts=q8"}, {"--backends", "weihgts", "weights"}, CLI_USAGE},
        {{"--backends=cpu:backend=vulkan,cpu"}, {"'cpu:backend=vulkan'", "'backend' is given twice"}, CLI_USAGE},
        {{"--backends=cpu,cpu:backend=cpu"}, {"'cpu:backend=cpu'", "'backend' is given twice"}, CLI_USAGE},
        {{"--backends=cpu,cpu:0:device=1"}, {"'cpu:0:device=1'", "'device' is given twice"}, CLI_USAGE},
        {{"--backends=cpu,cpu:weights=q8:weights=q4"}, {"'weights' is given twice"}, CLI_USAGE},
        {{"--backends=cpu,cpu:seed=1"}, {"'cpu:seed=1'", "'seed'"}, CLI_USAGE},
        {{"--backends=cpu,cpu:9999"}, {"--backends", "'9999'"}, CLI_USAGE},
        {{"--backends=cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu,cpu"}, {"at most 16"}, CLI_USAGE},
        {{"--backends=cpu,cpu", "--bound=0"}, {"--bound", "'0'"}, CLI_USAGE},
        {{"--backends=cpu,cpu", "--bound=x"}, {"--bound", "'x'"}, CLI_USAGE},
        {{"--backends=cpu,cpu", "--bound=inf"}, {"--bound", "'inf'"}, CLI_USAGE},
        {{"--backends=cpu,cpu", "--tokens=0"}, {"--tokens", "'0'"}, CLI_USAGE},
        {{"--backends=cpu,cpu", "--ids=1,"}, {"--ids"}, CLI_USAGE},
        {{"--backends=cpu,cpu", "--ids=1", "--prompt=x"}, {"--prompt", "--ids"}, CLI_USAGE},
        {{"--backends=cpu,cpu:7", "--ids=1"}, {"cpu:7", "7"}, CLI_REFUSED},
        {{"--backends=cpu,null", "--ids=1"}, {"null", "computes nothing"}, CLI_REFUSED},
        {{"--backends=cpu,hip", "--ids=1"}, {"hip"}, CLI_REFUSED},
        {{"--backends=cpu,cpu", "--ids=100000"}, {"100000"}, CLI_REFUSED},
        {{"--backends=cpu,cpu", "--prompt=\xff"}, {"--prompt", "UTF-8"}, CLI_REFUSED},
        {{"--backends=cpu,cpu", "--ids=1", "--tokens=5000"}, {"5000 behind them (--tokens)", "1024"}, CLI_REFUSED},
        {{"--backends=cpu,cpu:context=8", "--ids=1", "--tokens=20"}, {"cpu:context=8", "21", "8"}, CLI_REFUSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *arguments[8] = {"compare", CLI_TINY};
        for (int k = 0; k < 4; k++) arguments[2 + k] = rows[i].arguments[k];
        cli_result r = cli_run(&(const cli_call){.arguments = arguments});
        const char *parts[4] = {rows[i].parts[0], rows[i].parts[1], rows[i].parts[2]};
        cli_expect(&r, rows[i].code, parts);
        assert_string_equal(r.out, "");
        cli_free(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backends_that_agree),
        cmocka_unit_test(memory_is_that_of_a_plan),
        cmocka_unit_test(the_table),
        cmocka_unit_test(backends_that_differ),
        cmocka_unit_test(weights_can_be_random),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
