#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"

layout(push_constant, scalar) uniform push {
    pio_add_args a;
};

/* A workgroup a row. */
void main() {
    int t = int(gl_WorkGroupID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    F32 left = F32(row_at(a.a, t, a.a_stride)), right = F32(row_at(a.b, t, a.b_stride)),
        y = F32(row_at(a.y, t, a.y_stride));
    for (int i = int(gl_LocalInvocationID.x); i < a.cols; i += GROUP) y.v[i] = left.v[i] + right.v[i];
}
