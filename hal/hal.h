/* The hardware abstraction layer: devices, buffers, modules, command lists and queues, the same for all backends.
 *
 * A driver embeds `pio_device` first in its own struct and fills `ops`. hal.c checks the arguments once, so that
 * drivers need not. Objects belong to the device that made them and are destroyed before it. One thread uses a device
 * at a time; `pio_queue_wait` alone may come from others beside it. Once a call has returned PIO_DEVICE_LOST, every
 * later one does, and destroying still works. */
#ifndef PIO_HAL_HAL_H
#define PIO_HAL_HAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "hal/worker.h"

typedef uint64_t pio_addr; /* a device address; 0 is none */

typedef enum pio_backend {
#define PIO_BACKEND(NAME, name, built) PIO_BACKEND_##NAME,
#include "hal/backends.def"
#undef PIO_BACKEND
    PIO_BACKEND_COUNT
} pio_backend;

const char *pio_backend_name(pio_backend backend);

enum { PIO_ARGS_MAX_BYTES = 128 }; /* the largest argument struct of a kernel */

/* Features that a kernel row may require; what they mean is the backend's. */
typedef enum pio_feature {
    PIO_CPU_BASE = 0,        /* any x86-64 */
    PIO_CPU_AVX2 = 1 << 0,   /* with FMA, F16C, BMI2 */
    PIO_CPU_AVX512 = 1 << 1, /* F, BW, VL, DQ, CD and VNNI */
    PIO_CPU_AVX512BF16 = 1 << 2,
    PIO_CPU_AMX = 1 << 3, /* int8 and bf16 tiles, permission granted; only with AVX512BF16 */

    PIO_VULKAN_BASE = 0,          /* Vulkan 1.2 with buffer device addresses, 64-bit and 8-bit integers, subgroups */
    PIO_VULKAN_DOT8 = 1 << 0,     /* integer dot products of 4 x 8 bits, in hardware */
    PIO_VULKAN_MATRIX = 1 << 1,   /* cooperative matrices: float16 16 x 16 x 16, float32 sums, a subgroup each */
    PIO_VULKAN_SOFTWARE = 1 << 2, /* a processor, which tries the logic of kernels for matrices on plain numbers */
} pio_feature;

/* The name of a backend's feature, NULL for bits that have none. */
const char *pio_feature_name(pio_backend backend, uint32_t bit);

/* What a device is: the higher, the better a default it makes. */
typedef enum pio_device_kind {
    PIO_KIND_NONE,     /* computes nothing */
    PIO_KIND_SOFTWARE, /* runs on the processor, slower than the CPU backend */
    PIO_KIND_PROCESSOR,
    PIO_KIND_OTHER, /* a device whose driver does not say */
    PIO_KIND_VIRTUAL,
    PIO_KIND_INTEGRATED,
    PIO_KIND_DISCRETE,
    PIO_KIND_COUNT
} pio_device_kind;

const char *pio_device_kind_name(pio_device_kind kind);

/* Memory of one kind. */
typedef struct pio_heap {
    uint64_t bytes;
    bool local; /* the device's own */
} pio_heap;

enum { PIO_MAX_HEAPS = 16 };

typedef struct pio_device_caps {
    pio_backend backend;
    pio_device_kind kind;
    char name[128];    /* as a person knows the device */
    char detail[256];  /* instruction sets, threads, driver: one line */
    uint32_t features; /* pio_feature bits */
    bool computes;     /* false: dispatches do nothing (null) */
    bool host_visible; /* its memory is the host's, cached: any buffer can be mapped, and mapping costs nothing */
    bool asynchronous; /* submit returns before the work is done */
    int n_workers;     /* CPU: threads of the group; else the number of multiprocessors */
    int subgroup_size; /* 1 on the CPU */
    uint64_t max_buffer_bytes;
    uint32_t buffer_alignment; /* addresses of buffers are multiples of it */
    char driver[192];          /* its name and version; "": none of its own */
    uint64_t card;             /* where the device sits, equal through all backends; 0: unknown */
    pio_heap heaps[PIO_MAX_HEAPS];
    int n_heaps;
} pio_device_caps;

/* What the drivers use of pio_buffer_usage as an index. */
enum { PIO_BUFFER_USAGES = 4 };

typedef struct pio_memory_budget {
    uint64_t total_bytes, free_bytes; /* of the heap of PIO_BUFFER_DEVICE: what a new buffer may still take */
    pio_heap heaps[PIO_MAX_HEAPS];    /* as in the caps, their bytes what is free */
    int n_heaps;
    uint8_t heap_of[PIO_BUFFER_USAGES]; /* where buffers of a usage are put */
} pio_memory_budget;

typedef struct pio_device pio_device;
typedef struct pio_buffer pio_buffer;
typedef struct pio_module pio_module;
typedef struct pio_kernel pio_kernel;
typedef struct pio_list pio_list;
typedef struct pio_queue pio_queue;

typedef enum pio_buffer_usage {
    PIO_BUFFER_DEVICE = 0,        /* device memory; mappable only where caps say host_visible */
    PIO_BUFFER_UPLOAD = 1 << 0,   /* written by the host; without READBACK it may lie on the device, slow to read */
    PIO_BUFFER_READBACK = 1 << 1, /* read by the host: cached memory of the host's */
} pio_buffer_usage;

