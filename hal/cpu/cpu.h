/* The CPU as a device: a module is a table of C functions, a list an array of commands that the workers walk together.
 */
#ifndef PIO_HAL_CPU_CPU_H
#define PIO_HAL_CPU_CPU_H

#include "base/threads.h"
#include "hal/hal.h"

typedef struct cpu_device {
    pio_device base;
    pio_pool *pool;
    pio_barrier barrier; /* where the workers of a replay meet */
    uint32_t features;
    bool reads_far; /* of pio_worker */
    char *scratch;  /* PIO_WORKER_SCRATCH_BYTES a worker */
} cpu_device;

typedef struct cpu_buffer {
    pio_buffer base;
    void *memory;
    uint64_t mapped_bytes;
} cpu_buffer;

typedef struct cpu_kernel {
    pio_kernel base;
    pio_cpu_function function;
    const char *name; /* borrowed from the module */
} cpu_kernel;

typedef struct cpu_module {
    pio_module base;
    cpu_kernel kernels[];
} cpu_module;

typedef enum cpu_command_kind { CPU_DISPATCH, CPU_COPY, CPU_FILL, CPU_BARRIER } cpu_command_kind;

typedef struct cpu_command {
    cpu_command_kind kind;
    uint32_t value;            /* fill */
    pio_cpu_function function; /* dispatch */
    pio_addr to, from;         /* copy, fill */
    uint64_t bytes;
    PIO_ALIGNED(16) char args[PIO_ARGS_MAX_BYTES];
} cpu_command;

/* A tile counter in a cache line of its own. */
typedef struct cpu_counter {
    PIO_ALIGNED(64) atomic_int next;
} cpu_counter;

typedef struct cpu_list {
    pio_list base;
    cpu_command *commands;
    int32_t n_commands, commands_capacity;
    cpu_counter *counters; /* [n_commands], made when the list ends */
} cpu_list;

typedef struct cpu_queue {
    pio_queue base;
    uint64_t elapsed_ns; /* of the newest submission */
} cpu_queue;

/* Instruction sets that this CPU and its operating system offer: pio_feature bits. */
uint32_t cpu_detect_features(void);

pio_status cpu_buffer_create(pio_device *, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **,
                             pio_error *);
void cpu_buffer_destroy(pio_buffer *);
pio_status cpu_buffer_map(pio_buffer *, void **host, pio_error *);
pio_status cpu_buffer_sync(pio_buffer *, uint64_t offset, uint64_t bytes, pio_error *);
pio_status cpu_memory_budget(pio_device *, pio_memory_budget *, pio_error *);

pio_status cpu_module_create(pio_device *, const pio_module_desc *, pio_module **, pio_error *);
void cpu_module_destroy(pio_module *);
pio_kernel *cpu_module_kernel(pio_module *, int index);

pio_status cpu_list_create(pio_device *, bool replayed, pio_list **, pio_error *);
void cpu_list_destroy(pio_list *);
pio_status cpu_list_copy(pio_list *, pio_addr to, pio_addr from, uint64_t bytes, pio_error *);
pio_status cpu_list_fill(pio_list *, pio_addr to, uint32_t value, uint64_t bytes, pio_error *);
pio_status cpu_list_dispatch(pio_list *, pio_kernel *, const uint32_t groups[3], const void *args, size_t, pio_error *);
pio_status cpu_list_barrier(pio_list *, pio_error *);
pio_status cpu_list_end(pio_list *, pio_error *);
void cpu_list_run(cpu_list *list);

pio_status cpu_queue_create(pio_device *, pio_queue_kind, pio_queue **, pio_error *);
void cpu_queue_destroy(pio_queue *);
pio_status cpu_queue_write(pio_queue *, pio_addr to, const void *data, uint64_t bytes, pio_error *);
pio_status cpu_queue_submit(pio_queue *, pio_list *const *, int n_lists, uint64_t *number, pio_error *);
pio_status cpu_queue_wait(pio_queue *, uint64_t number, uint64_t timeout_ns, pio_error *);
pio_status cpu_queue_elapsed(pio_queue *, uint64_t number, uint64_t *ns, pio_error *);

#endif
