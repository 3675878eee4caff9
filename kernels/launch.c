#include "kernels/launch.h"

void pio_launch_out_rows(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->out[0].rows;
}

void pio_launch_in_rows(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[0].rows;
}
