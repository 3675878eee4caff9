#include "tests/support/hal.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TESTS = 256, NAME_BYTES = 128 };

/* What a test of the group starts from. */
typedef struct start {
    const pio_driver *driver;
    int index;
    const test_check *check;
    char name[NAME_BYTES];
} start;

pio_device *test_hal_open(const test_device *t, const pio_driver_options *options) {
    pio_error error = {0};
    pio_device *device;
    if (pio_device_create(t->driver, t->index, options, &device, &error)) fail_msg("%s", error.text);
    return device;
}

void test_hal_check_messages(pio_device *device) {
    const pio_device_messages *messages = pio_device_extension(device, "messages");
    if (messages && messages->n) fail_msg("%d messages, the last: %s", messages->n, messages->last);
}

static void run_check(void **state) {
    const start *s = *state;
    test_device t = {.driver = s->driver, .index = s->index, .random = test_random_begin(s->name)};
    /* Three threads where the CPU may have fewer: the checks' answers must not depend on their number. */
    t.device = test_hal_open(&t, &(pio_driver_options){.n_threads = 3});
    pio_device_get_caps(t.device, &t.caps);
    if (s->check->computes && !t.caps.computes) {
        print_message("%s: skipped: the device computes nothing\n", s->name);
        pio_device_destroy(t.device);
        skip();
    }
    assert_int_equal(pio_queue_create(t.device, PIO_QUEUE_COMPUTE, &t.queue, NULL), PIO_OK);
    s->check->run(&t);
    pio_queue_destroy(t.queue);
    test_hal_check_messages(t.device);
    pio_device_destroy(t.device);
}

static int list_checks(const pio_driver *driver, int index, const test_check *checks, int n_checks, start *starts,
                       int n) {
    for (int i = 0; i < n_checks; i++, n++) {
        assert_true(n < MOST_TESTS);
        starts[n] = (start){driver, index, &checks[i], ""};
        snprintf(starts[n].name, NAME_BYTES, "%s:%d %s", pio_backend_name(driver->backend), index, checks[i].name);
    }
    return n;
}

int test_hal_run(const test_check *checks, int n_checks) {
    static start starts[MOST_TESTS];
    static struct CMUnitTest tests[MOST_TESTS];
    const pio_driver *driver;
    int n = 0;
    for (int i = 0; (driver = pio_driver_at(i)); i++) {
        char why[256] = "";
        int n_devices = driver->count(why, sizeof why);
        if (!n_devices) fprintf(stderr, "%s: left out: %s\n", pio_backend_name(driver->backend), why);
        for (int index = 0; index < n_devices; index++) {
            pio_device_caps caps;
            pio_error error = {0};
            if (driver->describe(index, &caps, why, sizeof why, &error) || why[0])
                fprintf(stderr, "%s:%d: left out: %s%s\n", pio_backend_name(driver->backend), index, why, error.text);
            else
                n = list_checks(driver, index, checks, n_checks, starts, n);
        }
    }
    for (int i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){.name = starts[i].name, .test_func = run_check, .initial_state = &starts[i]};
    return _cmocka_run_group_tests("hal", tests, (size_t)n, NULL, NULL);
}

/* ---- transfers ---- */

pio_buffer *test_hal_buffer(test_device *t, uint64_t bytes, uint32_t usage) {
    pio_error error = {0};
    pio_buffer *buffer;
    if (pio_buffer_create(t->device, bytes, usage, "test buffer", &buffer, &error)) fail_msg("%s", error.text);
    return buffer;
}

uint64_t test_hal_submit(test_device *t, pio_list *list) {
    uint64_t number;
    assert_int_equal(pio_list_end(list, NULL), PIO_OK);
    assert_int_equal(pio_queue_submit(t->queue, &list, 1, &number, NULL), PIO_OK);
    assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
    return number;
}

static void copy(test_device *t, pio_addr to, pio_addr from, uint64_t bytes) {
    pio_list *list;
    assert_int_equal(pio_list_create(t->device, false, &list, NULL), PIO_OK);
    assert_int_equal(pio_list_copy(list, to, from, bytes, NULL), PIO_OK);
    test_hal_submit(t, list);
    pio_list_destroy(list);
}

void test_hal_upload(test_device *t, pio_addr to, const void *data, uint64_t bytes) {
    pio_buffer *staging = test_hal_buffer(t, bytes, PIO_BUFFER_UPLOAD);
    void *host;
    assert_int_equal(pio_buffer_map(staging, &host, NULL), PIO_OK);
    memcpy(host, data, bytes);
    assert_int_equal(pio_buffer_flush(staging, 0, bytes, NULL), PIO_OK);
    copy(t, to, staging->address, bytes);
    pio_buffer_destroy(staging);
}

void test_hal_download(test_device *t, pio_addr from, void *data, uint64_t bytes) {
    pio_buffer *staging = test_hal_buffer(t, bytes, PIO_BUFFER_READBACK);
    void *host;
    assert_int_equal(pio_buffer_map(staging, &host, NULL), PIO_OK);
    memset(data, 0xa5, bytes);
    copy(t, staging->address, from, bytes);
    assert_int_equal(pio_buffer_invalidate(staging, 0, bytes, NULL), PIO_OK);
    memcpy(data, host, bytes);
    pio_buffer_destroy(staging);
}

unsigned char *test_hal_bytes(test_device *t, size_t bytes) {
    unsigned char *data = malloc(bytes);
    assert_non_null(data);
    for (size_t i = 0; i < bytes; i++) data[i] = (unsigned char)test_random_u64(&t->random);
    return data;
}

/* ---- kernels ---- */

enum { TILE = 64 };

static void reverse(const void *args, pio_worker *worker) {
    const test_reverse_args *a = args;
    const uint32_t *from = (const uint32_t *)(uintptr_t)a->from;
    uint32_t *to = (uint32_t *)(uintptr_t)a->to;
    for (uint32_t first; (first = (uint32_t)pio_worker_take(worker) * TILE) < a->n;)
        for (uint32_t i = first; i < first + TILE && i < a->n; i++) to[i] = from[a->n - 1 - i] + a->value;
}

/* Counts tiles into its scratch first, which must be the worker's own. */
static void count(const void *args, pio_worker *worker) {
    const test_count_args *a = args;
    uint32_t *mine = worker->scratch;
    *mine = 0;
    while ((uint32_t)pio_worker_take(worker) < a->n_tiles) *mine += a->value;
    atomic_fetch_add((_Atomic uint32_t *)(uintptr_t)a->to, *mine);
}

#if PIO_HAS_VULKAN
extern const pio_code pio_spv_test_reverse, pio_spv_test_count;
#define CODE(name) .code = &pio_spv_test_##name, .entry = "main"
#else
#define CODE(name) .entry = "main"
#endif

pio_module *test_hal_module(test_device *t) {
    const pio_kernel_desc kernels[TEST_N_KERNELS] = {
        [TEST_KERNEL_REVERSE] = {.name = "reverse",
                                 .function = reverse,
                                 CODE(reverse),
                                 .args_bytes = sizeof(test_reverse_args)},
        [TEST_KERNEL_COUNT] = {.name = "count", .function = count, CODE(count), .args_bytes = sizeof(test_count_args)}};
    const pio_module_desc desc = {.name = "test kernels", .kernels = kernels, .n_kernels = TEST_N_KERNELS};
    pio_module *module;
    assert_int_equal(pio_module_create(t->device, &desc, &module, NULL), PIO_OK);
    return module;
}
