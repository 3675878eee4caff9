#include "kernels/families.h"

/* A workgroup a token. */
void pio_embed_launch(const pio_call *call, pio_launch *launch) {
    pio_launch_out_rows(call, launch);
    launch->constants[0] = pio_launch_weights(call->in[0].layout);
    launch->n_constants = 1;
}
