/* Every driver: command lists, queues, order. Devices and memory are in test_hal.c. */
#include "tests/support/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/hal.h"

static pio_list *begin(test_device *t, bool replayed) {
    pio_list *list;
    assert_int_equal(pio_list_create(t->device, replayed, &list, NULL), PIO_OK);
    return list;
}

static void copy(pio_list *list, pio_addr to, pio_addr from, uint64_t bytes) {
    assert_int_equal(pio_list_copy(list, to, from, bytes, NULL), PIO_OK);
}

static void barrier(pio_list *list) {
    assert_int_equal(pio_list_barrier(list, NULL), PIO_OK);
}

/* ---- copies, fills, writes ---- */

/* Pieces of random sizes to random places, compared with the host's own copy of the buffer, byte by byte. */
static void copies_move_their_bytes_only(test_device *t) {
    enum { BYTES = 300000, COPIES = 40 };
    unsigned char *source = test_hal_bytes(t, BYTES), *wanted = test_hal_bytes(t, BYTES),
                  *out = test_hal_bytes(t, BYTES);
    pio_buffer *from = test_hal_buffer(t, BYTES, 0), *to = test_hal_buffer(t, BYTES, 0);
    test_hal_upload(t, from->address, source, BYTES);
    test_hal_upload(t, to->address, wanted, BYTES);
    pio_list *list = begin(t, false);
    for (int i = 0; i < COPIES; i++) {
        uint64_t most = i % 2 ? 100 : BYTES / 2, bytes = 1 + test_random_below(&t->random, most);
        uint64_t a = test_random_below(&t->random, BYTES - bytes + 1),
                 b = test_random_below(&t->random, BYTES - bytes + 1);
        copy(list, to->address + b, from->address + a, bytes);
        barrier(list); /* the pieces overlap each other */
        memcpy(wanted + b, source + a, bytes);
    }
    test_hal_submit(t, list);
    test_hal_download(t, to->address, out, BYTES);
    assert_memory_equal(out, wanted, BYTES);
    test_hal_download(t, from->address, out, BYTES);
    assert_memory_equal(out, source, BYTES);
    pio_list_destroy(list);
    pio_buffer_destroy(from);
    pio_buffer_destroy(to);
    free(source);
    free(wanted);
    free(out);
}

