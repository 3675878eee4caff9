/* devices and plan: what the machine has, what of it is chosen, and what a model will need. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/cli.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

static json_t *parse(const cli_result *r) {
    json_error_t where;
    json_t *json = json_loadb(r->out, r->n_out, 0, &where);
    if (!json) fail_msg("stdout is no JSON, line %d: %s\n%.500s", where.line, where.text, r->out);
    return json;
}

/* The number of the entries of a backend; *last is one of them. */
static int entries_of(json_t *devices, const char *backend, json_t **last) {
    size_t i;
    json_t *device;
    int n = 0;
    json_array_foreach(devices, i, device) {
        if (strcmp(json_string_value(json_object_get(device, "backend")), backend)) continue;
        n++;
        *last = device;
    }
    return n;
}

static void devices_as_json(void **state) {
    (void)state;
    static const char *const backends[] = {"cpu", "null", "cuda", "hip", "vulkan"};
    cli_result r = CLI("devices", "--json");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_string_equal(r.err, "");
    json_t *devices = parse(&r), *device = NULL;
    for (size_t i = 0; i < 5; i++) {
        if (!entries_of(devices, backends[i], &device)) fail_msg("the backend %s is not listed", backends[i]);
        bool usable = json_is_true(json_object_get(device, "usable"));
        const char *why = json_string_value(json_object_get(device, "why_not"));
        assert_true(usable == !why);
        if (why) assert_true(strlen(why) > 10);
        if (usable) assert_true(json_is_integer(json_object_get(device, "device")));
        if (usable) assert_true(json_is_string(json_object_get(device, "name")));
    }
    size_t i;
    int n_default = 0;
    json_array_foreach(devices, i, device) n_default += json_is_true(json_object_get(device, "default"));
    assert_int_equal(n_default, 1);
    json_decref(devices);
    cli_free(&r);
}

static void devices_as_text(void **state) {
    (void)state;
    cli_result r = CLI("devices");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_non_null(strstr(r.out, "cpu:0"));
    assert_non_null(strstr(r.out, "(the default)"));
    assert_non_null(strstr(r.out, "not usable: "));
    cli_free(&r);
}

static json_t *devices_with(const char *setting, const char *option, int code, const char *part) {
    const cli_call call = {.arguments = (const char *const[]){"devices", "--json", option, NULL},
                           .environment = (const char *const[]){setting, NULL}};
    cli_result r = cli_run(&call);
    CLI_EXPECT(&r, code, part);
    json_t *devices = code == CLI_USAGE ? NULL : parse(&r);
    cli_free(&r);
    return devices;
}

/* The list says what the settings leave out, and by whose word; what is named and not there is an error. */
static void devices_under_settings(void **state) {
    (void)state;
    json_t *device = NULL, *devices = devices_with("PIO_BACKEND=null", NULL, CLI_DONE, NULL);
    assert_true(entries_of(devices, "null", &device) == 1 && json_is_true(json_object_get(device, "default")));
    assert_true(entries_of(devices, "cpu", &device) == 1 && json_is_false(json_object_get(device, "usable")));
    assert_string_equal(json_string_value(json_object_get(device, "why_not")), "PIO_BACKEND=null leaves it out");
    json_decref(devices);
    devices = devices_with("PIO_BACKEND=null", "--backend=cpu", CLI_DONE, NULL);
    assert_true(entries_of(devices, "null", &device) == 1);
    assert_string_equal(json_string_value(json_object_get(device, "why_not")), "--backend=cpu leaves it out");
    json_decref(devices);
    devices = devices_with("PIO_CPU_WITHOUT=avx2,amx", NULL, CLI_DONE, NULL);
    assert_true(entries_of(devices, "cpu", &device) == 1);
    assert_null(strstr(json_string_value(json_object_get(device, "detail")), "AVX"));
    assert_string_equal(json_string_value(json_object_get(device, "left_out")), "PIO_CPU_WITHOUT leaves out avx2, amx");
    json_decref(devices);
    devices = devices_with("PIO_DEVICE=7", "--backend=cpu", CLI_REFUSED, "no device 7");
    assert_true(entries_of(devices, "cpu", &device) == 1);
    assert_string_equal(json_string_value(json_object_get(device, "why_not")), "PIO_DEVICE=7 leaves it out");
    json_decref(devices);
    devices_with("PIO_BACKEND=abacus", NULL, CLI_USAGE, "PIO_BACKEND takes auto, cpu");
    devices_with("PIO_CPU_WITHOUT=mmx", NULL, CLI_USAGE, "PIO_CPU_WITHOUT");

    static const char *const names[] = {"cuda", "hip", "vulkan"};
    cli_result list = CLI("devices", "--json");
    devices = parse(&list);
    for (size_t i = 0; i < 3; i++) {
        assert_true(entries_of(devices, names[i], &device) > 0);
        if (json_is_true(json_object_get(device, "usable"))) continue; /* this machine has one */
        char setting[40];
        snprintf(setting, sizeof setting, "PIO_BACKEND=%s", names[i]);
        json_decref(devices_with(setting, NULL, CLI_REFUSED, names[i]));
    }
    json_decref(devices);
    cli_free(&list);
}

