#include "kernels/launch.h"

#include "kernels/dtype/weights.h"

void pio_launch_out_rows(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->out[0].rows;
}

void pio_launch_in_rows(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[0].rows;
}

uint32_t pio_launch_weights(pio_layout layout) {
    static const uint32_t weights[PIO_LAYOUT_COUNT] = {[PIO_LAYOUT_F32_ROWS] = PIO_WEIGHTS_F32,
                                                       [PIO_LAYOUT_BF16_ROWS] = PIO_WEIGHTS_BF16,
                                                       [PIO_LAYOUT_Q8_ROWS] = PIO_WEIGHTS_Q8,
                                                       [PIO_LAYOUT_Q4_ROWS] = PIO_WEIGHTS_Q4,
                                                       [PIO_LAYOUT_F16S_ROWS] = PIO_WEIGHTS_F16S};
    return weights[layout];
}
