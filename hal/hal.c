/* Arguments are checked here, once, so that drivers need not. */
#include "hal/hal.h"

#include <string.h>

#include "base/compiler.h"
#include "base/threads.h"

static const char *const backend_names[PIO_BACKEND_COUNT] = {
#define PIO_BACKEND(NAME, name, built) #name,
#include "hal/backends.def"
#undef PIO_BACKEND
};

const char *pio_backend_name(pio_backend backend) {
    return (unsigned)backend < PIO_BACKEND_COUNT ? backend_names[backend] : "unknown";
}

const char *pio_device_kind_name(pio_device_kind kind) {
    static const char *const names[PIO_KIND_COUNT] = {"none",    "software",   "processor", "other",
                                                      "virtual", "integrated", "discrete"};
    return (unsigned)kind < PIO_KIND_COUNT ? names[kind] : "unknown";
}

const char *pio_feature_name(pio_backend backend, uint32_t bit) {
    static const struct {
        pio_backend backend;
        uint32_t bit;
        const char *name;
    } names[] = {
        {PIO_BACKEND_CPU, PIO_CPU_AVX2, "AVX2"},
        {PIO_BACKEND_CPU, PIO_CPU_AVX512, "AVX-512 VNNI"},
        {PIO_BACKEND_CPU, PIO_CPU_AVX512BF16, "AVX-512 BF16"},
        {PIO_BACKEND_CPU, PIO_CPU_AMX, "AMX"},
        {PIO_BACKEND_VULKAN, PIO_VULKAN_DOT8, "integer dot products"},
        {PIO_BACKEND_VULKAN, PIO_VULKAN_MATRIX, "cooperative matrices"},
    };
    if (backend == PIO_BACKEND_NULL) backend = PIO_BACKEND_CPU; /* whose rows it is given */
    for (size_t i = 0; i < PIO_COUNT(names); i++)
        if (names[i].backend == backend && names[i].bit == bit) return names[i].name;
    return NULL;
}

enum { MAX_WRITE_BYTES = 64 << 10 };

/* Every call on a lost device answers so at once. */
#define CHECK_ALIVE(device_)                                                                                           \
    if ((device_)->lost) return pio_fail(error, PIO_DEVICE_LOST, "the device is lost: close it and open it again")

static pio_status refuse(pio_error *error, const char *what) {
    return pio_fail(error, PIO_INVALID_ARGUMENT, "%s", what);
}

/* ---- devices ---- */

pio_status pio_device_create(const pio_driver *driver, int index, const pio_driver_options *options, pio_device **out,
                             pio_error *error) {
    *out = NULL;
    char why[256] = "";
    int n = driver->count(why, sizeof why);
    if (n == 0)
        return pio_fail(error, PIO_UNSUPPORTED, "the %s backend has no device: %s", pio_backend_name(driver->backend),
                        why);
    if (index < 0 || index >= n)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the %s backend has no device %d: it has %d, numbered from 0",
                        pio_backend_name(driver->backend), index, n);
    if (options->n_threads < 0 || options->n_threads > PIO_MAX_THREADS)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "%d threads are not possible: ask for 1 to %d, or 0 for the best",
                        options->n_threads, PIO_MAX_THREADS);
    pio_status status = driver->create(index, options, out, error);
    if (!status) (*out)->unmapped = options->unmapped;
    return status;
}

void pio_device_destroy(pio_device *device) {
    if (device) device->ops->destroy(device);
}

void pio_device_get_caps(pio_device *device, pio_device_caps *caps) {
    memset(caps, 0, sizeof *caps);
    device->ops->caps(device, caps);
    if (device->unmapped) caps->host_visible = false;
}

pio_status pio_device_status(pio_device *device, pio_error *error) {
    CHECK_ALIVE(device);
    return device->ops->status(device, error);
}

pio_status pio_device_memory_budget(pio_device *device, pio_memory_budget *budget, pio_error *error) {
    memset(budget, 0, sizeof *budget);
    CHECK_ALIVE(device);
    pio_status status = device->ops->memory_budget(device, budget, error);
    if (!status && !budget->n_heaps) { /* a driver with one kind of memory */
        budget->n_heaps = 1;
        budget->heaps[0] = (pio_heap){budget->free_bytes, true};
    }
    return status;
}

