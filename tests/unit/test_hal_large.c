/* Every driver: what is large, many or slow. Lists and queues are in test_hal_queue.c, devices in test_hal.c. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "tests/support/hal.h"

enum { MIB = 1 << 20 };

static pio_list *begin(test_device *t, bool replayed) {
    pio_list *list;
    assert_int_equal(pio_list_create(t->device, replayed, &list, NULL), PIO_OK);
    return list;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Larger than the 128 MiB that a Vulkan device may bind at once: every byte of it is copied, and kernels reach both
 * ends of it. */
static void a_buffer_may_be_larger_than_what_can_be_bound(test_device *t) {
    enum { BYTES = 160 * MIB, PART = 70 * MIB, WORDS = 4096, PROBES = 200 };
    pio_buffer *large = test_hal_buffer(t, BYTES, 0);
    unsigned char *in = test_hal_bytes(t, PART / 10), *out = test_hal_bytes(t, PART / 10);
    const pio_addr last = large->address + BYTES - PART;
    pio_list *list = begin(t, false);
    for (int i = 0; i < 10; i++) test_hal_upload(t, large->address + (uint64_t)i * (PART / 10), in, PART / 10);
    assert_int_equal(pio_list_copy(list, last, large->address, PART, NULL), PIO_OK);
    test_hal_submit(t, list);
    for (int i = 0; i < 10; i++) {
        test_hal_download(t, last + (uint64_t)i * (PART / 10), out, PART / 10);
        assert_memory_equal(out, in, PART / 10);
    }
    pio_list_destroy(list);
    if (t->caps.computes) {
        pio_module *module = test_hal_module(t);
        const test_reverse_args args = {large->address + 4, large->address + BYTES - 4 * WORDS, WORDS, 1};
        list = begin(t, false);
        assert_int_equal(pio_list_dispatch(list, pio_module_kernel(module, TEST_KERNEL_REVERSE), (uint32_t[]){1, 1, 1},
                                           &args, sizeof args, NULL),
                         PIO_OK);
        test_hal_submit(t, list);
        test_hal_download(t, large->address + 4, out, 4 * WORDS);
        const uint32_t *got = (const uint32_t *)out, *from = (const uint32_t *)(in + PART / 10) - WORDS;
        for (int i = 0; i < WORDS; i++) assert_int_equal(got[i], from[WORDS - 1 - i] + 1);
        pio_list_destroy(list);
        pio_module_destroy(module);
    }
    pio_buffer_destroy(large);
    free(in);
    free(out);
}

/* More than any ring of staging memory holds, in pieces of all sizes up to the largest, with lists between that copy
 * what was just written; nobody waits before the end. */
static void writes_may_be_more_than_are_kept_ready(test_device *t) {
    enum { WRITES = 400, MOST = 64 << 10, ROOM = WRITES * MOST };
    pio_buffer *to = test_hal_buffer(t, ROOM, 0), *log = test_hal_buffer(t, 4 * WRITES, 0);
    unsigned char *wanted = test_hal_bytes(t, ROOM), *out = test_hal_bytes(t, ROOM);
    uint32_t seen[WRITES], first[WRITES];
    pio_list *lists[WRITES];
    uint64_t number = 0, at = 0;
    for (int i = 0; i < WRITES; i++) {
        const uint64_t bytes = i % 3 ? 4 + test_random_below(&t->random, MOST - 3) : MOST;
        lists[i] = begin(t, false);
        assert_int_equal(pio_list_copy(lists[i], log->address + 4 * (uint64_t)i, to->address + at, 4, NULL), PIO_OK);
        assert_int_equal(pio_list_end(lists[i], NULL), PIO_OK);
        memcpy(&first[i], wanted + at, 4);
        assert_int_equal(pio_queue_write(t->queue, to->address + at, wanted + at, bytes, NULL), PIO_OK);
        if (i % 2) assert_int_equal(pio_queue_submit(t->queue, lists + i - 1, 2, &number, NULL), PIO_OK);
        at += bytes;
    }
    assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
    test_hal_download(t, log->address, seen, sizeof seen);
    assert_memory_equal(seen, first, sizeof seen);
    test_hal_download(t, to->address, out, at);
    assert_memory_equal(out, wanted, at);
    for (int i = 0; i < WRITES; i++) pio_list_destroy(lists[i]);
    pio_buffer_destroy(to);
    pio_buffer_destroy(log);
    free(wanted);
    free(out);
}

