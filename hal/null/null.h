/* The null device: the whole driver interface without a device behind it. Memory is real, so copies, fills and ordered
 * writes happen; dispatches are recorded and checked, and compute nothing. It runs tests of graphs, plans and
 * recording, and it is where a new backend starts:
 *
 *   1. Clone this folder to hal/<name>/ and rename null_ to <name>_.
 *   2. Replace what the comments marked "Here:" describe, one file at a time; hal.c has checked the arguments.
 *   3. Add the backend's line to hal/backends.def, or make the 0 of the one that is there a 1.
 *   4. Run tests/unit/test_hal.c, which finds it through the registry.
 *   5. Add kernel rows, a family at a time: the families' .def files and a row macro in kernels/rows.c.
 *
 * The null device is strict where real ones differ: plain device memory cannot be mapped, lists run at submission, and
 * memory is counted against a fixed size. */
#ifndef PIO_HAL_NULL_NULL_H
#define PIO_HAL_NULL_NULL_H

#include "hal/hal.h"

/* Fixed, so that a plan made here is the same on every machine. */
static const uint64_t null_memory_bytes = UINT64_C(64) << 30;

enum { NULL_ALIGNMENT = 256 };

/* Each struct embeds the interface's first, so that one pointer is both. */
typedef struct null_device {
    pio_device base;
    uint32_t features;
    int n_workers;
    uint64_t used_bytes; /* by the buffers that live */
} null_device;

typedef struct null_buffer {
    pio_buffer base;
    void *memory;
    uint64_t taken_bytes; /* of the device's */
} null_buffer;

typedef struct null_module {
    pio_module base;
    pio_kernel kernels[]; /* [base.n_kernels] */
} null_module;

typedef enum null_command_kind { NULL_COPY, NULL_FILL, NULL_DISPATCH, NULL_BARRIER } null_command_kind;

typedef struct null_command {
    null_command_kind kind;
    uint32_t value; /* fill */
    pio_addr to, from;
    uint64_t bytes;
} null_command;

typedef struct null_list {
    pio_list base;
    null_command *commands;
    int32_t n_commands, commands_capacity;
} null_list;

/* null_buffer.c */
pio_status null_buffer_create(pio_device *, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **,
                              pio_error *);
void null_buffer_destroy(pio_buffer *);
pio_status null_buffer_map(pio_buffer *, void **host, pio_error *);
pio_status null_buffer_flush(pio_buffer *, uint64_t offset, uint64_t bytes, pio_error *);
pio_status null_buffer_invalidate(pio_buffer *, uint64_t offset, uint64_t bytes, pio_error *);
pio_status null_memory_budget(pio_device *, pio_memory_budget *, pio_error *);

/* null_module.c */
pio_status null_module_create(pio_device *, const pio_module_desc *, pio_module **, pio_error *);
void null_module_destroy(pio_module *);
pio_kernel *null_module_kernel(pio_module *, int index);

/* null_list.c */
pio_status null_list_create(pio_device *, bool replayed, pio_list **, pio_error *);
void null_list_destroy(pio_list *);
pio_status null_list_copy(pio_list *, pio_addr to, pio_addr from, uint64_t bytes, pio_error *);
pio_status null_list_fill(pio_list *, pio_addr to, uint32_t value, uint64_t bytes, pio_error *);
pio_status null_list_dispatch(pio_list *, pio_kernel *, const uint32_t groups[3], const void *args, size_t args_bytes,
                              pio_error *);
pio_status null_list_barrier(pio_list *, pio_error *);
pio_status null_list_end(pio_list *, pio_error *);
void null_list_run(const null_list *list);

/* null_queue.c */
pio_status null_queue_create(pio_device *, pio_queue_kind, pio_queue **, pio_error *);
void null_queue_destroy(pio_queue *);
pio_status null_queue_write(pio_queue *, pio_addr to, const void *data, uint64_t bytes, pio_error *);
pio_status null_queue_submit(pio_queue *, pio_list *const *, int n_lists, uint64_t *number, pio_error *);
pio_status null_queue_wait(pio_queue *, uint64_t number, uint64_t timeout_ns, pio_error *);
pio_status null_queue_elapsed(pio_queue *, uint64_t number, uint64_t *ns, pio_error *);

#endif