static void impossible_copies_are_refused(test_device *t) {
    pio_buffer *buffer = test_hal_buffer(t, 4096, 0);
    const pio_addr a = buffer->address;
    pio_list *list = begin(t, true);
    assert_int_equal(pio_list_copy(list, a, a + 64, 0, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_copy(list, 0, a, 64, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_copy(list, a, 0, 64, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_copy(list, a, a, 1, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_copy(list, a + 63, a, 64, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_copy(list, a, a + 63, 64, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_copy(list, a, a + 64, 64, NULL), PIO_OK);
    assert_int_equal(pio_list_copy(list, a + 128, a + 64, 64, NULL), PIO_OK);
    pio_list_destroy(list);
    pio_buffer_destroy(buffer);
}

static void fills_fill_their_words_only(test_device *t) {
    enum { WORDS = 50000 };
    uint32_t *wanted = (uint32_t *)test_hal_bytes(t, 4 * WORDS), *out = (uint32_t *)test_hal_bytes(t, 4 * WORDS);
    pio_buffer *buffer = test_hal_buffer(t, 4 * WORDS, 0);
    const pio_addr a = buffer->address;
    test_hal_upload(t, a, wanted, 4 * WORDS);
    pio_list *list = begin(t, false);
    for (int i = 0; i < 20; i++) {
        uint64_t n = 1 + test_random_below(&t->random, i % 2 ? 20 : WORDS / 3),
                 first = test_random_below(&t->random, WORDS - n + 1);
        uint32_t value = (uint32_t)test_random_u64(&t->random);
        assert_int_equal(pio_list_fill(list, a + 4 * first, value, 4 * n, NULL), PIO_OK);
        barrier(list);
        for (uint64_t j = 0; j < n; j++) wanted[first + j] = value;
    }
    assert_int_equal(pio_list_fill(list, a, 1, 0, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_fill(list, a, 1, 6, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_fill(list, a + 2, 1, 4, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_fill(list, 0, 1, 4, NULL), PIO_INVALID_ARGUMENT);
    test_hal_submit(t, list);
    test_hal_download(t, a, out, 4 * WORDS);
    assert_memory_equal(out, wanted, 4 * WORDS);
    pio_list_destroy(list);
    pio_buffer_destroy(buffer);
    free(wanted);
    free(out);
}

/* A write takes the data at the call, and stands between the submissions around it. */
static void writes_are_ordered(test_device *t) {
    enum { MOST = 64 << 10, ROUNDS = 20 };
    pio_buffer *buffer = test_hal_buffer(t, MOST, 0), *log = test_hal_buffer(t, 4 * ROUNDS, 0);
    uint32_t seen[ROUNDS], values[ROUNDS], value;
    pio_list *lists[ROUNDS];
    uint64_t number = 0;
    for (int i = 0; i < ROUNDS; i++) {
        lists[i] = begin(t, false);
        copy(lists[i], log->address + 4 * (uint64_t)i, buffer->address, 4);
        assert_int_equal(pio_list_end(lists[i], NULL), PIO_OK);
        value = values[i] = (uint32_t)test_random_u64(&t->random);
        assert_int_equal(pio_queue_write(t->queue, buffer->address, &value, sizeof value, NULL), PIO_OK);
        value = ~value;
        assert_int_equal(pio_queue_submit(t->queue, &lists[i], 1, &number, NULL), PIO_OK);
    }
    assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
    test_hal_download(t, log->address, seen, sizeof seen);
    assert_memory_equal(seen, values, sizeof seen);
    unsigned char *in = test_hal_bytes(t, MOST), *out = test_hal_bytes(t, MOST);
    assert_int_equal(pio_queue_write(t->queue, buffer->address, in, MOST, NULL), PIO_OK);
    assert_int_equal(pio_queue_write(t->queue, buffer->address, in, MOST + 1, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_queue_write(t->queue, buffer->address, in, 0, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_queue_write(t->queue, 0, in, 1, NULL), PIO_INVALID_ARGUMENT);
    test_hal_download(t, buffer->address, out, MOST);
    assert_memory_equal(in, out, MOST);
    for (int i = 0; i < ROUNDS; i++) pio_list_destroy(lists[i]);
    pio_buffer_destroy(buffer);
    pio_buffer_destroy(log);
    free(in);
    free(out);
}

/* ---- lists ---- */

static void lists_end_once(test_device *t) {
    pio_buffer *buffer = test_hal_buffer(t, 256, 0);
    const pio_addr a = buffer->address;
    uint64_t number = 7;
    pio_error error = {0};
    pio_list *list = begin(t, true);
    assert_int_equal(pio_queue_submit(t->queue, &list, 1, &number, &error), PIO_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "not ended"));
    assert_int_equal(number, 0);
    assert_int_equal(pio_queue_submit(t->queue, &list, 0, &number, NULL), PIO_INVALID_ARGUMENT);
    test_hal_submit(t, list); /* without commands */
    assert_int_equal(pio_list_end(list, &error), PIO_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "has ended"));
    assert_int_equal(pio_list_copy(list, a, a + 64, 64, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_fill(list, a, 0, 64, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_barrier(list, NULL), PIO_INVALID_ARGUMENT);
    pio_list_destroy(list);
    list = begin(t, true);
    assert_int_equal(pio_list_fill(list, a, 0, 64, NULL), PIO_OK);
    pio_list_destroy(list); /* while it is being recorded */
    pio_buffer_destroy(buffer);
}

static void one_time_lists_run_once(test_device *t) {
    pio_list *list = begin(t, false);
    uint64_t number;
    test_hal_submit(t, list);
    assert_int_equal(pio_queue_submit(t->queue, &list, 1, &number, NULL), PIO_INVALID_ARGUMENT);
    pio_list_destroy(list);
}

/* Each replay moves a ring of words on by one: the answer tells how often it ran. */
static void lists_are_replayed(test_device *t) {
    enum { WORDS = 7, REPLAYS = 100 };
    uint32_t words[WORDS], out[WORDS];
    pio_buffer *ring = test_hal_buffer(t, sizeof words, 0), *spare = test_hal_buffer(t, sizeof words, 0);
    pio_list *list = begin(t, true);
    copy(list, spare->address + 4, ring->address, sizeof words - 4);
    copy(list, spare->address, ring->address + sizeof words - 4, 4);
    barrier(list);
    copy(list, ring->address, spare->address, sizeof words);
    assert_int_equal(pio_list_end(list, NULL), PIO_OK);
    for (int i = 0; i < WORDS; i++) words[i] = (uint32_t)test_random_u64(&t->random);
    test_hal_upload(t, ring->address, words, sizeof words);
    uint64_t number;
    for (int i = 0; i < REPLAYS; i += 2) {
        pio_list *const twice[] = {list, list};
        assert_int_equal(pio_queue_submit(t->queue, twice, 2, &number, NULL), PIO_OK);
    }
    assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
    test_hal_download(t, ring->address, out, sizeof out);
    for (int i = 0; i < WORDS; i++) assert_int_equal(out[(i + REPLAYS) % WORDS], words[i]);
    pio_list_destroy(list);
    pio_buffer_destroy(ring);
    pio_buffer_destroy(spare);
}

/* A chain through places that each copy but the last needs ordered behind the one before it. */
static void barriers_order_copies(test_device *t) {
    enum { BYTES = 70001, LINKS = 30 };
    pio_buffer *buffers[3];
    unsigned char *in = test_hal_bytes(t, BYTES), *out = test_hal_bytes(t, BYTES);
    for (int i = 0; i < 3; i++) buffers[i] = test_hal_buffer(t, BYTES, 0);
    test_hal_upload(t, buffers[0]->address, in, BYTES);
    pio_list *lists[2];
    for (int l = 0; l < 2; l++) { /* and one list stands behind the other without a barrier at their seam */
        lists[l] = begin(t, false);
        for (int i = 0; i < LINKS; i++) {
            int at = l * LINKS + i;
            if (i) barrier(lists[l]);
            copy(lists[l], buffers[(at + 1) % 3]->address + 1, buffers[at % 3]->address, BYTES - 1);
            copy(lists[l], buffers[(at + 1) % 3]->address, buffers[at % 3]->address + BYTES - 1, 1);
        }
        assert_int_equal(pio_list_end(lists[l], NULL), PIO_OK);
    }
    uint64_t number;
    assert_int_equal(pio_queue_submit(t->queue, lists, 2, &number, NULL), PIO_OK);
    assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
    test_hal_download(t, buffers[2 * LINKS % 3]->address, out, BYTES);
    for (int i = 0; i < BYTES; i++) assert_int_equal(out[(i + 2 * LINKS) % BYTES], in[i]);
    for (int l = 0; l < 2; l++) pio_list_destroy(lists[l]);
    for (int i = 0; i < 3; i++) pio_buffer_destroy(buffers[i]);
    free(in);
    free(out);
}

/* ---- queues ---- */

static void submissions_are_numbered(test_device *t) {
    pio_queue *other;
    pio_list *list = begin(t, true);
    uint64_t number, ns;
    assert_int_equal(pio_list_end(list, NULL), PIO_OK);
    assert_int_equal(pio_queue_wait(t->queue, 0, UINT64_MAX, NULL), PIO_OK);
    assert_int_equal(pio_queue_wait(t->queue, 1, UINT64_MAX, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_queue_elapsed(t->queue, 0, &ns, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_queue_elapsed(t->queue, 1, &ns, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_queue_create(t->device, PIO_QUEUE_TRANSFER, &other, NULL), PIO_OK);
    for (uint64_t i = 1; i <= 5; i++) {
        assert_int_equal(pio_queue_submit(t->queue, &list, 1, &number, NULL), PIO_OK);
        assert_int_equal(number, i);
        assert_int_equal(pio_queue_wait(t->queue, i, UINT64_MAX, NULL), PIO_OK);
        assert_int_equal(pio_queue_wait(t->queue, 1, UINT64_MAX, NULL), PIO_OK); /* long done */
        assert_int_equal(pio_queue_elapsed(t->queue, i, &ns, NULL), PIO_OK);
    }
    assert_int_equal(pio_queue_wait(t->queue, 6, UINT64_MAX, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_queue_submit(other, &list, 1, &number, NULL), PIO_OK);
    assert_int_equal(number, 1); /* each queue counts its own */
    assert_int_equal(pio_queue_wait(other, number, UINT64_MAX, NULL), PIO_OK);
    pio_queue_destroy(other);
    pio_list_destroy(list);
}

typedef struct waiter {
    pio_queue *queue;
    uint64_t number;
    pio_status status;
} waiter;

static void *wait_there(void *user) {
    waiter *w = user;
    w->status = pio_queue_wait(w->queue, w->number, UINT64_MAX, NULL);
    return NULL;
}

/* The second thread waits while the first submits on. */
static void another_thread_may_wait(test_device *t) {
    pio_buffer *buffer = test_hal_buffer(t, 1 << 16, 0);
    pio_list *list = begin(t, true);
    uint64_t number;
    assert_int_equal(pio_list_fill(list, buffer->address, 3, 1 << 16, NULL), PIO_OK);
    assert_int_equal(pio_list_end(list, NULL), PIO_OK);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        assert_int_equal(pio_queue_submit(t->queue, &list, 1, &number, NULL), PIO_OK);
        waiter w = {t->queue, number, PIO_INTERNAL};
        assert_int_equal(pthread_create(&thread, NULL, wait_there, &w), 0);
        for (int j = 0; j < 5; j++) assert_int_equal(pio_queue_submit(t->queue, &list, 1, &number, NULL), PIO_OK);
        pthread_join(thread, NULL);
        assert_int_equal(w.status, PIO_OK);
    }
    assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
    pio_list_destroy(list);
    pio_buffer_destroy(buffer);
}

/* ---- dispatches ---- */

static void impossible_dispatches_are_refused(test_device *t) {
    pio_module *module = test_hal_module(t);
    pio_kernel *kernel = pio_module_kernel(module, TEST_KERNEL_COUNT);
    const test_count_args args = {0};
    pio_list *list = begin(t, true);
    const uint32_t one[3] = {1, 1, 1};
    pio_error error = {0};
    assert_int_equal(pio_list_dispatch(list, NULL, one, &args, sizeof args, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_list_dispatch(list, kernel, one, &args, sizeof args - 4, &error), PIO_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "12 bytes"));
    for (int i = 0; i < 3; i++) {
        uint32_t groups[3] = {1, 1, 1};
        groups[i] = 0;
        assert_int_equal(pio_list_dispatch(list, kernel, groups, &args, sizeof args, NULL), PIO_INVALID_ARGUMENT);
    }
    assert_int_equal(pio_list_dispatch(list, kernel, one, &args, sizeof args, NULL), PIO_OK);
    assert_int_equal(pio_list_end(list, NULL), PIO_OK);
    assert_int_equal(pio_list_dispatch(list, kernel, one, &args, sizeof args, NULL), PIO_INVALID_ARGUMENT);
    pio_list_destroy(list);
    pio_module_destroy(module);
}

/* Word i of each link comes from word n-1-i of the one before, which another worker wrote. The arguments are
 * overwritten after each call. */
static void barriers_order_kernels(test_device *t) {
    enum { WORDS = 5000, LINKS = 51, REPLAYS = 20 };
    uint32_t *in = (uint32_t *)test_hal_bytes(t, 4 * WORDS), *out = (uint32_t *)test_hal_bytes(t, 4 * WORDS);
    pio_buffer *buffers[2] = {test_hal_buffer(t, 4 * WORDS, 0), test_hal_buffer(t, 4 * WORDS, 0)};
    pio_module *module = test_hal_module(t);
    pio_list *list = begin(t, true);
    uint32_t sum = 0;
    for (int i = 0; i < LINKS; i++) {
        test_reverse_args args = {buffers[(i + 1) % 2]->address, buffers[i % 2]->address, WORDS, (uint32_t)i * 77};
        if (i) barrier(list);
        assert_int_equal(pio_list_dispatch(list, pio_module_kernel(module, TEST_KERNEL_REVERSE), (uint32_t[]){1, 1, 1},
                                           &args, sizeof args, NULL),
                         PIO_OK);
        memset(&args, 0xff, sizeof args);
        sum += (uint32_t)i * 77;
    }
    assert_int_equal(pio_list_end(list, NULL), PIO_OK);
    for (int i = 0; i < REPLAYS; i++) {
        uint64_t number;
        test_hal_upload(t, buffers[0]->address, in, 4 * WORDS);
        assert_int_equal(pio_queue_submit(t->queue, &list, 1, &number, NULL), PIO_OK);
        assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
        test_hal_download(t, buffers[LINKS % 2]->address, out, 4 * WORDS);
        for (int j = 0; j < WORDS; j++) assert_int_equal(out[j], in[WORDS - 1 - j] + sum);
        in[test_random_below(&t->random, WORDS)]++;
    }
    pio_list_destroy(list);
    pio_module_destroy(module);
    for (int i = 0; i < 2; i++) pio_buffer_destroy(buffers[i]);
    free(in);
    free(out);
}

/* Dispatches without a barrier between them each have a tile counter of their own, and every tile is taken once. */
static void tiles_are_taken_once(test_device *t) {
    enum { DISPATCHES = 40 };
    pio_buffer *sums = test_hal_buffer(t, 4 * DISPATCHES, 0);
    pio_module *module = test_hal_module(t);
    uint32_t wanted[DISPATCHES], out[DISPATCHES];
    pio_list *list = begin(t, true);
    assert_int_equal(pio_list_fill(list, sums->address, 5, sizeof wanted, NULL), PIO_OK);
    barrier(list);
    for (uint32_t i = 0; i < DISPATCHES; i++) {
        const test_count_args args = {sums->address + 4 * i, 1 + i, (uint32_t)test_random_below(&t->random, 1000)};
        assert_int_equal(pio_list_dispatch(list, pio_module_kernel(module, TEST_KERNEL_COUNT), (uint32_t[]){1, 1, 1},
                                           &args, sizeof args, NULL),
                         PIO_OK);
        wanted[i] = 5 + args.value * args.n_tiles;
    }
    assert_int_equal(pio_list_end(list, NULL), PIO_OK);
    for (int i = 0; i < 50; i++) {
        uint64_t number;
        assert_int_equal(pio_queue_submit(t->queue, &list, 1, &number, NULL), PIO_OK);
        assert_int_equal(pio_queue_wait(t->queue, number, UINT64_MAX, NULL), PIO_OK);
        test_hal_download(t, sums->address, out, sizeof out);
        assert_memory_equal(out, wanted, sizeof out);
    }
    pio_list_destroy(list);
    pio_module_destroy(module);
    pio_buffer_destroy(sums);
}

int main(void) {
#define CHECK(name)                                                                                                    \
    { #name, name, false }
#define COMPUTES(name)                                                                                                 \
    { #name, name, true }
    static const test_check checks[] = {
        CHECK(copies_move_their_bytes_only),
        CHECK(impossible_copies_are_refused),
        CHECK(fills_fill_their_words_only),
        CHECK(writes_are_ordered),
        CHECK(lists_end_once),
        CHECK(one_time_lists_run_once),
        CHECK(lists_are_replayed),
        CHECK(barriers_order_copies),
        CHECK(submissions_are_numbered),
        CHECK(another_thread_may_wait),
        CHECK(impossible_dispatches_are_refused),
        COMPUTES(barriers_order_kernels),
        COMPUTES(tiles_are_taken_once),
    };
    return test_hal_run(checks, (int)PIO_COUNT(checks));
}