/* Each list copies the word before its own, so that the last word tells of all of them in order. */
static void many_lists_run_in_their_order(test_device *t) {
    enum { LISTS = 300 };
    uint32_t words[LISTS + 1];
    pio_buffer *buffer = test_hal_buffer(t, sizeof words, 0);
    pio_list *lists[LISTS];
    uint64_t number;
    memset(words, 0, sizeof words);
    words[0] = (uint32_t)test_random_u64(&t->random);
    test_hal_upload(t, buffer->address, words, sizeof words);
    for (uint64_t i = 0; i < LISTS; i++) {
        lists[i] = begin(t, false);
        assert_int_equal(pio_list_copy(lists[i], buffer->address + 4 * (i + 1), buffer->address + 4 * i, 4, NULL),
                         PIO_OK);
        assert_int_equal(pio_list_end(lists[i], NULL), PIO_OK);
    }
    assert_int_equal(pio_queue_submit(t->queue, lists, LISTS, &number, NULL), PIO_OK);
    assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
    const uint32_t first = words[0];
    test_hal_download(t, buffer->address, words, sizeof words);
    for (int i = 0; i <= LISTS; i++) assert_int_equal(words[i], first);
    for (int i = 0; i < LISTS; i++) pio_list_destroy(lists[i]);
    pio_buffer_destroy(buffer);
}

/* A wait that is given no time ends without an error of the device's, and the work is done later; its device time is
 * no longer than it took. */
static void waits_end_in_time(test_device *t) {
    enum { BYTES = 32 * MIB, FILLS = 10, TRIES = 50 };
    pio_buffer *buffer = test_hal_buffer(t, BYTES, 0);
    pio_list *list = begin(t, true);
    bool ran_out = false;
    for (uint32_t i = 0; i < FILLS; i++) {
        assert_int_equal(pio_list_fill(list, buffer->address, i, BYTES, NULL), PIO_OK);
        assert_int_equal(pio_list_barrier(list, NULL), PIO_OK);
    }
    assert_int_equal(pio_list_end(list, NULL), PIO_OK);
    for (int i = 0; i < TRIES && (!i || (t->caps.asynchronous && !ran_out)); i++) {
        uint64_t number, ns;
        pio_error error = {0};
        const uint64_t start = now_ns();
        assert_int_equal(pio_queue_submit(t->queue, &list, 1, &number, NULL), PIO_OK);
        const pio_status status = pio_queue_wait(t->queue, number, i % 2, &error);
        assert_true(status == PIO_OK || status == PIO_LIMIT);
        assert_int_equal(status == PIO_OK, error.text[0] == 0);
        ran_out = status == PIO_LIMIT;
        assert_int_equal(pio_device_status(t->device, NULL), PIO_OK);
        assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
        const uint64_t took = now_ns() - start;
        assert_int_equal(pio_queue_elapsed(t->queue, number, &ns, NULL), PIO_OK);
        if (ns > took + took / 10)
            fail_msg("%llu ns on the device in %llu", (unsigned long long)ns, (unsigned long long)took);
        if (t->caps.computes) assert_true(ns > 0);
    }
    assert_int_equal(ran_out, t->caps.asynchronous);
    pio_list_destroy(list);
    pio_buffer_destroy(buffer);
}

/* What is taken is no longer free, where the device's memory is its own, and what is given back is. */
static void the_budget_follows_what_is_taken(test_device *t) {
    enum { BYTES = 64 * MIB, MANY = 8 };
    pio_memory_budget before, taken, after;
    pio_buffer *buffers[MANY];
    assert_int_equal(pio_device_memory_budget(t->device, &before, NULL), PIO_OK);
    for (int i = 0; i < MANY; i++) buffers[i] = test_hal_buffer(t, BYTES, 0);
    assert_int_equal(pio_device_memory_budget(t->device, &taken, NULL), PIO_OK);
    for (int i = 0; i < MANY; i++) pio_buffer_destroy(buffers[i]);
    assert_int_equal(pio_device_memory_budget(t->device, &after, NULL), PIO_OK);
    assert_true(before.total_bytes == taken.total_bytes && taken.total_bytes == after.total_bytes);
    assert_true(taken.free_bytes <= taken.total_bytes && after.free_bytes <= after.total_bytes);
    if (t->caps.host_visible) return; /* shared with every process of the machine */
    assert_true(taken.free_bytes <= before.free_bytes - (uint64_t)MANY * BYTES);
    assert_true(after.free_bytes > taken.free_bytes);
}

int main(void) {
#define CHECK(name)                                                                                                    \
    { #name, name, false }
    static const test_check checks[] = {
        CHECK(a_buffer_may_be_larger_than_what_can_be_bound),
        CHECK(writes_may_be_more_than_are_kept_ready),
        CHECK(many_lists_run_in_their_order),
        CHECK(waits_end_in_time),
        CHECK(the_budget_follows_what_is_taken),
    };
    return test_hal_run(checks, (int)PIO_COUNT(checks));
}
