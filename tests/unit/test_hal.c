/* Every driver: devices, memory, modules. Lists and queues are in test_hal_queue.c. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "tests/support/hal.h"

static void caps_describe_the_device(test_device *t) {
    pio_device_caps described;
    char why[256] = "?";
    assert_int_equal(t->driver->describe(t->index, &described, why, sizeof why, NULL), PIO_OK);
    assert_string_equal(why, "");
    assert_int_equal(described.backend, t->driver->backend);
    assert_int_equal(t->caps.backend, t->driver->backend);
    assert_string_equal(described.name, t->caps.name);
    assert_true(strlen(t->caps.name) > 0 && strlen(t->caps.detail) > 0);
    assert_true(t->caps.n_workers >= 1 && t->caps.subgroup_size >= 1);
    assert_true(t->caps.buffer_alignment >= 16 && !(t->caps.buffer_alignment & (t->caps.buffer_alignment - 1)));
    assert_true(t->caps.max_buffer_bytes >= 1 << 30);
    assert_int_equal(pio_device_status(t->device, NULL), PIO_OK);
    assert_null(pio_device_extension(t->device, "what no device has"));
}

static void options_out_of_range_are_refused(test_device *t) {
    char why[256];
    const int n = t->driver->count(why, sizeof why);
    const struct {
        int index, n_threads;
        const char *named;
    } cases[] = {{-1, 0, "-1"}, {n, 0, "no device"}, {0, -1, "-1 threads"}, {0, PIO_MAX_THREADS + 1, "1025 threads"}};
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_error error = {0};
        pio_device *device = t->device;
        const pio_driver_options options = {.n_threads = cases[i].n_threads};
        assert_int_equal(pio_device_create(t->driver, cases[i].index, &options, &device, &error), PIO_INVALID_ARGUMENT);
        assert_null(device);
        assert_non_null(strstr(error.text, cases[i].named));
    }
}

static void features_can_be_left_alone(test_device *t) {
    for (uint32_t bit = 1; bit; bit <<= 1) {
        pio_device_caps caps;
        pio_device *device = test_hal_open(t, &(pio_driver_options){.n_threads = 1, .features_off = bit});
        pio_device_get_caps(device, &caps);
        assert_int_equal(caps.features, t->caps.features & ~bit);
        pio_device_destroy(device);
    }
}

static void nothing_can_be_destroyed(test_device *t) {
    (void)t;
    pio_device_destroy(NULL);
    pio_buffer_destroy(NULL);
    pio_module_destroy(NULL);
    pio_list_destroy(NULL);
    pio_queue_destroy(NULL);
}

/* ---- buffers ---- */

static void buffers_are_aligned_and_apart(test_device *t) {
    static const uint64_t sizes[] = {1,     63, 64, 65, 4095, 4097, 1000000 - 1, 2 << 20, (2 << 20) + 1, (5 << 20) - 3,
                                     100000};
    pio_buffer *buffers[PIO_COUNT(sizes)];
    for (size_t i = 0; i < PIO_COUNT(sizes); i++) {
        buffers[i] = test_hal_buffer(t, sizes[i], i % 4);
        assert_int_equal(buffers[i]->bytes, sizes[i]);
        assert_true(buffers[i]->address && buffers[i]->address % t->caps.buffer_alignment == 0);
        for (size_t j = 0; j < i; j++)
            assert_true(buffers[i]->address >= buffers[j]->address + sizes[j] ||
                        buffers[j]->address >= buffers[i]->address + sizes[i]);
    }
    for (size_t i = 0; i < PIO_COUNT(sizes); i++) pio_buffer_destroy(buffers[i]);
}

static void whole_buffers_hold_their_bytes(test_device *t) {
    static const uint64_t sizes[] = {1, 77, 4097, (2 << 20) + 1};
    for (size_t i = 0; i < PIO_COUNT(sizes); i++) {
        pio_buffer *buffer = test_hal_buffer(t, sizes[i], PIO_BUFFER_DEVICE);
        unsigned char *in = test_hal_bytes(t, sizes[i]), *out = test_hal_bytes(t, sizes[i]);
        test_hal_upload(t, buffer->address, in, sizes[i]);
        test_hal_download(t, buffer->address, out, sizes[i]);
        assert_memory_equal(in, out, sizes[i]);
        free(in);
        free(out);
        pio_buffer_destroy(buffer);
    }
}

