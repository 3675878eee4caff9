/* Kernels. */
#include <stdlib.h>

#include "hal/null/null.h"

/* Here: make each kernel from its code, entry and constants, in parallel where compiling takes long.
 * An error names the kernel (its row's full name) and the runtime's own words. */
pio_status null_module_create(pio_device *device, const pio_module_desc *desc, pio_module **out, pio_error *error) {
    size_t bytes = sizeof(null_module) + sizeof(pio_kernel) * (size_t)desc->n_kernels;
    null_module *module = calloc(1, bytes);
    if (!module) return pio_fail_memory(error, desc->name, bytes);
    module->base = (pio_module){.device = device, .n_kernels = desc->n_kernels};
    for (int i = 0; i < desc->n_kernels; i++)
        module->kernels[i] = (pio_kernel){.device = device, .args_bytes = desc->kernels[i].args_bytes};
    *out = &module->base;
    return PIO_OK;
}

void null_module_destroy(pio_module *module) {
    free(module);
}

pio_kernel *null_module_kernel(pio_module *module, int index) {
    return &((null_module *)module)->kernels[index];
}
