#include "kernels/families.h"

/* A workgroup PIO_LINEAR_GROUP_ROWS rows of w and up to PIO_LINEAR_GROUP_TOKENS tokens. */
void pio_linear_launch(const pio_call *call, pio_launch *launch) {
    uint32_t tokens = 1;
    while (tokens < PIO_LINEAR_GROUP_TOKENS && tokens < (uint32_t)call->in[0].rows) tokens *= 2;
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(call->in[1].rows, PIO_LINEAR_GROUP_ROWS);
    launch->groups[1] = (uint32_t)PIO_CEIL_DIV((uint32_t)call->in[0].rows, tokens);
    launch->constants[0] = pio_launch_weights(call->in[1].layout);
    launch->constants[1] = tokens;
    launch->constants[2] = call->op == PIO_OP_LINEAR_SWIGLU;
    launch->n_constants = 3;
}

/* The same for each head's matrix. */
void pio_linear_heads_launch(const pio_call *call, pio_launch *launch) {
    pio_linear_launch(call, launch);
    launch->groups[2] = (uint32_t)call->in[1].n_matrices;
}
