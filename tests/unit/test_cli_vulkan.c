/* The program on machines whose Vulkan is missing, old or broken, and when a device is lost: through vulkan_faults/. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/cli.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

#define FAULTS "LD_PRELOAD=" PIO_BUILD_DIR "/tests/vulkan_faults/libvulkan.so.1"
#ifdef __SANITIZE_ADDRESS__
#define BESIDE "ASAN_OPTIONS=verify_asan_link_order=0" /* a library may be loaded before the sanitizer's */
#else
#define BESIDE FAULTS
#endif

static char *cache; /* a directory of these tests */

static cli_result run_under(const char *orders, const char *backend, const char *const *arguments) {
    char faults[160], setting[64], directory[600];
    snprintf(faults, sizeof faults, "VULKAN_FAULTS=%s", orders);
    snprintf(setting, sizeof setting, "PIO_BACKEND=%s", backend);
    snprintf(directory, sizeof directory, "PIO_CACHE_DIRECTORY=%s", cache);
    const cli_call call = {.arguments = arguments,
                           .environment = (const char *const[]){FAULTS, BESIDE, faults, setting, directory, NULL}};
    return cli_run(&call);
}

#define RUN(orders, backend, ...) run_under(orders, backend, (const char *const[]){__VA_ARGS__, NULL})

