#include "kernels/families.h"

/* A workgroup a row and group of columns. */
void pio_rmsnorm_launch(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[0].rows;
    launch->groups[1] = (uint32_t)(call->in[0].cols / call->in[1].cols);
}

void pio_layernorm_launch(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->out[0].rows;
    launch->groups[1] = (uint32_t)(call->out[0].cols / call->in[1].cols);
}
