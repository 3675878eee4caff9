/* The driver: which devices there are, what they can do, and the table through which everything is called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hal/null/null.h"

/* Here: ask the runtime. `features` are the bits that kernel rows require; the null device claims all of the CPU's,
 * whose rows it is given, so that plans of machines which are not at hand can be looked at. */
static void fill_caps(pio_device_caps *caps, int n_workers, uint32_t features) {
    memset(caps, 0, sizeof *caps);
    caps->backend = PIO_BACKEND_NULL;
    snprintf(caps->name, sizeof caps->name, "null device");
    snprintf(caps->detail, sizeof caps->detail, "for plans and tests, computes nothing");
    caps->features = features;
    caps->n_workers = n_workers;
    caps->subgroup_size = 1;
    caps->max_buffer_bytes = null_memory_bytes;
    caps->buffer_alignment = NULL_ALIGNMENT;
}

static const uint32_t all_features = PIO_CPU_AVX2 | PIO_CPU_AVX512 | PIO_CPU_AVX512BF16 | PIO_CPU_AMX;

static void get_caps(pio_device *base, pio_device_caps *caps) {
    const null_device *device = (null_device *)base;
    fill_caps(caps, device->n_workers, device->features);
}

/* Here: ask whether the device still answers. Where it does not, set base->lost before returning PIO_DEVICE_LOST. */
static pio_status get_status(pio_device *base, pio_error *error) {
    (void)base, (void)error;
    return PIO_OK;
}

/* Accepts a device that is half made: create() ends here on failure. */
static void destroy(pio_device *base) {
    free(base);
}

/* `extension` is left out: the device has none. */
static const pio_device_ops ops = {
    .destroy = destroy,
    .caps = get_caps,
    .status = get_status,
    .memory_budget = null_memory_budget,
    .buffer_create = null_buffer_create,
    .buffer_destroy = null_buffer_destroy,
    .buffer_map = null_buffer_map,
    .buffer_flush = null_buffer_flush,
    .buffer_invalidate = null_buffer_invalidate,
    .module_create = null_module_create,
    .module_destroy = null_module_destroy,
    .module_kernel = null_module_kernel,
    .list_create = null_list_create,
    .list_destroy = null_list_destroy,
    .list_copy = null_list_copy,
    .list_fill = null_list_fill,
    .list_dispatch = null_list_dispatch,
    .list_barrier = null_list_barrier,
    .list_end = null_list_end,
    .queue_create = null_queue_create,
    .queue_destroy = null_queue_destroy,
    .queue_write = null_queue_write,
    .queue_submit = null_queue_submit,
    .queue_wait = null_queue_wait,
    .queue_elapsed = null_queue_elapsed,
};

/* Here: open the vendor's runtime with dlopen; a machine without it has no devices, and `why_none` says what was
 * looked for. */
static int count(char *why_none, size_t why_bytes) {
    (void)why_none, (void)why_bytes;
    return 1;
}

/* Here: what can be known without taking the device's memory; `why_not` names what it lacks (a feature, a driver's
 * version), so that `devices` lists it all the same. */
static pio_status describe(int index, pio_device_caps *caps, char *why_not, size_t why_bytes, pio_error *error) {
    (void)index, (void)error;
    fill_caps(caps, 1, all_features);
    if (why_bytes) why_not[0] = 0;
    return PIO_OK;
}

static pio_status create(int index, const pio_driver_options *options, pio_device **out, pio_error *error) {
    (void)index;
    *out = NULL;
    null_device *device = calloc(1, sizeof *device);
    if (!device) return pio_fail_memory(error, "the null device", sizeof *device);
    device->base.ops = &ops;
    device->features = all_features & ~options->features_off;
    device->n_workers = options->n_threads ? options->n_threads : 1;
    *out = &device->base;
    return PIO_OK;
}

const pio_driver pio_null_driver = {PIO_BACKEND_NULL, count, describe, create};
