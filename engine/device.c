#include "engine/device.h"

#include <stdio.h>
#include <string.h>

static const pio_driver *driver_of(int backend) {
    const pio_driver *driver;
    for (int i = 0; (driver = pio_driver_at(i)); i++)
        if ((int)driver->backend == backend) return driver;
    return NULL;
}

/* Appends ", name" to a list; text that would not fit is left out. */
static void append(char *list, size_t bytes, const char *name) {
    size_t used = strlen(list);
    snprintf(list + used, bytes - used, "%s%s", used ? ", " : "", name);
}

pio_status pio_backend_parse(const char *name, int *backend, pio_error *error) {
    char known[128] = "auto";
    *backend = PIO_AUTO;
    if (!strcmp(name, "auto")) return PIO_OK;
    for (int i = 0; i < PIO_BACKEND_COUNT; i++) {
        const char *candidate = pio_backend_name((pio_backend)i);
        if (!strcmp(name, candidate)) {
            *backend = i;
            return PIO_OK;
        }
        append(known, sizeof known, candidate);
    }
    return pio_fail(error, PIO_INVALID_ARGUMENT,
                    "there is no backend '%.40s': set PIO_BACKEND or --backend to one of %s", name, known);
}

static pio_status not_built(int backend, pio_error *error) {
    const pio_driver *driver;
    char built[128] = "";
    for (int i = 0; (driver = pio_driver_at(i)); i++) append(built, sizeof built, pio_backend_name(driver->backend));
    return pio_fail(error, PIO_UNSUPPORTED,
                    "this build does not have the %s backend, it has %s: set PIO_BACKEND or --backend to one of these",
                    pio_backend_name((pio_backend)backend), built);
}

/* What the host's processor has, be the device another. */
static uint32_t cpu_features(const pio_engine_options *options) {
    const pio_driver *cpu = driver_of(PIO_BACKEND_CPU);
    pio_device_caps caps;
    if (!cpu || cpu->describe(0, &caps, NULL, 0, NULL)) return PIO_CPU_BASE;
    return caps.features & ~options->cpu_features_off;
}

static pio_status create(const pio_driver *driver, int index, const pio_engine_options *options,
                         pio_chosen_device *chosen, pio_error *error) {
    const bool cpu_rows = driver->backend == PIO_BACKEND_CPU || driver->backend == PIO_BACKEND_NULL;
    const pio_driver_options driver_options = {.n_threads = options->n_threads,
                                               .features_off = cpu_rows ? options->cpu_features_off : 0,
                                               .unmapped = options->unmapped};
    pio_status status = pio_device_create(driver, index, &driver_options, &chosen->device, error);
    if (status) return status;
    chosen->index = index;
    chosen->cpu_features = cpu_features(options);
    pio_device_get_caps(chosen->device, &chosen->caps);
    return PIO_OK;
}

static pio_status choose_named(const pio_engine_options *options, pio_chosen_device *chosen, pio_error *error) {
    const char *name = pio_backend_name((pio_backend)options->backend);
    const pio_driver *driver = driver_of(options->backend);
    char why[256] = "";
    if (!driver) return not_built(options->backend, error);
    int count = driver->count(why, sizeof why);
    if (count == 0) return pio_fail(error, PIO_UNSUPPORTED, "the %s backend has no device: %s", name, why);
    int index = options->device == PIO_AUTO ? 0 : options->device;
    if (index < 0 || index >= count)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the %s backend has no device %d: it has %d, numbered from 0",
                        name, index, count);
    pio_device_caps caps;
    pio_status status = driver->describe(index, &caps, why, sizeof why, error);
    if (status) return status;
    if (why[0])
        return pio_fail(error, PIO_UNSUPPORTED, "device %d of the %s backend cannot be used: %s", index, name, why);
    snprintf(chosen->reason, sizeof chosen->reason, "as asked for");
    return create(driver, index, options, chosen, error);
}

/* Drivers stand best first; what is passed over is noted in the reason. */
static pio_status choose_best(const pio_engine_options *options, pio_chosen_device *chosen, pio_error *error) {
    const pio_driver *driver;
    char passed[384] = "", why[256];
    for (int i = 0; (driver = pio_driver_at(i)); i++) {
        int count = driver->count(why, sizeof why);
        for (int index = 0; index < count; index++) {
            pio_device_caps caps;
            if (driver->describe(index, &caps, why, sizeof why, error) || why[0] || !caps.computes) continue;
            if (options->device != PIO_AUTO && index != options->device) continue;
            snprintf(chosen->reason, sizeof chosen->reason, "the best that can be used%s", passed);
            return create(driver, index, options, chosen, error);
        }
        size_t used = strlen(passed);
        if (count == 0 && used + 1 < sizeof passed)
            snprintf(passed + used, sizeof passed - used, "; not %s: %s", pio_backend_name(driver->backend), why);
    }
    if (options->device != PIO_AUTO)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "no device of this machine that can be used has the index %d: leave --device (PIO_DEVICE) out, "
                        "or take an index that `inference-pio devices` prints",
                        options->device);
    return pio_fail(error, PIO_UNSUPPORTED, "no device of this machine can be used%s", passed);
}

pio_status pio_choose_device(const pio_engine_options *options, pio_chosen_device *chosen, pio_error *error) {
    memset(chosen, 0, sizeof *chosen);
    return options->backend == PIO_AUTO ? choose_best(options, chosen, error) : choose_named(options, chosen, error);
}