static void expect_device_line(const cli_result *r, const char *device) {
    CLI_EXPECT(r, CLI_DONE, NULL);
    char line[64] = "device: ";
    strncat(line, device, sizeof line - 10);
    if (strncmp(r->err, line, strlen(line))) fail_msg("stderr does not begin with '%s': %s", line, r->err);
}

static void plan_as_json(void **state) {
    (void)state;
    cli_result r = CLI("plan", CLI_TINY, "--json", "--graph", "--context", "77", "--weights", "q8");
    expect_device_line(&r, "cpu:0 ");
    json_t *plan = parse(&r), *memory = json_object_get(plan, "memory_bytes"), *step, *kernel;
    static const char *const texts[] = {"model", "family", "backend", "device", "weights"};
    for (size_t i = 0; i < 5; i++) assert_true(json_is_string(json_object_get(plan, texts[i])));
    assert_string_equal(json_string_value(json_object_get(plan, "weights")), "q8");
    assert_int_equal(json_integer_value(json_object_get(plan, "context")), 77);
    json_int_t sum = 0;
    static const char *const parts[] = {"weights", "kv_cache", "workspace", "states", "vision"};
    for (size_t i = 0; i < 4; i++) sum += json_integer_value(json_object_get(memory, parts[i]));
    assert_int_equal(sum, json_integer_value(json_object_get(memory, "total")));
    assert_true(sum > 2000000);
    size_t i, j, n_kernels = 0;
    json_array_foreach(json_object_get(plan, "steps"), i, step) {
        json_int_t n_uses = 0, n_dispatches;
        json_array_foreach(json_object_get(step, "kernels"), j, kernel) {
            assert_true(json_is_string(json_object_get(kernel, "op")));
            assert_true(json_integer_value(json_object_get(kernel, "count")) > 0);
            n_kernels += strchr(json_string_value(json_object_get(kernel, "kernel")), '.') != NULL;
            n_uses += json_integer_value(json_object_get(kernel, "count"));
        }
        n_dispatches = json_integer_value(json_object_get(step, "dispatches"));
        assert_true(n_dispatches >= n_uses); /* a kernel may take two */
        assert_in_range(json_integer_value(json_object_get(step, "barriers")), 1, n_dispatches - 1);
    }
    assert_true(n_kernels > 10);
    json_t *reads = json_object_get(plan, "decode_reads_bytes");
    const json_int_t weights = json_integer_value(json_object_get(memory, "weights"));
    assert_in_range(json_integer_value(json_object_get(reads, "weights")), weights / 2, weights);
    assert_true(json_integer_value(json_object_get(reads, "kv_cache_per_token")) > 0);
    assert_true(json_array_size(json_object_get(plan, "graphs")) >= 2);
    json_decref(plan);
    cli_free(&r);
}

