/* Submissions run at once, on the caller's thread and its group. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hal/cpu/cpu.h"

pio_status cpu_queue_create(pio_device *device, pio_queue_kind kind, pio_queue **out, pio_error *error) {
    (void)kind;
    cpu_queue *queue = calloc(1, sizeof *queue);
    if (!queue) return pio_fail_memory(error, "a queue", sizeof *queue);
    queue->base.device = device;
    *out = &queue->base;
    return PIO_OK;
}

void cpu_queue_destroy(pio_queue *queue) {
    free(queue);
}

pio_status cpu_queue_write(pio_queue *queue, pio_addr to, const void *data, uint64_t bytes, pio_error *error) {
    (void)queue, (void)error;
    memcpy((void *)(uintptr_t)to, data, bytes);
    return PIO_OK;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

pio_status cpu_queue_submit(pio_queue *base, pio_list *const *lists, int n_lists, uint64_t *number, pio_error *error) {
    (void)error;
    cpu_queue *queue = (cpu_queue *)base;
    uint64_t start = now_ns();
    for (int i = 0; i < n_lists; i++) cpu_list_run((cpu_list *)lists[i]);
    queue->elapsed_ns = now_ns() - start;
    *number = ++base->last_number;
    return PIO_OK;
}

pio_status cpu_queue_wait(pio_queue *queue, uint64_t number, uint64_t timeout_ns, pio_error *error) {
    (void)queue, (void)number, (void)timeout_ns, (void)error;
    return PIO_OK;
}

pio_status cpu_queue_elapsed(pio_queue *base, uint64_t number, uint64_t *ns, pio_error *error) {
    if (number != base->last_number)
        return pio_fail(error, PIO_LIMIT, "the CPU remembers the time of its newest submission only");
    *ns = ((cpu_queue *)base)->elapsed_ns;
    return PIO_OK;
}
