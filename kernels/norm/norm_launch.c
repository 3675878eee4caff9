#include "kernels/families.h"

/* A workgroup has one group of columns, and a row that is encoded has one scale. */
bool pio_rmsnorm_match_device(const pio_call *call) {
    return pio_rmsnorm_match(call) && (call->out[0].encoding == PIO_ENC_F32 || call->in[0].cols == call->in[1].cols);
}

/* A workgroup a row and group of columns. */
void pio_rmsnorm_launch(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[0].rows;
    launch->groups[1] = (uint32_t)(call->in[0].cols / call->in[1].cols);
}

void pio_layernorm_launch(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->out[0].rows;
    launch->groups[1] = (uint32_t)(call->out[0].cols / call->in[1].cols);
}