void *pio_device_extension(pio_device *device, const char *name) {
    return device->ops->extension ? device->ops->extension(device, name) : NULL;
}

/* ---- buffers ---- */

pio_status pio_buffer_create(pio_device *device, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **out,
                             pio_error *error) {
    *out = NULL;
    CHECK_ALIVE(device);
    pio_device_caps caps;
    pio_device_get_caps(device, &caps);
    if (bytes == 0) return refuse(error, "a buffer has at least one byte");
    if (usage & ~(uint32_t)(PIO_BUFFER_UPLOAD | PIO_BUFFER_READBACK))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "buffer '%s' has an unknown usage, 0x%x", name, usage);
    if (bytes > caps.max_buffer_bytes)
        return pio_fail(error, PIO_OUT_OF_MEMORY, "buffer '%s' of %llu bytes is over the device's limit of %llu", name,
                        (unsigned long long)bytes, (unsigned long long)caps.max_buffer_bytes);
    pio_status status = device->ops->buffer_create(device, bytes, usage, name, out, error);
    if (!status) (*out)->usage = usage;
    return status;
}

void pio_buffer_destroy(pio_buffer *buffer) {
    if (buffer) buffer->device->ops->buffer_destroy(buffer);
}

pio_status pio_buffer_map(pio_buffer *buffer, void **host, pio_error *error) {
    *host = NULL;
    CHECK_ALIVE(buffer->device);
    pio_device_caps caps;
    pio_device_get_caps(buffer->device, &caps);
    if (buffer->usage == PIO_BUFFER_DEVICE && !caps.host_visible)
        return refuse(error, "device memory cannot be mapped here: copy through a buffer made for upload or readback");
    return buffer->device->ops->buffer_map(buffer, host, error);
}

static bool inside(const pio_buffer *buffer, uint64_t offset, uint64_t bytes) {
    return offset <= buffer->bytes && bytes <= buffer->bytes - offset;
}

pio_status pio_buffer_flush(pio_buffer *buffer, uint64_t offset, uint64_t bytes, pio_error *error) {
    CHECK_ALIVE(buffer->device);
    if (!inside(buffer, offset, bytes)) return refuse(error, "a flush reaches past the buffer's end");
    return buffer->device->ops->buffer_flush(buffer, offset, bytes, error);
}

pio_status pio_buffer_invalidate(pio_buffer *buffer, uint64_t offset, uint64_t bytes, pio_error *error) {
    CHECK_ALIVE(buffer->device);
    if (!inside(buffer, offset, bytes)) return refuse(error, "an invalidation reaches past the buffer's end");
    return buffer->device->ops->buffer_invalidate(buffer, offset, bytes, error);
}

/* ---- modules ---- */

pio_status pio_module_create(pio_device *device, const pio_module_desc *desc, pio_module **out, pio_error *error) {
    *out = NULL;
    CHECK_ALIVE(device);
    if (desc->n_kernels < 1) return refuse(error, "a module has at least one kernel");
    for (int i = 0; i < desc->n_kernels; i++)
        if (desc->kernels[i].args_bytes == 0 || desc->kernels[i].args_bytes > PIO_ARGS_MAX_BYTES)
            return pio_fail(error, PIO_INVALID_ARGUMENT, "kernel '%s' has %u bytes of arguments, not 1 to %d",
                            desc->kernels[i].name, desc->kernels[i].args_bytes, PIO_ARGS_MAX_BYTES);
    return device->ops->module_create(device, desc, out, error);
}

void pio_module_destroy(pio_module *module) {
    if (module) module->device->ops->module_destroy(module);
}

pio_kernel *pio_module_kernel(pio_module *module, int index) {
    return index >= 0 && index < module->n_kernels ? module->device->ops->module_kernel(module, index) : NULL;
}

/* ---- lists ---- */

#define CHECK_OPEN(list_)                                                                                              \
    CHECK_ALIVE((list_)->device);                                                                                      \
    if ((list_)->ended) return refuse(error, "the list has ended: record into a new one")

pio_status pio_list_create(pio_device *device, bool replayed, pio_list **out, pio_error *error) {
    *out = NULL;
    CHECK_ALIVE(device);
    pio_status status = device->ops->list_create(device, replayed, out, error);
    if (!status) (*out)->replayed = replayed;
    return status;
}

