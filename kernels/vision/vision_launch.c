#include "kernels/families.h"

/* A workgroup a patch. */
void pio_add_positions_launch(const pio_call *call, pio_launch *launch) {
    pio_launch_out_rows(call, launch);
    launch->constants[0] = pio_launch_weights(call->in[1].layout);
    launch->n_constants = 1;
}