/* What `devices` says where Vulkan cannot be used, and that a named backend is refused with the same words. */
static void devices_say_what_is_missing(void **state) {
    (void)state;
    static const struct {
        const char *orders, *said, *cure;
    } cases[] = {
        {"devices=none", "knows no device", "mesa-vulkan-drivers"},
        {"no_instance", "found no driver", "mesa-vulkan-drivers"},
        {"old_loader", "version 1.1 and 1.2 is needed", "libvulkan1"},
        {"no_compute", "no queue that computes", "choose another device"},
        {"version=1.1", "Vulkan 1.1 and 1.2 is needed", "mesa-vulkan-drivers"},
        {"no_feature=shaderInt8", "lacks shaderInt8", "mesa-vulkan-drivers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_result r = RUN(cases[i].orders, "auto", "devices");
        CLI_EXPECT(&r, CLI_DONE, NULL);
        const char *line = strstr(r.out, "  vulkan"), *end = line ? strchr(line, '\n') : NULL;
        if (!end) fail_msg("%s: %s", cases[i].orders, r.out);
        char text[600];
        snprintf(text, sizeof text, "%.*s", (int)(end - line), line);
        if (!strstr(text, "not usable") || !strstr(text, cases[i].said) || !strstr(text, cases[i].cure))
            fail_msg("%s: %s", cases[i].orders, text);
        cli_free(&r);
        r = RUN(cases[i].orders, "vulkan", "devices", "--json");
        CLI_EXPECT(&r, CLI_REFUSED, cases[i].said, cases[i].cure);
        cli_free(&r);
        r = RUN(cases[i].orders, "vulkan", "run", CLI_TINY, "hi");
        CLI_EXPECT(&r, CLI_REFUSED, cases[i].said, cases[i].cure);
        assert_string_equal(r.out, "");
        cli_free(&r);
    }
}

/* A library that cannot be opened is one that is not there. */
static void no_loader(void **state) {
    (void)state;
    char *directory = temp_dir_make(), setting[600];
    temp_dir_write(directory, "libvulkan.so.1", "no library", 10);
    snprintf(setting, sizeof setting, "LD_LIBRARY_PATH=%s", directory);
    for (int named = 0; named < 2; named++) {
        const cli_call call = {
            .arguments = (const char *const[]){"devices", NULL},
            .environment = (const char *const[]){setting, named ? "PIO_BACKEND=vulkan" : "PIO_BACKEND=auto", NULL}};
        cli_result r = cli_run(&call);
        if (named) CLI_EXPECT(&r, CLI_REFUSED, "libvulkan.so.1 is not there", "libvulkan1");
        if (!named) CLI_EXPECT(&r, CLI_DONE, NULL);
        assert_non_null(strstr(r.out, "libvulkan.so.1 is not there: install the package libvulkan1"));
        cli_free(&r);
    }
    temp_dir_remove(directory);
}

static const json_t *device_at(const json_t *devices, const char *backend, int index) {
    const json_t *device;
    size_t i;
    json_array_foreach(devices, i, device) {
        if (!strcmp(json_string_value(json_object_get(device, "backend")), backend) &&
            json_integer_value(json_object_get(device, "device")) == index)
            return device;
    }
    fail_msg("%s:%d is not listed", backend, index);
    return NULL;
}

static void expect_text(const json_t *device, const char *key, const char *part) {
    const char *text = json_string_value(json_object_get(device, key));
    if (!text || !strstr(text, part)) fail_msg("%s is '%s', without '%s'", key, text ? text : "", part);
}

/* The best device is the first and the default; each other says why it is not. */
static void devices_are_listed_with_reasons(void **state) {
    (void)state;
    cli_result r = RUN("devices=software,integrated,discrete", "auto", "devices", "--json");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    json_t *devices = json_loadb(r.out, r.n_out, 0, NULL);
    assert_non_null(devices);
    const json_t *first = json_array_get(devices, 0), *best = device_at(devices, "vulkan", 2);
    assert_ptr_equal(first, best);
    assert_true(json_is_true(json_object_get(best, "default")));
    expect_text(best, "kind", "discrete");
    expect_text(best, "driver", "llvmpipe");
    expect_text(best, "reason", "the best that can be used");
    assert_true(json_integer_value(json_object_get(json_array_get(json_object_get(best, "heaps"), 0), "bytes")) > 0);
    assert_true(json_integer_value(json_object_get(best, "max_allocation_bytes")) > 0);
    assert_true(json_is_array(json_object_get(best, "has")) && json_is_array(json_object_get(best, "lacks")));
    expect_text(device_at(devices, "vulkan", 1), "reason", "vulkan:2 is a discrete device and comes before");
    expect_text(device_at(devices, "vulkan", 0), "reason", "a software device, slower than the processor");
    expect_text(device_at(devices, "cpu", 0), "reason", "vulkan:2 is a discrete device and comes before the processor");
    expect_text(device_at(devices, "null", 0), "reason", "PIO_BACKEND=null names it");
    json_decref(devices);
    cli_free(&r);
    r = RUN("devices=discrete,integrated card=1", "auto", "devices");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    if (strncmp(r.out, "* vulkan:0", 10) || !strstr(r.out, "the same card as vulkan:0")) fail_msg("%s", r.out);
    cli_free(&r);
}

static int count(const char *text, const char *part) {
    int n = 0;
    for (; (text = strstr(text, part)); text++) n++;
    return n;
}

/* That there is nothing to ask for is no news to a run: `devices` says it. */
static void a_machine_without_cards_is_a_short_line(void **state) {
    (void)state;
    static const char why[] = "not vulkan: the system shows no graphics device";
    cli_result r = RUN("no_nodes", "auto", "run", CLI_TINY, "hi", "--max-tokens=1");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    const char *end = strstr(r.err, "), the best that can be used\n");
    if (strncmp(r.err, "device: cpu:0 ", 14) || !end || strchr(r.err, '\n') < end) fail_msg("%s", r.err);
    cli_free(&r);
    r = RUN("no_nodes", "auto", "devices");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    if (!strstr(r.out, why)) fail_msg("%s", r.out);
    cli_free(&r);
    r = RUN("devices=discrete no_compute", "auto", "run", CLI_TINY, "hi", "--max-tokens=1"); /* there, and of no use */
    CLI_EXPECT(&r, CLI_DONE, NULL);
    if (!strstr(r.err, "; not vulkan:0 llvmpipe") || !strstr(r.err, "no queue that computes")) fail_msg("%s", r.err);
    cli_free(&r);
}

/* A device that fails before the first token is passed over, and the device line says so; afterwards it is the end. */
static void a_failing_device_is_passed_over(void **state) {
    (void)state;
    static const char answer[] = "47 + 38 = 85.\n";
    static const char *const early[] = {"make=0", "make=30", "submit=0", "wait=3"};
    for (size_t i = 0; i < sizeof early / sizeof *early; i++) {
        char orders[64];
        snprintf(orders, sizeof orders, "devices=discrete %s", early[i]);
        cli_result r = RUN(orders, "auto", "run", CLI_TINY, "What is 47 + 38?");
        CLI_EXPECT(&r, CLI_DONE, NULL);
        assert_string_equal(r.out, answer);
        const char *line = strstr(r.err, "device: cpu:0 ");
        if (!line || !strstr(line, "; not vulkan:0 llvmpipe")) fail_msg("%s: %s", orders, r.err);
        if (count(r.err, "device: ") != 1) fail_msg("%s: %s", orders, r.err);
        cli_free(&r);
        r = RUN(orders, "vulkan", "run", CLI_TINY, "What is 47 + 38?");
        CLI_EXPECT(&r, CLI_REFUSED, "llvmpipe");
        assert_string_equal(r.out, "");
        cli_free(&r);
    }
}

/* Nothing is left where the only one that may be taken cannot be opened, and its failure is the answer. */
static void the_only_device_fails(void **state) {
    (void)state;
    static const char *const faults[] = {"devices=discrete,integrated make=0",
                                         "devices=discrete,integrated no_function=vkQueueSubmit"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        cli_result r = RUN(faults[i], "auto", "run", CLI_TINY, "hi", "--device=1");
        CLI_EXPECT(&r, CLI_REFUSED, i ? "vkQueueSubmit" : "opening the device failed");
        cli_free(&r);
    }
}

static void a_late_loss_ends_the_command(void **state) {
    (void)state;
    cli_result r = RUN("devices=discrete step=4", "auto", "run", CLI_TINY, "hi");
    CLI_EXPECT(&r, CLI_REFUSED, "device lost");
    if (r.n_out < 2 || strncmp(r.out, "Hello", r.n_out < 5 ? r.n_out : 5)) fail_msg("%s", r.out); /* said before */
    assert_int_equal(r.out[r.n_out - 1], '\n'); /* the sentence begins a line on a terminal too */
    assert_int_equal(count(r.out, "\n"), 1);
    assert_null(strstr(r.err, "device: cpu"));
    cli_free(&r);
    r = RUN("devices=discrete step=1", "auto", "run", CLI_TINY, "hi"); /* under way while the first token is drawn */
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_non_null(strstr(r.err, "device: cpu:0 "));
    cli_free(&r);
}

/* A name that is unknown gets those of the op that this device has, all of them; a row that serves many tokens alone is
 * told so, though the weight is another op's too. */
static void kernels_that_cannot_be_forced(void **state) {
    (void)state;
    static const struct {
        const char *kernel, *said[3], *unsaid;
    } cases[] = {
        {"linear=linear.vulkan.fastest",
         {"linear.vulkan.f32_rows.stream", "linear.vulkan.q4_rows.tiles", "linear.vulkan.f16s_rows.tiles"},
         ".avx"},
        {"linear=linear.base.bf16_rows.portable",
         {"it is the cpu backend's", "linear.vulkan.bf16_rows.tiles", NULL},
         "linear.base.q8"},
        {"linear=linear.vulkan.bf16_rows.tiles",
         {"linear.vulkan.bf16_rows.tiles", "serves linear alone, with 9 rows or more", "steps of 1 too"},
         "embed with"},
        {"linear=linear.vulkan.q4_rows.stream",
         {"serves linear alone", "stored as q4_rows", "that is bf16_rows"},
         "embed with"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_result r = RUN("devices=discrete", "vulkan", "plan", CLI_TINY, "--kernel", cases[i].kernel);
        CLI_EXPECT(&r, CLI_REFUSED, cases[i].said[0], cases[i].said[1], cases[i].said[2]);
        if (strstr(r.err, cases[i].unsaid)) fail_msg("%s: %s", cases[i].kernel, r.err);
        cli_free(&r);
    }
}

/* A model that is too large for the device, under its own limit and under what is free there. */
static void a_model_that_does_not_fit(void **state) {
    (void)state;
    cli_result r = RUN("devices=discrete heap=5000000", "vulkan", "run", CLI_TINY, "hi"); /* nor do kernels' cases */
    CLI_EXPECT(&r, CLI_REFUSED, "needs ", "weights ", "workspace ", " MB are free on llvmpipe", "would fit");
    cli_free(&r);
    r = RUN("devices=discrete heap=16000000", "vulkan", "run", CLI_TINY, "hi", "--context", "1024");
    CLI_EXPECT(&r, CLI_REFUSED, "needs ", "weights ", "KV cache ", "workspace ", " MB are free on llvmpipe",
               "--weights q", "would fit");
    cli_free(&r);
    r = RUN("devices=discrete heap=16000000", "vulkan", "plan", CLI_TINY, "--context", "1024");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    if (!strstr(r.out, "\nfits       no: ") || !strstr(r.out, "\nheaps      ") || !strstr(r.out, "of its own"))
        fail_msg("%s", r.out);
    cli_free(&r);
    r = RUN("devices=discrete heap=16000000", "auto", "run", CLI_TINY, "What is 47 + 38?", "--context", "1024");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_non_null(strstr(r.err, "; not vulkan:0 llvmpipe"));
    assert_non_null(strstr(r.err, " MB are free on llvmpipe"));
    cli_free(&r);
}

static json_int_t bytes_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

/* The plan on a device whose heaps have so many bytes. They hold what is planned, all of it, and it fits exactly if it
 * does so in each of them. */
static json_t *plan_in(json_int_t heap) {
    char orders[64];
    snprintf(orders, sizeof orders, "devices=discrete heap=%lld", heap);
    cli_result r = RUN(orders, "vulkan", "plan", CLI_TINY, "--context", "1024", "--json");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    json_t *plan = json_loadb(r.out, r.n_out, 0, NULL), *heaps = json_object_get(plan, "heaps"), *h;
    json_int_t sum = 0;
    bool fits = true;
    size_t i;
    json_array_foreach(heaps, i, h) {
        sum += bytes_of(h, "planned_bytes");
        fits &= bytes_of(h, "planned_bytes") <= bytes_of(h, "free_bytes");
    }
    assert_int_equal(sum, bytes_of(json_object_get(plan, "memory_bytes"), "total") + bytes_of(plan, "staging_bytes"));
    if (json_is_true(json_object_get(plan, "fits")) != fits) fail_msg("%s", r.out);
    cli_free(&r);
    return plan;
}

/* llvmpipe has one heap: what loading takes of the host's memory lies there too, and must fit beside the rest. */
static void heaps_hold_what_is_planned(void **state) {
    (void)state;
    json_t *plan = plan_in(20000000);
    const json_t *heap = json_array_get(json_object_get(plan, "heaps"), 0);
    const json_int_t used = bytes_of(heap, "bytes") - bytes_of(heap, "free_bytes"), /* by the device's queue */
        total = bytes_of(json_object_get(plan, "memory_bytes"), "total"), staging = bytes_of(plan, "staging_bytes");
    json_decref(plan);
    assert_true(total > 0 && staging > 0);
    const json_int_t rooms[] = {total - 1, total + staging / 2, total + staging};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        plan = plan_in(used + rooms[i]);
        assert_int_equal(json_is_true(json_object_get(plan, "fits")), rooms[i] >= total + staging);
        json_decref(plan);
    }
}

/* ---- the cache of compiled kernels ---- */

static char *kept_file(void) {
    char command[700], *path = calloc(1, 1024);
    snprintf(command, sizeof command, "find '%s' -name '*.kept'", cache);
    FILE *found = popen(command, "r");
    assert_non_null(found);
    if (!fgets(path, 1024, found)) fail_msg("nothing is kept in '%s'", cache);
    path[strcspn(path, "\n")] = 0;
    pclose(found);
    return path;
}

static void answer_quietly(void) {
    char out[600];
    snprintf(out, sizeof out, "%s/logits.safetensors", cache);
    cli_result r = RUN("devices=software", "vulkan", "logits", CLI_TINY, "--ids", "3", "--out", out);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    const char *end = strchr(r.err, '\n'); /* the device line alone: nothing that frightens */
    assert_true(!strncmp(r.err, "device: vulkan:0 ", 17) && end && !end[1]);
    cli_free(&r);
}

/* What is cut, changed or empty is made again, and what cannot be written is done without. */
static void compiled_kernels_are_kept(void **state) {
    (void)state;
    answer_quietly();
    size_t n, n_again;
    char *path = kept_file(), *right = cli_read_file(path, &n), *again;
    assert_true(n > 100 && !memcmp(right, "PIOKEPT1", 8));
    const struct {
        size_t bytes;
        int changed;
    } broken[] = {{7, 0}, {n - 1, 0}, {n, 8}, {n, (int)n - 1}};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char *name = strrchr(path, '/') + 1, *bytes = malloc(n);
        char folder[1024];
        snprintf(folder, sizeof folder, "%.*s", (int)(name - path - 1), path);
        memcpy(bytes, right, n);
        if (broken[i].changed || broken[i].bytes == n) bytes[broken[i].changed] ^= 1;
        temp_dir_write(folder, name, bytes, broken[i].bytes);
        answer_quietly();
        again = cli_read_file(path, &n_again);
        assert_int_equal(n_again, n);
        assert_memory_equal(again, right, n);
        free(again);
        free(bytes);
    }
    free(right);
    free(path);
}

