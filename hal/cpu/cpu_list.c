#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "hal/cpu/cpu.h"

pio_status cpu_list_create(pio_device *device, bool replayed, pio_list **out, pio_error *error) {
    (void)replayed;
    cpu_list *list = calloc(1, sizeof *list);
    if (!list) return pio_fail_memory(error, "a command list", sizeof *list);
    list->base.device = device;
    *out = &list->base;
    return PIO_OK;
}

void cpu_list_destroy(pio_list *base) {
    cpu_list *list = (cpu_list *)base;
    free(list->commands);
    free(list->counters);
    free(list);
}

static pio_status add(pio_list *base, const cpu_command *command, pio_error *error) {
    cpu_list *list = (cpu_list *)base;
    cpu_command *added = PIO_PUSH(list, commands);
    if (!added) return pio_fail_memory(error, "a command list", sizeof *added * (size_t)list->n_commands);
    *added = *command;
    return PIO_OK;
}

pio_status cpu_list_copy(pio_list *list, pio_addr to, pio_addr from, uint64_t bytes, pio_error *error) {
    return add(list, &(cpu_command){.kind = CPU_COPY, .to = to, .from = from, .bytes = bytes}, error);
}

pio_status cpu_list_fill(pio_list *list, pio_addr to, uint32_t value, uint64_t bytes, pio_error *error) {
    return add(list, &(cpu_command){.kind = CPU_FILL, .to = to, .value = value, .bytes = bytes}, error);
}

pio_status cpu_list_dispatch(pio_list *list, pio_kernel *kernel, const uint32_t groups[3], const void *args,
                             size_t args_bytes, pio_error *error) {
    (void)groups; /* CPU kernels count their tiles themselves */
    cpu_command command = {.kind = CPU_DISPATCH, .function = ((cpu_kernel *)kernel)->function};
    memcpy(command.args, args, args_bytes);
    return add(list, &command, error);
}

pio_status cpu_list_barrier(pio_list *list, pio_error *error) {
    return add(list, &(cpu_command){.kind = CPU_BARRIER}, error);
}

pio_status cpu_list_end(pio_list *base, pio_error *error) {
    cpu_list *list = (cpu_list *)base;
    size_t bytes = sizeof *list->counters * (size_t)PIO_MAX(1, list->n_commands);
    list->counters = aligned_alloc(64, bytes);
    return list->counters ? PIO_OK : pio_fail_memory(error, "a command list", bytes);
}

/* This worker's share of [0, bytes), in whole cache lines. */
static void share(uint64_t bytes, const pio_worker *worker, uint64_t *from, uint64_t *to) {
    uint64_t each = PIO_ROUND_UP(PIO_CEIL_DIV(bytes, (uint64_t)worker->n_workers), 64u);
    *from = PIO_MIN(bytes, each * (uint64_t)worker->index);
    *to = PIO_MIN(bytes, *from + each);
}

static void run_command(const cpu_command *command, pio_worker *worker, pio_barrier *barrier) {
    uint64_t from, to;
    switch (command->kind) {
    case CPU_DISPATCH:
        command->function(command->args, worker);
        return;
    case CPU_BARRIER:
        pio_barrier_wait(barrier);
        return;
    case CPU_COPY:
        share(command->bytes, worker, &from, &to);
        memmove((char *)(uintptr_t)command->to + from, (const char *)(uintptr_t)command->from + from, to - from);
        return;
    case CPU_FILL:
        share(command->bytes / 4, worker, &from, &to);
        for (uint64_t i = from; i < to; i++) ((uint32_t *)(uintptr_t)command->to)[i] = command->value;
        return;
    }
}

static void replay(void *context, int index, int n_workers) {
    cpu_list *list = context;
    cpu_device *device = (cpu_device *)list->base.device;
    pio_worker worker = {.index = index,
                         .n_workers = n_workers,
                         .scratch = device->scratch + (size_t)index * PIO_WORKER_SCRATCH_BYTES,
                         .scratch_bytes = PIO_WORKER_SCRATCH_BYTES,
                         .reads_far = device->reads_far};
    for (int32_t i = 0; i < list->n_commands; i++) {
        worker.next = &list->counters[i].next;
        worker.taken = false;
        run_command(&list->commands[i], &worker, &device->barrier);
    }
}

void cpu_list_run(cpu_list *list) {
    for (int32_t i = 0; i < list->n_commands; i++)
        atomic_store_explicit(&list->counters[i].next, 0, memory_order_relaxed);
    pio_pool_run(((cpu_device *)list->base.device)->pool, replay, list);
}