static void impossible_buffers_are_refused(test_device *t) {
    pio_error error = {0};
    pio_buffer *buffer = (pio_buffer *)t;
    assert_int_equal(pio_buffer_create(t->device, 0, 0, "b", &buffer, &error), PIO_INVALID_ARGUMENT);
    assert_null(buffer);
    buffer = (pio_buffer *)t;
    assert_int_equal(pio_buffer_create(t->device, 64, 4, "b", &buffer, &error), PIO_INVALID_ARGUMENT);
    assert_null(buffer);
}

static void too_much_memory_is_named(test_device *t) {
    pio_memory_budget before, after;
    pio_error error = {0};
    pio_buffer *buffer = (pio_buffer *)t;
    assert_int_equal(pio_device_memory_budget(t->device, &before, &error), PIO_OK);
    assert_true(before.total_bytes > 0 && before.free_bytes <= before.total_bytes);
    assert_int_equal(pio_buffer_create(t->device, UINT64_MAX, 0, "far too much", &buffer, &error), PIO_OUT_OF_MEMORY);
    assert_null(buffer);
    assert_non_null(strstr(error.text, "far too much"));
    assert_non_null(strstr(error.text, "18446744073709551615"));
    const uint64_t held = 4 << 20, asked = before.total_bytes - 1;
    if (asked > t->caps.max_buffer_bytes) return;
    char number[32];
    snprintf(number, sizeof number, "needs %.1f MB", (double)asked / 1e6);
    pio_buffer *some = test_hal_buffer(t, held, 0); /* now there is less than all of it */
    buffer = (pio_buffer *)t;
    assert_int_equal(pio_buffer_create(t->device, asked, 0, "too much", &buffer, &error), PIO_OUT_OF_MEMORY);
    assert_null(buffer);
    assert_non_null(strstr(error.text, "'too much'"));
    assert_non_null(strstr(error.text, number));
    assert_non_null(strstr(error.text, "MB are free"));
    pio_buffer_destroy(some);
    assert_int_equal(pio_device_memory_budget(t->device, &after, &error), PIO_OK);
    assert_int_equal(after.total_bytes, before.total_bytes);
    pio_buffer_destroy(test_hal_buffer(t, held, 0)); /* a refusal takes nothing away */
}

static void mappings_stay(test_device *t) {
    pio_error error = {0};
    void *first, *second;
    for (uint32_t usage = PIO_BUFFER_UPLOAD; usage < 4; usage++) {
        pio_buffer *buffer = test_hal_buffer(t, 1000, usage);
        assert_int_equal(pio_buffer_map(buffer, &first, &error), PIO_OK);
        assert_non_null(first);
        memset(first, 0x5a, 1000);
        assert_int_equal(pio_buffer_map(buffer, &second, &error), PIO_OK);
        assert_ptr_equal(first, second);
        pio_buffer_destroy(buffer);
    }
    pio_buffer *buffer = test_hal_buffer(t, 1000, PIO_BUFFER_DEVICE);
    pio_status wanted = t->caps.host_visible ? PIO_OK : PIO_INVALID_ARGUMENT;
    first = t;
    assert_int_equal(pio_buffer_map(buffer, &first, &error), wanted);
    assert_int_equal(first != NULL, t->caps.host_visible);
    pio_buffer_destroy(buffer);
}

/* Every device can be one whose memory is its own, and still be written through the other buffers. */
static void memory_can_be_left_unmapped(test_device *t) {
    pio_device *device = test_hal_open(t, &(pio_driver_options){.n_threads = 1, .unmapped = true});
    for (uint32_t usage = PIO_BUFFER_DEVICE; usage < 4; usage++) {
        pio_device_caps caps;
        pio_buffer *buffer;
        void *host;
        pio_device_get_caps(device, &caps);
        assert_false(caps.host_visible);
        assert_int_equal(pio_buffer_create(device, 1000, usage, "b", &buffer, NULL), PIO_OK);
        assert_int_equal(pio_buffer_map(buffer, &host, NULL), usage ? PIO_OK : PIO_INVALID_ARGUMENT);
        pio_buffer_destroy(buffer);
    }
    pio_device_destroy(device);
}

