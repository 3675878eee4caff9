#include <stdlib.h>

#include "hal/cpu/cpu.h"

pio_status cpu_module_create(pio_device *device, const pio_module_desc *desc, pio_module **out, pio_error *error) {
    size_t bytes = sizeof(cpu_module) + sizeof(cpu_kernel) * (size_t)desc->n_kernels;
    cpu_module *module = calloc(1, bytes);
    if (!module) return pio_fail_memory(error, "a module", bytes);
    module->base = (pio_module){device, desc->n_kernels};
    for (int i = 0; i < desc->n_kernels; i++)
        module->kernels[i] = (cpu_kernel){{device, desc->kernels[i].args_bytes}, desc->kernels[i].function, NULL};
    *out = &module->base;
    return PIO_OK;
}

void cpu_module_destroy(pio_module *module) {
    free(module);
}

pio_kernel *cpu_module_kernel(pio_module *module, int index) {
    return &((cpu_module *)module)->kernels[index].base;
}
