/* logits and bench: what they write, and what they refuse. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/safetensors.h"
#include "tests/support/cli.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

enum { VOCAB = 512, CONTEXT = 1024 };

static pio_safetensors *open_output(const char *path) {
    pio_safetensors *st;
    pio_error error;
    if (pio_safetensors_open(path, &st, &error)) fail_msg("%s", error.text);
    return st;
}

static const pio_stored_tensor *tensor(const pio_safetensors *st, const char *name, uint64_t bytes) {
    const pio_stored_tensor *t = pio_safetensors_find(st, name);
    if (!t || t->bytes != bytes) fail_msg("no tensor '%s' of %llu bytes", name, (unsigned long long)bytes);
    return t;
}

/* The reference's ids and continuation of the golden checkpoint, through the program. */
static void greedy(void **state) {
    (void)state;
    test_random random = test_random_begin("greedy");
    char *directory = temp_dir_make(), ids[400] = "", list[400] = "[";
    int n_ids = 20;
    for (int i = 0; i < n_ids; i++) {
        int id = (int)test_random_below(&random, VOCAB);
        sprintf(ids + strlen(ids), "%s%d", i ? "," : "", id);
        sprintf(list + strlen(list), "%s%d", i ? ", " : "", id);
    }
    strcat(list, "]\n");
    const char *from_list = temp_dir_write(directory, "ids.json", list, strlen(list));
    const char *a_path = temp_dir_path(directory, "a"), *b_path = temp_dir_path(directory, "b");
    cli_result r = CLI("logits", CLI_TINY, "--ids", ids, "--greedy", "9", "--out", a_path, "--compute", "f32");
    CLI_EXPECT(&r, CLI_DONE, "device: ");
    assert_string_equal(r.out, "");
    cli_free(&r);
    r = CLI("logits", CLI_TINY_PATH, "--ids-file", from_list, "--greedy=9", "--step=1", "--out", b_path,
            "--compute=f32");
    CLI_EXPECT(&r, CLI_DONE, "device: ");
    cli_free(&r);
    pio_safetensors *a = open_output(a_path), *b = open_output(b_path);
    const float *x = tensor(a, "logits", 4ull * VOCAB * (unsigned)n_ids)->data,
                *y = tensor(b, "logits", 4ull * VOCAB * (unsigned)n_ids)->data;
    double error = 0, power = 0;
    for (int i = 0; i < VOCAB * n_ids; i++) {
        error += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
        power += (double)x[i] * x[i];
    }
    assert_true(power > 0 && error < 1e-8 * power);
    const int32_t *p = tensor(a, "greedy_ids", 4 * 29)->data, *q = tensor(b, "greedy_ids", 4 * 29)->data;
    assert_memory_equal(p, q, 4 * 29);
    assert_int_equal(p[0], strtol(ids, NULL, 10));
    const float *last = x + VOCAB * (n_ids - 1);
    for (int i = 0; i < VOCAB; i++) assert_true(last[i] <= last[p[n_ids]]);
    pio_safetensors_close(a);
    pio_safetensors_close(b);
    temp_dir_remove(directory);
}

static void bad_ids(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } files[] = {
        {"", "not a JSON array"},
        {"[1, 2", "not a JSON array"},
        {"{\"ids\": [1]}", "not a JSON array"},
        {"[1, \"2\"]", "entry 1"},
        {"[1, 2.5]", "entry 1"},
        {"[1, -2]", "-2"},
        {"[1, 4294967296]", "429496"},
        {"[99999999999999999999]", "not a JSON"},
        {"[]", "empty"},
        {"[1, 512]", "512"},
        {"\xff[1]", "not a JSON array"},
    };
    char *directory = temp_dir_make();
    const char *out = temp_dir_path(directory, "out");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = temp_dir_write(directory, "ids.json", files[i].text, strlen(files[i].text));
        cli_result r = CLI("logits", CLI_TINY, "--ids-file", path, "--out", out);
        CLI_EXPECT(&r, CLI_REFUSED, files[i].part);
        assert_int_equal(temp_dir_count(directory), 1);
        cli_free(&r);
    }
    CLI_REFUSES(CLI_REFUSED, ("512", "position 2", "vocabulary"), "logits", CLI_TINY, "--ids", "1,2,512", "--out", out);
    CLI_REFUSES(CLI_USAGE, ("-7"), "logits", CLI_TINY, "--ids=-7", "--out", out);
    CLI_REFUSES(CLI_REFUSED, ("nothing.json"), "logits", CLI_TINY, "--ids-file", "nothing.json", "--out", out);
    CLI_REFUSES(CLI_REFUSED, (directory), "logits", CLI_TINY, "--ids-file", directory, "--out", out);
    CLI_REFUSES(CLI_REFUSED, ("without eyes"), "logits", CLI_TINY, "--ids=1", "--out", out, "--image", "cat.png");
    assert_int_equal(temp_dir_count(directory), 1);
    temp_dir_remove(directory);
}