/* Neither for our cache nor for the one of Mesa, which would print a line of its own. */
static void a_place_that_cannot_be_written_does_no_harm(void **state) {
    (void)state;
    const cli_call call = {.arguments = (const char *const[]){"run", CLI_TINY, "hi", "--max-tokens=1", NULL},
                           .environment = (const char *const[]){"PIO_CACHE_DIRECTORY=/proc/nowhere",
                                                                "MESA_SHADER_CACHE_DIR=/proc/nowhere",
                                                                "PIO_BACKEND=vulkan", FAULTS, BESIDE, NULL}};
    cli_result r = cli_run(&call);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    const char *end = strchr(r.err, '\n');
    if (strncmp(r.err, "device: vulkan:0 ", 17) || !end || end[1]) fail_msg("%s", r.err);
    cli_free(&r);
}

static int begin(void **state) {
    (void)state;
    cache = temp_dir_make();
    return 0;
}

static int end(void **state) {
    (void)state;
    temp_dir_remove(cache);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_say_what_is_missing),
        cmocka_unit_test(no_loader),
        cmocka_unit_test(devices_are_listed_with_reasons),
        cmocka_unit_test(a_machine_without_cards_is_a_short_line),
        cmocka_unit_test(a_failing_device_is_passed_over),
        cmocka_unit_test(the_only_device_fails),
        cmocka_unit_test(a_late_loss_ends_the_command),
        cmocka_unit_test(kernels_that_cannot_be_forced),
        cmocka_unit_test(a_model_that_does_not_fit),
        cmocka_unit_test(heaps_hold_what_is_planned),
        cmocka_unit_test(compiled_kernels_are_kept),
        cmocka_unit_test(a_place_that_cannot_be_written_does_no_harm),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
