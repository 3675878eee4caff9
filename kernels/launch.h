/* Launches that many shaders share: how many workgroups a call takes. Each is a pio_row's launch(). */
#ifndef PIO_KERNELS_LAUNCH_H
#define PIO_KERNELS_LAUNCH_H

#include "kernels/kernel.h"

/* A workgroup a row of out[0]; and a row of in[0]. */
void pio_launch_out_rows(const pio_call *call, pio_launch *launch);
void pio_launch_in_rows(const pio_call *call, pio_launch *launch);

/* What weights.glsl is told of a layout. */
uint32_t pio_launch_weights(pio_layout layout);

#endif