/* Both numbers are named. */
static void too_long(void **state) {
    (void)state;
    char *directory = temp_dir_make(), ids[8 * CONTEXT] = "";
    const char *out = temp_dir_path(directory, "out");
    for (int i = 0; i <= CONTEXT; i++) strcat(ids, i ? ",7" : "7");
    CLI_REFUSES(CLI_REFUSED, ("1025", "1024"), "logits", CLI_TINY, "--ids", ids, "--out", out);
    CLI_REFUSES(CLI_REFUSED, ("1025", "100"), "logits", CLI_TINY, "--ids", ids, "--out", out, "--context=100");
    CLI_REFUSES(CLI_REFUSED, ("1030", "1024"), "logits", CLI_TINY, "--ids=1,2,3", "--out", out, "--greedy=1027");
    CLI_REFUSES(CLI_REFUSED, ("8", "7", "raise --context"), "logits", CLI_TINY, "--ids=1,2,3", "--out", out,
                "--greedy=5", "--context=7");
    cli_result most = CLI("logits", CLI_TINY, "--ids=1,2,3", "--out", out, "--greedy=1027", "--context=1024");
    CLI_EXPECT(&most, CLI_REFUSED, "1030", "1024", "lower --greedy");
    assert_null(strstr(most.err, "raise --context")); /* the model knows no more */
    cli_free(&most);
    CLI_REFUSES(CLI_REFUSED, ("--context 1025", "1024"), "logits", CLI_TINY, "--ids=1", "--out", out, "--context=1025");
    assert_int_equal(temp_dir_count(directory), 0);
    cli_result r = CLI("logits", CLI_TINY, "--ids=1,2,3", "--out", out, "--greedy=5", "--context=8");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    cli_free(&r);
    temp_dir_remove(directory);
}

static void output_that_cannot_be(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    char nowhere[600];
    snprintf(nowhere, sizeof nowhere, "%s/none/out", directory);
    CLI_REFUSES(CLI_REFUSED, (nowhere, "directory"), "logits", CLI_TINY, "--ids=1", "--out", nowhere);
    CLI_REFUSES(CLI_REFUSED, (directory, "directory"), "logits", CLI_TINY, "--ids=1", "--out", directory);
    CLI_REFUSES(CLI_REFUSED, ("/dev/full"), "logits", CLI_TINY, "--ids=1", "--out", "/dev/full");
    struct stat info;
    assert_true(!stat("/dev/full", &info) && S_ISCHR(info.st_mode));

    /* too large a file is an error of the write, not a signal, and nothing is left */
    const char *out = temp_dir_path(directory, "out");
    const cli_call call = {.arguments = (const char *const[]){"logits", CLI_TINY, "--ids=1,2,3,4", "--out", out, NULL},
                           .file_bytes = 4096};
    cli_result r = cli_run(&call);
    CLI_EXPECT(&r, CLI_REFUSED, out, "file size limit");
    cli_free(&r);
    assert_int_equal(temp_dir_count(directory), 0);

    /* what was there before stays */
    temp_dir_write(directory, "out", "precious", 8);
    r = cli_run(&call);
    CLI_EXPECT(&r, CLI_REFUSED, out);
    cli_free(&r);
    size_t n;
    char *kept = cli_read_file(out, &n);
    assert_string_equal(kept, "precious");
    assert_int_equal(temp_dir_count(directory), 1);
    free(kept);
    temp_dir_remove(directory);
}

