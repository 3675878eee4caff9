/* Memory. */
#include <stdlib.h>

#include "base/compiler.h"
#include "hal/null/null.h"

/* Here: what the runtime says is free now; other programs use the device too. */
pio_status null_memory_budget(pio_device *base, pio_memory_budget *budget, pio_error *error) {
    (void)error;
    budget->total_bytes = null_memory_bytes;
    budget->free_bytes = null_memory_bytes - ((null_device *)base)->used_bytes;
    return PIO_OK;
}

/* Here: allocate on the device, and take the address that kernels will see. It must never move. `usage` says from which
 * heap; `name` is for errors and debuggers. */
pio_status null_buffer_create(pio_device *base, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **out,
                              pio_error *error) {
    (void)usage;
    null_device *device = (null_device *)base;
    uint64_t taken = PIO_ROUND_UP(bytes, (uint64_t)NULL_ALIGNMENT), free_bytes = null_memory_bytes - device->used_bytes;
    if (taken > free_bytes)
        return pio_fail(error, PIO_OUT_OF_MEMORY, "'%s' needs %.1f MB and %.1f MB are free", name, (double)bytes / 1e6,
                        (double)free_bytes / 1e6);
    null_buffer *buffer = calloc(1, sizeof *buffer);
    if (!buffer) return pio_fail_memory(error, name, sizeof *buffer);
    buffer->memory = aligned_alloc(NULL_ALIGNMENT, taken);
    if (!buffer->memory) {
        free(buffer);
        return pio_fail_memory(error, name, bytes);
    }
    buffer->base = (pio_buffer){.device = base, .address = (pio_addr)(uintptr_t)buffer->memory, .bytes = bytes};
    buffer->taken_bytes = taken;
    device->used_bytes += taken;
    *out = &buffer->base;
    return PIO_OK;
}

void null_buffer_destroy(pio_buffer *base) {
    null_buffer *buffer = (null_buffer *)base;
    ((null_device *)base->device)->used_bytes -= buffer->taken_bytes;
    free(buffer->memory);
    free(buffer);
}

/* Only buffers that may be mapped come here. Here: map once and keep the pointer; mapping twice gives it again. */
pio_status null_buffer_map(pio_buffer *base, void **host, pio_error *error) {
    (void)error;
    *host = ((null_buffer *)base)->memory;
    return PIO_OK;
}

/* Here: make what the host wrote visible to the device, where the heap is not coherent. */
pio_status null_buffer_flush(pio_buffer *base, uint64_t offset, uint64_t bytes, pio_error *error) {
    (void)base, (void)offset, (void)bytes, (void)error;
    return PIO_OK;
}

/* Here: make what the device wrote visible to the host, where the heap is not coherent. */
pio_status null_buffer_invalidate(pio_buffer *base, uint64_t offset, uint64_t bytes, pio_error *error) {
    (void)base, (void)offset, (void)bytes, (void)error;
    return PIO_OK;
}