/* What cannot be loaded can be planned, and the plan says so. */
static void plan_that_does_not_fit(void **state) {
    (void)state;
    cli_result r = CLI("plan", CLI_TINY);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    if (!strstr(r.out, "\nfits       yes: ")) fail_msg("%s", r.out);
    cli_free(&r);
    static const struct {
        const char *limit, *context, *parts, *cure;
    } cases[] = {
        {"1M", "1024", "(weights ", "1.05 MB are allowed (memory_limit): --memory-limit "},
        {"7M", "1024", "KV cache ", " are allowed (memory_limit): --weights q8 ("},
        {"5M", "1024", ", workspace ", " are allowed (memory_limit): --weights q4 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r = CLI("plan", CLI_TINY, "--threads=2", "--memory-limit", cases[i].limit, "--context", cases[i].context);
        CLI_EXPECT(&r, CLI_DONE, NULL);
        const char *line = strstr(r.out, "\nfits       no: ");
        if (!line || !strstr(line, "needs ") || !strstr(line, cases[i].parts) || !strstr(line, cases[i].cure))
            fail_msg("%s: %s", cases[i].limit, r.out);
        cli_free(&r);
    }
    static const char *const limits[] = {"2M", "1G"};
    for (int fits = 0; fits < 2; fits++) {
        r = CLI("plan", CLI_TINY, "--json", "--memory-limit", limits[fits]);
        CLI_EXPECT(&r, CLI_DONE, NULL);
        json_t *plan = parse(&r);
        assert_int_equal(json_is_true(json_object_get(plan, "fits")), fits);
        assert_int_equal(json_object_get(plan, "why_not") == NULL, fits);
        assert_true(json_integer_value(json_object_get(plan, "available_bytes")) > 0);
        json_decref(plan);
        cli_free(&r);
    }
}

/* Plans with the options of a proposal behind `given`: the last one of an option counts. */
static bool proposal_fits(const char *const *given, char *proposal) {
    const char *arguments[24] = {"plan", CLI_TINY};
    int n = 2;
    for (; *given; given++) arguments[n++] = *given;
    for (char *word; (word = strsep(&proposal, " "));)
        if (*word && strcmp(word, "with")) arguments[n++] = word;
    arguments[n] = NULL;
    cli_result r = cli_run(&(const cli_call){.arguments = arguments});
    CLI_EXPECT(&r, CLI_DONE, NULL);
    const bool fits = strstr(r.out, "\nfits       yes: ") != NULL;
    cli_free(&r);
    return fits;
}

/* What is proposed to a model that does not fit would fit, nothing is proposed twice, and not what is so already. */
static void what_would_fit_does(void **state) {
    (void)state;
    static const struct {
        const char *weights, *limit, *proposals[4];
    } cases[] = {
        {"bf16", "7M", {"--weights q8 ", "--prefill-chunk ", "--memory-limit "}},
        {"bf16", "5M", {"--memory-limit "}},
        {"bf16", "3M", {" with ", "--memory-limit "}},
        {"q4", "4500K", {"--prefill-chunk ", "--context ", "--memory-limit "}},
        {"q4", "3M", {"--prefill-chunk ", " with --context ", "--memory-limit "}},
        {"q4", "1M", {"--memory-limit "}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const given[] = {"--threads=2",    "--context=1024", "--weights", cases[i].weights,
                                     "--memory-limit", cases[i].limit,   NULL};
        cli_result r = CLI("plan", CLI_TINY, given[0], given[1], given[2], given[3], given[4], given[5]);
        CLI_EXPECT(&r, CLI_DONE, NULL);
        char *from = strstr(r.out, "(memory_limit): "), *end = from ? strstr(from, " would fit\n") : NULL;
        if (!end) fail_msg("%s, %s: %s", cases[i].weights, cases[i].limit, r.out);
        *end = 0;
        from += strlen("(memory_limit): ");
        for (int k = 0; cases[i].proposals[k]; k++)
            if (!strstr(from, cases[i].proposals[k])) fail_msg("'%s' without '%s'", from, cases[i].proposals[k]);
        if (!strcmp(cases[i].weights, "q4") && strstr(from, "--weights")) fail_msg("%s", from);
        const char *limit = strstr(from, "--memory-limit");
        if (limit && strstr(limit + 2, "--memory-limit")) fail_msg("twice: %s", from);
        for (char *at; (at = strstr(from, " or "));) memcpy(at, ",   ", 4);
        for (char *proposal; (proposal = strsep(&from, ","));) {
            char text[200];
            snprintf(text, sizeof text, "%.*s", (int)strcspn(proposal, "("), proposal);
            if (!proposal_fits(given, text)) fail_msg("%s, %s: %s", cases[i].weights, cases[i].limit, text);
        }
        cli_free(&r);
    }
}

/* No weights are read: a config.json is enough. */
static void plan_of_a_config_alone(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    size_t n;
    char *config = cli_read_file(CLI_TINY_PATH "/config.json", &n);
    temp_dir_write(directory, "config.json", config, n);
    cli_result r = CLI("plan", directory, "--graph");
    expect_device_line(&r, "cpu:0 ");
    assert_non_null(strstr(r.out, "8 layers"));
    assert_non_null(strstr(r.out, "linear."));
    cli_free(&r);
    CLI_REFUSES(CLI_REFUSED, (directory, "safetensors"), "run", directory, "hi");
    free(config);
    temp_dir_remove(directory);
}

static cli_result plan_with(const char *setting, const char *more, const char *value) {
    const cli_call call = {.arguments = (const char *const[]){"plan", CLI_TINY, more, value, NULL},
                           .environment = (const char *const[]){setting, NULL}};
    return cli_run(&call);
}

static void backends(void **state) {
    (void)state;
    cli_result r = plan_with("PIO_BACKEND=null", NULL, NULL);
    expect_device_line(&r, "null:0 ");
    cli_free(&r);
    r = plan_with("PIO_BACKEND=null", "--backend", "cpu");
    expect_device_line(&r, "cpu:0 ");
    cli_free(&r);
    r = plan_with("PIO_BACKEND=auto", NULL, NULL);
    expect_device_line(&r, "cpu:0 ");
    cli_free(&r);
    r = plan_with("PIO_DEVICE=99", "--backend", "cpu");
    CLI_EXPECT(&r, CLI_REFUSED, "no device 99", "cpu");
    cli_free(&r);
    CLI_REFUSES(CLI_REFUSED, ("no device of this machine", "index 99", "--device"), "plan", CLI_TINY, "--device", "99");
    CLI_REFUSES(CLI_REFUSED, ("null", "computes nothing", "--backend"), "run", CLI_TINY, "hi", "--backend", "null");
}

/* A backend that cannot be used is named with a cause and a cure, and never replaced in silence. */
static void backends_that_are_missing(void **state) {
    (void)state;
    static const char *const names[] = {"cuda", "hip", "vulkan"};
    cli_result list = CLI("devices", "--json");
    json_t *devices = parse(&list), *device = NULL;
    for (size_t i = 0; i < 3; i++) {
        assert_true(entries_of(devices, names[i], &device) > 0);
        if (json_is_true(json_object_get(device, "usable"))) continue; /* this machine has one */
        cli_result r = CLI("plan", CLI_TINY, "--backend", names[i]);
        CLI_EXPECT(&r, CLI_REFUSED, names[i], "backend");
        assert_string_equal(r.out, "");
        assert_int_not_equal(strncmp(r.err, "device: ", 8), 0);
        cli_free(&r);
    }
    json_decref(devices);
    cli_free(&list);
}

static void kernels(void **state) {
    (void)state;
    cli_result r = plan_with("PIO_KERNEL=rmsnorm=rmsnorm.base.f32.portable", NULL, NULL);
    expect_device_line(&r, "cpu:0 ");
    assert_non_null(strstr(r.out, "rmsnorm.base.f32.portable"));
    assert_null(strstr(r.out, "rmsnorm.avx"));
    cli_free(&r);
    r = plan_with("PIO_KERNEL=rmsnorm=rmsnorm.base.f32.fastest", NULL, NULL);
    CLI_EXPECT(&r, CLI_REFUSED, "rmsnorm.base.f32.fastest", "rmsnorm.base.f32.portable");
    cli_free(&r);
    r = plan_with("PIO_KERNEL=pray=pray.base.f32.portable", NULL, NULL);
    CLI_EXPECT(&r, CLI_REFUSED, "pray", "rmsnorm");
    cli_free(&r);
    r = plan_with("PIO_KERNEL=rmsnorm", NULL, NULL);
    CLI_EXPECT(&r, CLI_REFUSED, "rmsnorm");
    cli_free(&r);
    r = plan_with("PIO_CPU_WITHOUT=avx2", NULL, NULL);
    expect_device_line(&r, "cpu:0 ");
    assert_null(strstr(r.out, ".avx"));
    cli_free(&r);
}

static void expect_setting(const json_t *plan, const char *name, const char *value, const char *from) {
    const json_t *setting = json_object_get(json_object_get(plan, "settings"), name);
    char *text = json_dumps(json_object_get(setting, "value"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    assert_non_null(text);
    if (strcmp(text, value)) fail_msg("%s is %s, not %s", name, text, value);
    assert_string_equal(json_string_value(json_object_get(setting, "from")), from);
    free(text);
}

/* The plan says of each setting what counts and who said so. */
static void settings_and_their_sources(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    static const char json[] = "{\"threads\": 1, \"top_k\": 5, \"weights\": \"q8\", \"stop\": [\"END\"]}";
    const char *file = temp_dir_write(directory, "settings.json", json, sizeof json - 1);
    const cli_call call = {
        .arguments = (const char *const[]){"plan", CLI_TINY, "--json", "--config", file, "--weights=q4", NULL},
        .environment = (const char *const[]){"PIO_TOP_K=6", "PIO_WEIGHTS=bf16", NULL}};
    cli_result r = cli_run(&call);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    json_t *plan = parse(&r);
    expect_setting(plan, "threads", "1", file);
    expect_setting(plan, "stop", "[\"END\"]", file);
    expect_setting(plan, "top_k", "6", "PIO_TOP_K");
    expect_setting(plan, "weights", "\"q4\"", "--weights");
    expect_setting(plan, "backend", "\"cpu\"", "chosen");
    expect_setting(plan, "page_tokens", "64", "default");
    expect_setting(plan, "seed", "null", "default");
    json_decref(plan);
    cli_free(&r);
    temp_dir_remove(directory);
}

/* A bundled model is found by PIO_HOME alone, too. */
static void home(void **state) {
    (void)state;
    char *directory = temp_dir_make(), setting[600], path[600];
    size_t n;
    char *config = cli_read_file(CLI_TINY_PATH "/config.json", &n);
    snprintf(path, sizeof path, "%s/assets", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/assets/my-own", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    temp_dir_write(path, "config.json", config, n);
    snprintf(setting, sizeof setting, "PIO_HOME=%s", directory);
    const cli_call call = {.arguments = (const char *const[]){"plan", "my-own", NULL},
                           .environment = (const char *const[]){setting, NULL}};
    cli_result r = cli_run(&call);
    expect_device_line(&r, "cpu:0 ");
    assert_non_null(strstr(r.out, path));
    cli_free(&r);
    CLI_REFUSES(CLI_REFUSED, ("'my-own'", "PIO_HOME"), "plan", "my-own");
    CLI_REFUSES(CLI_REFUSED, ("''", "PIO_HOME"), "plan", "");
    free(config);
    temp_dir_remove(directory);
}

static void threads(void **state) {
    (void)state;
    cli_result r = CLI("plan", CLI_TINY, "--threads", "1");
    expect_device_line(&r, "cpu:0 ");
    assert_non_null(strstr(r.err, "1 thread"));
    cli_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_as_json),
        cmocka_unit_test(devices_as_text),
        cmocka_unit_test(devices_under_settings),
        cmocka_unit_test(plan_as_json),
        cmocka_unit_test(plan_that_does_not_fit),
        cmocka_unit_test(what_would_fit_does),
        cmocka_unit_test(plan_of_a_config_alone),
        cmocka_unit_test(backends),
        cmocka_unit_test(backends_that_are_missing),
        cmocka_unit_test(settings_and_their_sources),
        cmocka_unit_test(kernels),
        cmocka_unit_test(home),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