static void ranges_end_with_the_buffer(test_device *t) {
    pio_buffer *buffer = test_hal_buffer(t, 100, PIO_BUFFER_UPLOAD | PIO_BUFFER_READBACK);
    const struct {
        uint64_t offset, bytes;
        pio_status wanted;
    } cases[] = {{0, 100, PIO_OK},
                 {99, 1, PIO_OK},
                 {100, 0, PIO_OK},
                 {0, 0, PIO_OK},
                 {0, 101, PIO_INVALID_ARGUMENT},
                 {100, 1, PIO_INVALID_ARGUMENT},
                 {101, 0, PIO_INVALID_ARGUMENT},
                 {50, UINT64_MAX - 10, PIO_INVALID_ARGUMENT},
                 {UINT64_MAX, 2, PIO_INVALID_ARGUMENT}};
    void *host;
    assert_int_equal(pio_buffer_map(buffer, &host, NULL), PIO_OK);
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        assert_int_equal(pio_buffer_flush(buffer, cases[i].offset, cases[i].bytes, NULL), cases[i].wanted);
        assert_int_equal(pio_buffer_invalidate(buffer, cases[i].offset, cases[i].bytes, NULL), cases[i].wanted);
    }
    pio_buffer_destroy(buffer);
}

/* ---- modules ---- */

static void modules_hold_their_kernels(test_device *t) {
    pio_module *module = test_hal_module(t);
    pio_kernel *reverse = pio_module_kernel(module, TEST_KERNEL_REVERSE),
               *count = pio_module_kernel(module, TEST_KERNEL_COUNT);
    assert_true(reverse && count && reverse != count);
    assert_int_equal(reverse->args_bytes, sizeof(test_reverse_args));
    assert_int_equal(count->args_bytes, sizeof(test_count_args));
    assert_ptr_equal(pio_module_kernel(module, TEST_KERNEL_COUNT), count);
    assert_null(pio_module_kernel(module, -1));
    assert_null(pio_module_kernel(module, TEST_N_KERNELS));
    pio_module_destroy(module);
}

static void impossible_modules_are_refused(test_device *t) {
    pio_kernel_desc kernels[2] = {{.name = "good", .args_bytes = 8}, {.name = "bad", .args_bytes = 8}};
    pio_module_desc desc = {.name = "m", .kernels = kernels, .n_kernels = 0};
    pio_error error = {0};
    pio_module *module = (pio_module *)t;
    assert_int_equal(pio_module_create(t->device, &desc, &module, &error), PIO_INVALID_ARGUMENT);
    assert_null(module);
    desc.n_kernels = 2;
    for (int i = 0; i < 2; i++) {
        kernels[1].args_bytes = i ? PIO_ARGS_MAX_BYTES + 1 : 0;
        module = (pio_module *)t;
        assert_int_equal(pio_module_create(t->device, &desc, &module, &error), PIO_INVALID_ARGUMENT);
        assert_null(module);
        assert_non_null(strstr(error.text, "'bad'"));
    }
}

/* ---- devices ---- */

