/* Choosing a device. */
#ifndef PIO_ENGINE_DEVICE_H
#define PIO_ENGINE_DEVICE_H

#include "engine/options.h"
#include "hal/hal.h"

typedef struct pio_chosen_device {
    pio_device *device;
    pio_device_caps caps;
    uint32_t cpu_features; /* pio_feature bits of the CPU backend, for work on the host */
    int index;             /* within its backend */
    char reason[512];      /* why it, and why each better one was passed over: one line */
} pio_chosen_device;

/* Creates the device that the options name, or the best one. A named backend that cannot be used is an error with its
 * cause and cure; automatic choice passes over software devices and drivers that do not compute. */
pio_status pio_choose_device(const pio_engine_options *options, pio_chosen_device *chosen, pio_error *error);

/* The backend named `name` ("auto" gives PIO_AUTO); unknown names list the known ones. */
pio_status pio_backend_parse(const char *name, int *backend, pio_error *error);

#endif