typedef enum pio_queue_kind { PIO_QUEUE_COMPUTE, PIO_QUEUE_TRANSFER } pio_queue_kind;

/* Code compiled for a device: SPIR-V, a fatbin or a code object. Kernels may share one. */
typedef struct pio_code {
    const void *bytes; /* 4-byte aligned */
    size_t n_bytes;
} pio_code;

/* One kernel of a module. The CPU runs `function`; the others load `entry` from `code`. */
typedef struct pio_kernel_desc {
    const char *name; /* the row's full name, for errors and traces */
    pio_cpu_function function;
    const pio_code *code; /* NULL on the CPU; outlives the module */
    const char *entry;
    const uint32_t *constants; /* specialisation constants 0, 1, ... */
    int n_constants;
    uint32_t subgroup_size; /* that it is written for; 0: any */
    uint32_t shared_bytes;  /* dynamic shared memory */
    uint32_t group[3];      /* threads in a group */
    uint32_t args_bytes;    /* size of its argument struct */
} pio_kernel_desc;

typedef struct pio_module_desc {
    const char *name; /* the op family */
    const pio_kernel_desc *kernels;
    int n_kernels;
} pio_module_desc;

typedef struct pio_device_ops {
    void (*destroy)(pio_device *);
    void (*caps)(pio_device *, pio_device_caps *);
    pio_status (*status)(pio_device *, pio_error *); /* PIO_OK, or PIO_DEVICE_LOST with its cause */
    pio_status (*memory_budget)(pio_device *, pio_memory_budget *, pio_error *);

    pio_status (*buffer_create)(pio_device *, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **,
                                pio_error *);
    void (*buffer_destroy)(pio_buffer *);
    pio_status (*buffer_map)(pio_buffer *, void **host, pio_error *); /* stays mapped until destroyed */
    pio_status (*buffer_flush)(pio_buffer *, uint64_t offset, uint64_t bytes, pio_error *);
    pio_status (*buffer_invalidate)(pio_buffer *, uint64_t offset, uint64_t bytes, pio_error *);

    pio_status (*module_create)(pio_device *, const pio_module_desc *, pio_module **, pio_error *);
    void (*module_destroy)(pio_module *);
    pio_kernel *(*module_kernel)(pio_module *, int index);

    pio_status (*list_create)(pio_device *, bool replayed, pio_list **, pio_error *);
    void (*list_destroy)(pio_list *);
    pio_status (*list_copy)(pio_list *, pio_addr to, pio_addr from, uint64_t bytes, pio_error *);
    pio_status (*list_fill)(pio_list *, pio_addr to, uint32_t value, uint64_t bytes, pio_error *);
    pio_status (*list_dispatch)(pio_list *, pio_kernel *, const uint32_t groups[3], const void *args, size_t args_bytes,
                                pio_error *);
    pio_status (*list_barrier)(pio_list *, pio_error *);
    pio_status (*list_end)(pio_list *, pio_error *);

    pio_status (*queue_create)(pio_device *, pio_queue_kind, pio_queue **, pio_error *);
    void (*queue_destroy)(pio_queue *);
    pio_status (*queue_write)(pio_queue *, pio_addr to, const void *data, uint64_t bytes, pio_error *);
    pio_status (*queue_submit)(pio_queue *, pio_list *const *lists, int n_lists, uint64_t *number, pio_error *);
    pio_status (*queue_wait)(pio_queue *, uint64_t number, uint64_t timeout_ns, pio_error *);
    pio_status (*queue_elapsed)(pio_queue *, uint64_t number, uint64_t *ns, pio_error *);

    void *(*extension)(pio_device *, const char *name);
} pio_device_ops;

struct pio_device {
    const pio_device_ops *ops;
    atomic_bool lost; /* set by the driver, for good */
    bool unmapped;    /* set by hal.c */
};
struct pio_buffer {
    pio_device *device;
    pio_addr address; /* never moves */
    uint64_t bytes;
    uint32_t usage; /* set by hal.c */
};
struct pio_module {
    pio_device *device;
    int n_kernels;
};
struct pio_kernel {
    pio_device *device;
    uint32_t args_bytes;
};
struct pio_list {
    pio_device *device;
    bool ended, replayed, submitted; /* set by hal.c */
};
struct pio_queue {
    pio_device *device;
    _Atomic uint64_t last_number; /* raised by the driver when a submission is made */
};

/* ---- devices ---- */

typedef struct pio_driver pio_driver;
typedef struct pio_driver_options pio_driver_options;

/* Creates device `index` of the driver. */
pio_status pio_device_create(const pio_driver *driver, int index, const pio_driver_options *options, pio_device **out,
                             pio_error *error);
void pio_device_destroy(pio_device *device);
void pio_device_get_caps(pio_device *device, pio_device_caps *caps);
pio_status pio_device_status(pio_device *device, pio_error *error);
pio_status pio_device_memory_budget(pio_device *device, pio_memory_budget *budget, pio_error *error);
void *pio_device_extension(pio_device *device, const char *name); /* NULL where the device has none of that name */