/* On a device that is lost, all calls say so at once, and what is left can be destroyed. */
static void a_lost_device_says_so(test_device *t) {
    pio_device *device = test_hal_open(t, &(pio_driver_options){.n_threads = 2});
    pio_buffer *buffer, *other_buffer;
    pio_list *open, *ended, *other_list;
    pio_queue *queue, *other_queue;
    pio_module *module;
    pio_memory_budget budget;
    void *host;
    uint64_t number;
    const pio_kernel_desc kernel = {.name = "k", .args_bytes = 8};
    const pio_module_desc desc = {.name = "m", .kernels = &kernel, .n_kernels = 1};
    assert_int_equal(pio_buffer_create(device, 256, PIO_BUFFER_UPLOAD, "b", &buffer, NULL), PIO_OK);
    assert_int_equal(pio_list_create(device, true, &open, NULL), PIO_OK);
    assert_int_equal(pio_list_create(device, true, &ended, NULL), PIO_OK);
    assert_int_equal(pio_list_fill(ended, buffer->address, 1, 256, NULL), PIO_OK);
    assert_int_equal(pio_list_end(ended, NULL), PIO_OK);
    assert_int_equal(pio_queue_create(device, PIO_QUEUE_COMPUTE, &queue, NULL), PIO_OK);
    assert_int_equal(pio_queue_submit(queue, &ended, 1, &number, NULL), PIO_OK);
    assert_int_equal(pio_queue_wait(queue, number, UINT64_MAX, NULL), PIO_OK);
    device->lost = true;
    const pio_addr at = buffer->address;
    const pio_status answers[] = {pio_device_status(device, NULL),
                                  pio_device_memory_budget(device, &budget, NULL),
                                  pio_buffer_create(device, 256, 0, "b", &other_buffer, NULL),
                                  pio_buffer_map(buffer, &host, NULL),
                                  pio_buffer_flush(buffer, 0, 1, NULL),
                                  pio_buffer_invalidate(buffer, 0, 1, NULL),
                                  pio_module_create(device, &desc, &module, NULL),
                                  pio_list_create(device, true, &other_list, NULL),
                                  pio_list_copy(open, at, at + 128, 64, NULL),
                                  pio_list_fill(open, at, 0, 64, NULL),
                                  pio_list_barrier(open, NULL),
                                  pio_list_end(open, NULL),
                                  pio_queue_create(device, PIO_QUEUE_COMPUTE, &other_queue, NULL),
                                  pio_queue_write(queue, at, "x", 1, NULL),
                                  pio_queue_submit(queue, &ended, 1, &number, NULL),
                                  pio_queue_wait(queue, 1, UINT64_MAX, NULL),
                                  pio_queue_elapsed(queue, 1, &number, NULL)};
    for (size_t i = 0; i < PIO_COUNT(answers); i++) assert_int_equal(answers[i], PIO_DEVICE_LOST);
    assert_true(!other_buffer && !module && !other_list && !other_queue && !host);
    pio_queue_destroy(queue);
    pio_list_destroy(ended);
    pio_list_destroy(open);
    pio_buffer_destroy(buffer);
    pio_device_destroy(device);
}

static void what_is_of_another_device_is_refused(test_device *t) {
    test_device other = *t;
    other.device = test_hal_open(t, &(pio_driver_options){.n_threads = 1});
    pio_module *module = test_hal_module(&other);
    const test_count_args args = {0};
    pio_list *mine, *theirs;
    uint64_t number = 7;
    assert_int_equal(pio_list_create(t->device, true, &mine, NULL), PIO_OK);
    assert_int_equal(pio_list_dispatch(mine, pio_module_kernel(module, TEST_KERNEL_COUNT), (uint32_t[]){1, 1, 1}, &args,
                                       sizeof args, NULL),
                     PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_create(other.device, true, &theirs, NULL), PIO_OK);
    assert_int_equal(pio_list_end(theirs, NULL), PIO_OK);
    assert_int_equal(pio_queue_submit(t->queue, &theirs, 1, &number, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(number, 0);
    pio_list_destroy(mine);
    pio_list_destroy(theirs);
    pio_module_destroy(module);
    pio_device_destroy(other.device);
}

int main(void) {
#define CHECK(name)                                                                                                    \
    { #name, name, false }
    static const test_check checks[] = {
        CHECK(caps_describe_the_device),
        CHECK(options_out_of_range_are_refused),
        CHECK(features_can_be_left_alone),
        CHECK(nothing_can_be_destroyed),
        CHECK(buffers_are_aligned_and_apart),
        CHECK(whole_buffers_hold_their_bytes),
        CHECK(impossible_buffers_are_refused),
        CHECK(too_much_memory_is_named),
        CHECK(mappings_stay),
        CHECK(memory_can_be_left_unmapped),
        CHECK(ranges_end_with_the_buffer),
        CHECK(modules_hold_their_kernels),
        CHECK(impossible_modules_are_refused),
        CHECK(a_lost_device_says_so),
        CHECK(what_is_of_another_device_is_refused),
    };
    return test_hal_run(checks, (int)PIO_COUNT(checks));
}
