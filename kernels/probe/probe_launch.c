#include "kernels/families.h"

/* A workgroup is a worker. */
void pio_probe_launch(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->n_workers;
}

void pio_probe_matrix_launch(const pio_call *call, pio_launch *launch) {
    pio_probe_launch(call, launch);
    launch->subgroup_size = 32;
}
