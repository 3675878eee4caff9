/* Command lists. Here: a command buffer, or a graph captured from a private stream. Everything that a replay needs is
 * allocated while recording: replaying allocates nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "hal/null/null.h"

/* `replayed` lists are submitted again and again and are worth optimising; the others run once. */
pio_status null_list_create(pio_device *device, bool replayed, pio_list **out, pio_error *error) {
    (void)replayed;
    null_list *list = calloc(1, sizeof *list);
    if (!list) return pio_fail_memory(error, "a command list", sizeof *list);
    list->base.device = device;
    *out = &list->base;
    return PIO_OK;
}

void null_list_destroy(pio_list *base) {
    null_list *list = (null_list *)base;
    free(list->commands);
    free(list);
}

static pio_status add(pio_list *base, const null_command *command, pio_error *error) {
    null_list *list = (null_list *)base;
    null_command *added = PIO_PUSH(list, commands);
    if (!added) return pio_fail_memory(error, "a command list", sizeof *added * (size_t)list->n_commands);
    *added = *command;
    return PIO_OK;
}

pio_status null_list_copy(pio_list *list, pio_addr to, pio_addr from, uint64_t bytes, pio_error *error) {
    return add(list, &(null_command){.kind = NULL_COPY, .to = to, .from = from, .bytes = bytes}, error);
}

pio_status null_list_fill(pio_list *list, pio_addr to, uint32_t value, uint64_t bytes, pio_error *error) {
    return add(list, &(null_command){.kind = NULL_FILL, .to = to, .value = value, .bytes = bytes}, error);
}

/* Here: keep the arguments too, which are the caller's only until this returns. */
pio_status null_list_dispatch(pio_list *list, pio_kernel *kernel, const uint32_t groups[3], const void *args,
                              size_t args_bytes, pio_error *error) {
    (void)kernel, (void)groups, (void)args, (void)args_bytes;
    return add(list, &(null_command){.kind = NULL_DISPATCH}, error);
}

/* Here: what follows waits for, and sees, all that the list did before. */
pio_status null_list_barrier(pio_list *list, pio_error *error) {
    return add(list, &(null_command){.kind = NULL_BARRIER}, error);
}

pio_status null_list_end(pio_list *list, pio_error *error) {
    (void)list, (void)error;
    return PIO_OK;
}

void null_list_run(const null_list *list) {
    for (int32_t i = 0; i < list->n_commands; i++) {
        const null_command *command = &list->commands[i];
        char *to = (char *)(uintptr_t)command->to;
        if (command->kind == NULL_COPY) memcpy(to, (const char *)(uintptr_t)command->from, command->bytes);
        for (uint64_t at = 0; command->kind == NULL_FILL && at < command->bytes; at += sizeof command->value)
            memcpy(to + at, &command->value, sizeof command->value);
    }
}
