#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/embed/embed.h"

layout(push_constant, scalar) uniform push {
    pio_gather_rows_args a;
};

/* A workgroup a row. */
void main() {
    int o = int(gl_WorkGroupID.x);
    if (o >= live_rows(a.live, a.rows)) return;
    int from = clamp(I32(a.indices).v[o], 0, a.x_rows - 1);
    F32 x = F32(row_at(a.x, from, a.x_stride)), y = F32(row_at(a.y, o, a.y_stride));
    for (int i = int(gl_LocalInvocationID.x); i < a.cols; i += GROUP) y.v[i] = x.v[i];
}
