/* Kernels that a device has compiled, kept on disk for the next start: one file for a device and its driver. Nothing
 * here is needed for a right answer, so nothing here fails: what cannot be read or written is compiled again. */
#ifndef PIO_ENGINE_COMPILED_H
#define PIO_ENGINE_COMPILED_H

#include "hal/hal.h"

/* Before the first kernel. `directory` NULL: nothing is kept. */
void pio_compiled_restore(pio_device *device, const char *directory);

/* After kernels were made; writes where there are new ones. */
void pio_compiled_keep(pio_device *device, const char *directory);

#endif
