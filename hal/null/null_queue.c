/* Queues. Here: a stream or a vendor's queue, and a fence or semaphore that counts submissions. */
#include <stdlib.h>
#include <string.h>

#include "hal/null/null.h"

/* A device without a transfer queue of its own gives its compute queue's kind for both. */
pio_status null_queue_create(pio_device *device, pio_queue_kind kind, pio_queue **out, pio_error *error) {
    (void)kind;
    pio_queue *queue = calloc(1, sizeof *queue);
    if (!queue) return pio_fail_memory(error, "a queue", sizeof *queue);
    queue->device = device;
    *out = queue;
    return PIO_OK;
}

/* Here: wait until all that was submitted is done. */
void null_queue_destroy(pio_queue *queue) {
    free(queue);
}

/* Here: copy `data` into memory that the device reads when the queue gets there. */
pio_status null_queue_write(pio_queue *queue, pio_addr to, const void *data, uint64_t bytes, pio_error *error) {
    (void)queue, (void)error;
    memcpy((void *)(uintptr_t)to, data, bytes);
    return PIO_OK;
}

/* Here: hand the lists to the device in one call and return at once; caps.asynchronous then says so. */
pio_status null_queue_submit(pio_queue *queue, pio_list *const *lists, int n_lists, uint64_t *number,
                             pio_error *error) {
    (void)error;
    for (int i = 0; i < n_lists; i++) null_list_run((const null_list *)lists[i]);
    *number = ++queue->last_number;
    return PIO_OK;
}

/* Here: PIO_LIMIT when the time is over, PIO_DEVICE_LOST when the device will never get there. */
pio_status null_queue_wait(pio_queue *queue, uint64_t number, uint64_t timeout_ns, pio_error *error) {
    (void)queue, (void)number, (void)timeout_ns, (void)error;
    return PIO_OK;
}

/* Here: the difference of two time stamps around the submission. Computing nothing takes no time. */
pio_status null_queue_elapsed(pio_queue *queue, uint64_t number, uint64_t *ns, pio_error *error) {
    (void)queue, (void)number, (void)error;
    *ns = 0;
    return PIO_OK;
}