/* A disk that is really full, where one can be made. */
static void full_disk(void **state) {
    (void)state;
    char *directory = temp_dir_make(), command[700];
    snprintf(command, sizeof command, "mount -t tmpfs -o size=16k pio-test %s 2>/dev/null", directory);
    if (system(command)) {
        temp_dir_remove(directory);
        skip();
    }
    const char *out = temp_dir_path(directory, "out");
    cli_result r = CLI("logits", CLI_TINY, "--ids=1,2,3,4,5,6,7,8,9,10", "--out", out);
    size_t left = temp_dir_count(directory);
    snprintf(command, sizeof command, "umount %s", directory);
    assert_int_equal(system(command), 0);
    CLI_EXPECT(&r, CLI_REFUSED, out, "left");
    assert_int_equal(left, 0);
    cli_free(&r);
    temp_dir_remove(directory);
}

/* Every run is there, their median is the speed, and no ceiling around the test is above the largest. */
static void check_runs(json_t *result, json_t *largest, size_t n_runs) {
    static const char *const rates[] = {"read_bytes_per_s", "ops_per_s"};
    json_t *runs = json_object_get(result, "runs_s"), *around = json_object_get(result, "ceilings");
    const double tokens = json_number_value(json_object_get(result, "tokens")) *
                          json_number_value(json_object_get(result, "batch")),
                 seconds = tokens / json_number_value(json_object_get(result, "tokens_per_s"));
    size_t not_slower = 0, not_faster = 0;
    assert_int_equal(json_array_size(runs), n_runs);
    for (size_t i = 0; i < n_runs; i++) {
        const double run = json_real_value(json_array_get(runs, i));
        assert_true(run > 0);
        not_slower += run <= seconds * (1 + 1e-12);
        not_faster += run >= seconds * (1 - 1e-12);
    }
    assert_true(not_slower >= (n_runs + 1) / 2 && not_faster >= (n_runs + 1) / 2);
    assert_true(json_integer_value(json_object_get(result, "bytes")) > 0);
    assert_true(json_integer_value(json_object_get(result, "ops")) > 0);
    assert_int_equal(json_array_size(around), 2);
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 2; k++) {
            const double rate = json_real_value(json_object_get(json_array_get(around, i), rates[k]));
            assert_true(rate > 1e8 && rate <= json_real_value(json_object_get(largest, rates[k])));
        }
}

static void bench(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    size_t n;
    char *config = cli_read_file(CLI_TINY_PATH "/config.json", &n);
    temp_dir_write(directory, "config.json", config, n);
    free(config);
    cli_result r = CLI("bench", directory, "--dummy-weights", "--tokens", "24", "--context", "40", "--batch", "3",
                       "--weights", "q4", "--repeats", "3", "--json");
    CLI_EXPECT(&r, CLI_DONE, "device: cpu:0");
    static const char *const texts[] = {"version", "device", "detail", "model", "family", "compute"};
    json_t *bench = json_loadb(r.out, r.n_out, 0, NULL), *ceilings = json_object_get(bench, "ceilings");
    json_t *results = json_object_get(bench, "results");
    assert_string_equal(json_string_value(json_object_get(bench, "backend")), "cpu");
    assert_string_equal(json_string_value(json_object_get(bench, "weights")), "q4");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_true(json_string_length(json_object_get(bench, texts[i])) > 0);
    assert_true(json_integer_value(json_object_get(bench, "weight_bytes")) > 0);
    assert_null(json_object_get(bench, "load")); /* nothing was read */
    assert_true(json_number_value(json_object_get(ceilings, "read_bytes_per_s")) > 1e8);
    assert_true(json_number_value(json_object_get(ceilings, "ops_per_s")) > 1e8);
    assert_int_equal(json_array_size(results), 2);
    static const struct {
        const char *test;
        int tokens, context, batch;
    } wanted[] = {{"prefill", 24, 0, 1}, {"decode", 1, 40, 3}};
    for (size_t i = 0; i < 2; i++) {
        json_t *result = json_array_get(results, i);
        assert_string_equal(json_string_value(json_object_get(result, "test")), wanted[i].test);
        assert_int_equal(json_integer_value(json_object_get(result, "tokens")), wanted[i].tokens);
        assert_int_equal(json_integer_value(json_object_get(result, "context")), wanted[i].context);
        assert_int_equal(json_integer_value(json_object_get(result, "batch")), wanted[i].batch);
        assert_true(json_number_value(json_object_get(result, "tokens_per_s")) > 0);
        assert_true(json_number_value(json_object_get(result, "fraction")) > 0);
        check_runs(result, ceilings, 3);
    }
    json_decref(bench);
    cli_free(&r);
    CLI_REFUSES(CLI_REFUSED, ("safetensors", directory), "bench", directory);
    CLI_REFUSES(CLI_REFUSED, ("5000 tokens (--tokens)", "the 1024 that"), "bench", directory, "--dummy-weights",
                "--tokens=5000");
    CLI_REFUSES(CLI_REFUSED, ("behind 1024 tokens (--context)", "the 1024 that"), "bench", directory, "--dummy-weights",
                "--context=1024");
    temp_dir_remove(directory);
}

