#include "kernels/families.h"

/* A workgroup PIO_LINEAR_GROUP_ROWS rows of w and up to 8 tokens. */
static void launch(const pio_call *call, pio_launch *launch, bool swiglu) {
    uint32_t tokens = 1;
    while (tokens < 8 && tokens < (uint32_t)call->in[0].rows) tokens *= 2;
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(call->in[1].rows, PIO_LINEAR_GROUP_ROWS);
    launch->groups[1] = (uint32_t)PIO_CEIL_DIV((uint32_t)call->in[0].rows, tokens);
    launch->constants[0] = pio_launch_weights(call->in[1].layout);
    launch->constants[1] = tokens;
    launch->constants[2] = swiglu;
    launch->n_constants = 3;
}

void pio_linear_launch(const pio_call *call, pio_launch *out) {
    launch(call, out, false);
}

void pio_linear_swiglu_launch(const pio_call *call, pio_launch *out) {
    launch(call, out, true);
}
