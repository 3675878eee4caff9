/* The kernels of a device: loaded when they are first recorded. */
#ifndef PIO_KERNELS_LOAD_H
#define PIO_KERNELS_LOAD_H

#include "kernels/kernel.h"

typedef struct pio_kernels pio_kernels;

pio_status pio_kernels_create(pio_device *device, pio_kernels **out, pio_error *error);
void pio_kernels_destroy(pio_kernels *kernels);

/* Kernel `index` of a row as `launch` specialises it (NULL: no constants). It lives as long as `kernels`. */
pio_status pio_kernels_get(pio_kernels *kernels, const pio_row *row, int index, const pio_launch *launch,
                           pio_kernel **out, pio_error *error);

/* Appends what the row does for `call` to the list. */
pio_status pio_kernels_record(pio_kernels *kernels, pio_list *list, const pio_row *row, const pio_call *call,
                              pio_error *error);

#endif