void pio_list_destroy(pio_list *list) {
    if (list) list->device->ops->list_destroy(list);
}

pio_status pio_list_copy(pio_list *list, pio_addr to, pio_addr from, uint64_t bytes, pio_error *error) {
    CHECK_OPEN(list);
    if (!to || !from || !bytes) return refuse(error, "a copy has two addresses and at least one byte");
    if ((to <= from ? from - to : to - from) < bytes) return refuse(error, "the two ranges of a copy overlap");
    return list->device->ops->list_copy(list, to, from, bytes, error);
}

pio_status pio_list_fill(pio_list *list, pio_addr to, uint32_t value, uint64_t bytes, pio_error *error) {
    CHECK_OPEN(list);
    if (!to || to % 4 || !bytes || bytes % 4)
        return refuse(error, "a fill has an address and a size that are multiples of 4");
    return list->device->ops->list_fill(list, to, value, bytes, error);
}

pio_status pio_list_dispatch(pio_list *list, pio_kernel *kernel, const uint32_t groups[3], const void *args,
                             size_t args_bytes, pio_error *error) {
    CHECK_OPEN(list);
    if (!kernel || kernel->device != list->device) return refuse(error, "a dispatch names a kernel of another device");
    if (args_bytes != kernel->args_bytes)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "a dispatch has %zu bytes of arguments and its kernel %u",
                        args_bytes, kernel->args_bytes);
    if (!groups[0] || !groups[1] || !groups[2])
        return refuse(error, "a dispatch has at least one group in each direction");
    return list->device->ops->list_dispatch(list, kernel, groups, args, args_bytes, error);
}

pio_status pio_list_barrier(pio_list *list, pio_error *error) {
    CHECK_OPEN(list);
    return list->device->ops->list_barrier(list, error);
}

pio_status pio_list_end(pio_list *list, pio_error *error) {
    CHECK_OPEN(list);
    pio_status status = list->device->ops->list_end(list, error);
    list->ended = !status;
    return status;
}

/* ---- queues ---- */

pio_status pio_queue_create(pio_device *device, pio_queue_kind kind, pio_queue **out, pio_error *error) {
    *out = NULL;
    CHECK_ALIVE(device);
    return device->ops->queue_create(device, kind, out, error);
}

void pio_queue_destroy(pio_queue *queue) {
    if (queue) queue->device->ops->queue_destroy(queue);
}

pio_status pio_queue_write(pio_queue *queue, pio_addr to, const void *data, uint64_t bytes, pio_error *error) {
    CHECK_ALIVE(queue->device);
    if (!to || !bytes || bytes > MAX_WRITE_BYTES)
        return refuse(error, "an ordered write has an address and 1 to 65536 bytes");
    return queue->device->ops->queue_write(queue, to, data, bytes, error);
}

pio_status pio_queue_submit(pio_queue *queue, pio_list *const *lists, int n_lists, uint64_t *number, pio_error *error) {
    *number = 0;
    CHECK_ALIVE(queue->device);
    if (n_lists < 1) return refuse(error, "a submission has at least one list");
    for (int i = 0; i < n_lists; i++) {
        if (!lists[i]->ended || lists[i]->device != queue->device)
            return refuse(error, "a submission names a list that has not ended, or of another device");
        if (!lists[i]->replayed && lists[i]->submitted)
            return refuse(error, "a list that was made for one submission was submitted before");
    }
    pio_status status = queue->device->ops->queue_submit(queue, lists, n_lists, number, error);
    for (int i = 0; i < n_lists && !status; i++) lists[i]->submitted = true;
    return status;
}

pio_status pio_queue_wait(pio_queue *queue, uint64_t number, uint64_t timeout_ns, pio_error *error) {
    CHECK_ALIVE(queue->device);
    if (number > queue->last_number) return refuse(error, "nothing with that number was submitted");
    return queue->device->ops->queue_wait(queue, number, timeout_ns, error);
}

pio_status pio_queue_elapsed(pio_queue *queue, uint64_t number, uint64_t *ns, pio_error *error) {
    *ns = 0;
    CHECK_ALIVE(queue->device);
    if (number == 0 || number > queue->last_number) return refuse(error, "nothing with that number was submitted");
    return queue->device->ops->queue_elapsed(queue, number, ns, error);
}