/* A bench of a checkpoint says how fast its weights came. */
static void bench_of_a_checkpoint(void **state) {
    (void)state;
    cli_result r = CLI("bench", CLI_TINY, "--tokens", "8", "--context", "8", "--repeats", "1", "--json");
    CLI_EXPECT(&r, CLI_DONE, "device: cpu:0");
    json_t *bench = json_loadb(r.out, r.n_out, 0, NULL), *load = json_object_get(bench, "load");
    const double bytes = json_number_value(json_object_get(load, "bytes")),
                 seconds = json_number_value(json_object_get(load, "seconds")),
                 rate = json_number_value(json_object_get(load, "bytes_per_s"));
    struct stat info;
    assert_int_equal(stat(CLI_TINY_PATH "/model.safetensors", &info), 0);
    assert_true(bytes > 0.9 * (double)info.st_size && bytes <= (double)info.st_size); /* all but the header */
    assert_true(seconds > 0 && rate * seconds > 0.999 * bytes && rate * seconds < 1.001 * bytes);
    json_decref(bench);
    cli_free(&r);
}

/* What the model is read from is never written over, whatever name leads there; of a link, the target is replaced. */
static void outputs_that_would_harm(void **state) {
    (void)state;
    char *directory = cli_copy_tiny(), weights[600], other[600], target[600];
    struct stat info;
    snprintf(weights, sizeof weights, "%s/model.safetensors", directory);
    snprintf(other, sizeof other, "%s/logits.safetensors", directory);
    assert_int_equal(symlink("model.safetensors", other), 0);
    CLI_REFUSES(CLI_REFUSED, ("a file of the model itself"), "logits", directory, "--ids=1,2", "--out", weights);
    CLI_REFUSES(CLI_REFUSED, ("a file of the model itself"), "logits", directory, "--ids=1,2", "--out", other);
    assert_int_equal(unlink(other), 0);
    char *elsewhere = temp_dir_make(), link_path[600];
    snprintf(link_path, sizeof link_path, "%s/link.safetensors", elsewhere);
    snprintf(target, sizeof target, "%s/there.safetensors", elsewhere);
    temp_dir_write(elsewhere, "there.safetensors", "", 0);
    assert_int_equal(symlink("there.safetensors", link_path), 0);
    cli_result r = CLI("logits", directory, "--ids=1,2", "--out", link_path);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    cli_free(&r);
    assert_int_equal(lstat(link_path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat(target, &info), 0);
    assert_true(info.st_size > 1000);
    temp_dir_remove(elsewhere);
    temp_dir_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy),    cmocka_unit_test(bad_ids),
        cmocka_unit_test(too_long),  cmocka_unit_test(output_that_cannot_be),
        cmocka_unit_test(full_disk), cmocka_unit_test(outputs_that_would_harm),
        cmocka_unit_test(bench),     cmocka_unit_test(bench_of_a_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
