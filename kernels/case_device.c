/* Cases on a device: the row's side of every block goes there with its guards, is worked on, and comes back. */
#include <string.h>

#include "kernels/case_state.h"

/* Bytes of a block on the device: guard, data, guard; the data is aligned as buffers are. */
static uint64_t placed_bytes(const case_memory *memory) {
    return PIO_ROUND_UP((uint64_t)memory->bytes + 2 * CASE_GUARD_BYTES, CASE_GUARD_BYTES);
}

pio_status case_device_place(pio_case_builder *b, pio_error *error) {
    uint64_t bytes = 0, at = 0;
    for (int i = 0; i < b->n_blocks; i++) bytes += placed_bytes(&b->blocks[i].row);
    pio_status status = pio_buffer_create(b->device->device, bytes, PIO_BUFFER_UPLOAD | PIO_BUFFER_READBACK, "a case",
                                          &b->device_memory, error);
    for (int i = 0; i < b->n_blocks && !status; i++) {
        b->blocks[i].row_address = b->device_memory->address + at + CASE_GUARD_BYTES;
        at += placed_bytes(&b->blocks[i].row);
    }
    return status;
}

static pio_status move(pio_case_builder *b, bool to_device, pio_error *error) {
    void *host;
    pio_status status = pio_buffer_map(b->device_memory, &host, error);
    if (!status && !to_device) status = pio_buffer_invalidate(b->device_memory, 0, b->device_memory->bytes, error);
    for (int i = 0; i < b->n_blocks && !status; i++) {
        const case_block *block = &b->blocks[i];
        char *there = (char *)host + (block->row_address - b->device_memory->address) - CASE_GUARD_BYTES;
        char *here = block->row.data - CASE_GUARD_BYTES;
        const size_t bytes = (size_t)block->row.bytes + 2 * CASE_GUARD_BYTES;
        memcpy(to_device ? there : here, to_device ? here : there, bytes);
    }
    if (!status && to_device) status = pio_buffer_flush(b->device_memory, 0, b->device_memory->bytes, error);
    return status;
}

/* Poisoned, with a guard behind it. */
static pio_status make_scratch(pio_case_builder *b, uint64_t bytes, pio_buffer **out, pio_error *error) {
    void *host;
    pio_status status = pio_buffer_create(b->device->device, bytes + CASE_GUARD_BYTES,
                                          PIO_BUFFER_UPLOAD | PIO_BUFFER_READBACK, "a case's scratch", out, error);
    if (!status) status = pio_buffer_map(*out, &host, error);
    if (status) return status;
    memset(host, CASE_POISON, (size_t)(bytes + CASE_GUARD_BYTES));
    b->row_call.scratch = (*out)->address;
    return pio_buffer_flush(*out, 0, (*out)->bytes, error);
}

static pio_status check_scratch(pio_buffer *scratch, uint64_t bytes, pio_error *error) {
    void *host;
    pio_status status = pio_buffer_map(scratch, &host, error);
    if (!status) status = pio_buffer_invalidate(scratch, 0, scratch->bytes, error);
    for (uint64_t i = 0; i < CASE_GUARD_BYTES && !status; i++)
        if (((unsigned char *)host)[bytes + i] != CASE_POISON)
            status = pio_fail(error, PIO_INTERNAL, "it writes past its scratch");
    return status;
}

static pio_status run_list(const pio_case_builder *b, pio_error *error) {
    const pio_case_device *d = b->device;
    pio_list *list;
    uint64_t number;
    pio_status status = pio_list_create(d->device, false, &list, error);
    if (status) return status;
    status = pio_kernels_record(d->kernels, list, b->under_test, &b->row_call, error);
    if (!status) status = pio_list_end(list, error);
    if (!status) status = pio_queue_submit(d->queue, &list, 1, &number, error);
    if (!status) status = pio_queue_wait(d->queue, number, UINT64_MAX, error);
    pio_list_destroy(list);
    return status;
}

pio_status case_device_run(pio_case_builder *b, pio_error *error) {
    const uint64_t bytes = b->under_test->scratch ? b->under_test->scratch(&b->row_call) : 0;
    pio_buffer *scratch = NULL;
    pio_status status = bytes ? make_scratch(b, bytes, &scratch, error) : PIO_OK;
    if (!status) status = move(b, true, error);
    if (!status) status = run_list(b, error);
    if (!status) status = move(b, false, error);
    if (!status && bytes) status = check_scratch(scratch, bytes, error);
    pio_buffer_destroy(scratch);
    return status;
}
