/* The way into device memory that is not mapped, on every device: ranges of pieces that several threads fill arrive
 * where they were sent, and nothing else is touched. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/threads.h"
#include "engine/upload.h"
#include "tests/support/hal.h"

enum { WORKERS = 4, SENDS = 24, RANGES = 3, RANGE_BYTES = 3000, GAP_BYTES = 64 };
enum { N_RANGES = WORKERS * SENDS * RANGES, SLOT_BYTES = RANGE_BYTES + GAP_BYTES, ALL_BYTES = N_RANGES * SLOT_BYTES };

/* What all threads send: range i begins at to[i] and has n[i] bytes (none, sometimes) of `source` from the same place
 * on. */
typedef struct job {
    pio_upload *upload;
    pio_addr base;
    const unsigned char *source;
    uint32_t to[N_RANGES], n[N_RANGES];
    pio_status status[WORKERS];
} job;

static void send_all(void *context, int worker, int n_workers) {
    job *j = context;
    assert_int_equal(n_workers, WORKERS);
    for (int i = 0; i < SENDS && !j->status[worker]; i++) {
        pio_upload_range ranges[RANGES];
        uint64_t end = 0;
        void *piece;
        j->status[worker] = pio_upload_take(j->upload, worker, &piece, NULL);
        if (j->status[worker]) return;
        for (int r = 0; r < RANGES; r++) {
            const int at = (worker * SENDS + i) * RANGES + r;
            ranges[r] = (pio_upload_range){j->base + j->to[at], end, j->n[at]};
            memcpy((char *)piece + end, j->source + j->to[at], j->n[at]);
            end += j->n[at] + (uint64_t)(at % 5);
        }
        j->status[worker] = pio_upload_send(j->upload, worker, ranges, RANGES, NULL);
    }
}

static void what_threads_send_arrives(test_device *t) {
    static job j;
    pio_pool *pool;
    pio_error error = {0};
    unsigned char *source = test_hal_bytes(t, ALL_BYTES), *wanted = test_hal_bytes(t, ALL_BYTES),
                  *out = test_hal_bytes(t, ALL_BYTES);
    pio_buffer *buffer = test_hal_buffer(t, ALL_BYTES, PIO_BUFFER_DEVICE);
    test_hal_upload(t, buffer->address, wanted, ALL_BYTES);
    memset(&j, 0, sizeof j);
    j.base = buffer->address;
    j.source = source;
    for (int i = 0; i < N_RANGES; i++) {
        j.to[i] = (uint32_t)(i * SLOT_BYTES) + (uint32_t)test_random_below(&t->random, GAP_BYTES);
        j.n[i] = (uint32_t)test_random_below(&t->random, RANGE_BYTES + 1);
        if (i % RANGES == 0 && !j.n[i]) j.n[i] = 1; /* a send has a range with bytes */
        if (i % RANGES && test_random_below(&t->random, 4) == 0) j.n[i] = 0;
        memcpy(wanted + j.to[i], source + j.to[i], j.n[i]);
    }
    assert_int_equal(pio_pool_create(WORKERS, &pool, NULL), PIO_OK);
    if (pio_upload_create(t->device, WORKERS, RANGES * (RANGE_BYTES + 5), &j.upload, &error))
        fail_msg("%s", error.text);
    pio_pool_run(pool, send_all, &j);
    for (int i = 0; i < WORKERS; i++) assert_int_equal(j.status[i], PIO_OK);
    assert_int_equal(pio_upload_finish(j.upload, NULL), PIO_OK);
    pio_upload_destroy(j.upload);
    pio_pool_destroy(pool);
    test_hal_download(t, buffer->address, out, ALL_BYTES);
    assert_memory_equal(out, wanted, ALL_BYTES);
    pio_buffer_destroy(buffer);
    free(source);
    free(wanted);
    free(out);
}

static void a_lost_device_ends_it(test_device *t) {
    pio_device *device = test_hal_open(t, &(pio_driver_options){.n_threads = 1});
    pio_buffer *buffer;
    pio_upload *upload;
    pio_error error = {0};
    void *piece;
    assert_int_equal(pio_buffer_create(device, 4096, PIO_BUFFER_DEVICE, "b", &buffer, NULL), PIO_OK);
    assert_int_equal(pio_upload_create(device, 2, 4096, &upload, NULL), PIO_OK);
    const pio_upload_range range = {buffer->address, 0, 4096};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pio_upload_take(upload, 1, &piece, NULL), PIO_OK);
        memset(piece, i, 4096);
        assert_int_equal(pio_upload_send(upload, 1, &range, 1, NULL), PIO_OK);
    }
    assert_int_equal(pio_upload_finish(upload, NULL), PIO_OK);
    atomic_store(&device->lost, true);
    assert_int_equal(pio_upload_send(upload, 1, &range, 1, &error), PIO_DEVICE_LOST);
    assert_true(strlen(error.text) > 0);
    assert_int_equal(pio_upload_take(upload, 0, &piece, NULL), PIO_DEVICE_LOST);
    assert_int_equal(pio_upload_finish(upload, NULL), PIO_DEVICE_LOST);
    pio_upload_destroy(upload);
    pio_buffer_destroy(buffer);
    assert_int_equal(pio_upload_create(device, 2, 4096, &upload, &error), PIO_DEVICE_LOST);
    assert_null(upload);
    pio_device_destroy(device);
}

static void more_than_there_is_is_refused(test_device *t) {
    pio_upload *upload;
    pio_error error = {0};
    assert_int_equal(pio_upload_create(t->device, 16, UINT64_C(1) << 44, &upload, &error), PIO_OUT_OF_MEMORY);
    assert_null(upload);
    assert_non_null(strstr(error.text, "staging of weights"));
}

int main(void) {
    const test_check checks[] = {
        {"what threads send arrives", what_threads_send_arrives, false},
        {"a lost device ends it", a_lost_device_ends_it, false},
        {"more than there is is refused", more_than_there_is_is_refused, false},
    };
    return test_hal_run(checks, (int)PIO_COUNT(checks));
}