/* The extension "messages" of devices whose runtime checks how it is used (Vulkan, under its validation layer). */
typedef struct pio_device_messages {
    int n;           /* warnings and errors so far */
    char last[1024]; /* the newest */
} pio_device_messages;

/* The extension "compiled" of devices that compile kernels as they are loaded: what was compiled, to be kept in a file
 * for the next start. */
typedef struct pio_device_compiled {
    char key[80]; /* of the device and its driver: what is kept serves no other; letters, digits and '-' */
    /* Takes what was kept, before the first kernel is made. What the driver does not like, it passes over. */
    void (*restore)(pio_device *, const void *bytes, size_t n_bytes);
    /* Gives all that is compiled now, to be freed by the caller; 0 bytes where nothing is new since the last call. */
    pio_status (*save)(pio_device *, void **bytes, size_t *n_bytes, pio_error *);
} pio_device_compiled;

/* ---- buffers ---- contents are undefined until written. Mapping a buffer again gives the same pointer. What the host
 * wrote is flushed before it is submitted, and what the device wrote is invalidated before the host reads it. */
pio_status pio_buffer_create(pio_device *device, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **out,
                             pio_error *error);
void pio_buffer_destroy(pio_buffer *buffer);
pio_status pio_buffer_map(pio_buffer *buffer, void **host, pio_error *error);
pio_status pio_buffer_flush(pio_buffer *buffer, uint64_t offset, uint64_t bytes, pio_error *error);
pio_status pio_buffer_invalidate(pio_buffer *buffer, uint64_t offset, uint64_t bytes, pio_error *error);

/* ---- modules ---- kernels live as long as their module */
pio_status pio_module_create(pio_device *device, const pio_module_desc *desc, pio_module **out, pio_error *error);
void pio_module_destroy(pio_module *module);
pio_kernel *pio_module_kernel(pio_module *module, int index);

/* ---- command lists ---- recorded once, ended, then submitted any number of times (`replayed`) or once.
 * Commands may run in any order, or at once, between two barriers; one list behind another waits for it. Arguments are
 * copied at the call. The two ranges of a copy do not overlap. */
pio_status pio_list_create(pio_device *device, bool replayed, pio_list **out, pio_error *error);
void pio_list_destroy(pio_list *list);
pio_status pio_list_copy(pio_list *list, pio_addr to, pio_addr from, uint64_t bytes, pio_error *error);
pio_status pio_list_fill(pio_list *list, pio_addr to, uint32_t value, uint64_t bytes, pio_error *error);
pio_status pio_list_dispatch(pio_list *list, pio_kernel *kernel, const uint32_t groups[3], const void *args,
                             size_t args_bytes, pio_error *error);
pio_status pio_list_barrier(pio_list *list, pio_error *error);
pio_status pio_list_end(pio_list *list, pio_error *error);

/* ---- queues ---- what is submitted runs in order; a write is ordered with the submissions around it and copies `data`
 * at the call (at most 64 KiB). Numbers of submissions rise from 1, each queue its own; waiting for 0 waits for
 * nothing.
 */
pio_status pio_queue_create(pio_device *device, pio_queue_kind kind, pio_queue **out, pio_error *error);
void pio_queue_destroy(pio_queue *queue);
pio_status pio_queue_write(pio_queue *queue, pio_addr to, const void *data, uint64_t bytes, pio_error *error);
pio_status pio_queue_submit(pio_queue *queue, pio_list *const *lists, int n_lists, uint64_t *number, pio_error *error);
pio_status pio_queue_wait(pio_queue *queue, uint64_t number, uint64_t timeout_ns,
                          pio_error *error); /* PIO_LIMIT on time-out */
pio_status pio_queue_elapsed(pio_queue *queue, uint64_t number, uint64_t *ns,
                             pio_error *error); /* device time of a finished submission */

/* ---- the registry of drivers ---- */
struct pio_driver_options {
    int n_threads;         /* CPU: 0 (one a physical core, within affinity and quota) to PIO_MAX_THREADS */
    uint32_t features_off; /* pio_feature bits that must not be used */
    bool unmapped;         /* caps do not say host_visible, as on a card with its own memory: for tests */
};

/* Called through pio_device_create, but for count and describe. */
struct pio_driver {
    pio_backend backend;
    /* Number of devices; 0 with the reason in `why_none` where the driver or its runtime is missing. */
    int (*count)(char *why_none, size_t why_bytes);
    /* Fills caps without creating the device, and says in `why_not` why it cannot be used ("" if it can). */
    pio_status (*describe)(int index, pio_device_caps *caps, char *why_not, size_t why_bytes, pio_error *error);
    pio_status (*create)(int index, const pio_driver_options *options, pio_device **out, pio_error *error);
    /* Whether there can be a device that is hardware, found out without opening a runtime; if not, `why_none` says why.
     * NULL: `count` costs nothing. */
    bool (*expects_hardware)(char *why_none, size_t why_bytes);
};

const pio_driver *pio_driver_at(int index); /* NULL after the last; best first */

#endif
