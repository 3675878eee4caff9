#include "kernels/families.h"

/* A workgroup a token and head. */
void pio_rope_launch(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[0].rows;
    launch->groups[1] = (uint32_t)call->attrs.n_heads;
}

bool pio_rope_match(const pio_call *call) {
    return call->attrs.head_dim <= PIO_ROPE_HEAD_DIM_MAX;
}
