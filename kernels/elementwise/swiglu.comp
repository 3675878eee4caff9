#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"

layout(push_constant, scalar) uniform push {
    pio_map_args a;
};

/* A workgroup a row. */
void main() {
    int t = int(gl_WorkGroupID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    F32 x = F32(row_at(a.x, t, a.x_stride)), y = F32(row_at(a.y, t, a.y_stride));
    for (int j = int(gl_LocalInvocationID.x); j < a.cols; j += GROUP) {
        int block = j / PIO_SWIGLU_BLOCK, width = min(PIO_SWIGLU_BLOCK, a.cols - block * PIO_SWIGLU_BLOCK),
            at = 2 * PIO_SWIGLU_BLOCK * block + j % PIO_SWIGLU_BLOCK;
        float gate = x.v[at];
        y.v[j] = gate / (1 + exp(-gate)) * x.v[at + width];
    }
}
