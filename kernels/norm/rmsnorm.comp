#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/norm/norm.h"

/* A workgroup a row and group of columns. */
layout(push_constant, scalar) uniform push {
    pio_rmsnorm_args a;
};

void main() {
    int t = int(gl_WorkGroupID.x), first = int(gl_WorkGroupID.y) * a.cols, lane = int(gl_LocalInvocationID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    F32 x = F32(row_at(a.x, t, a.x_stride)), y = F32(row_at(a.y, t, a.y_stride)), w = F32(a.weight);
    float squares = 0;
    for (int i = lane; i < a.cols; i += GROUP) squares += x.v[first + i] * x.v[first + i];
    float scale = inversesqrt(group_sum(squares) / a.cols + a.eps);
    for (int i = lane; i < a.cols; i += GROUP) y.v[first + i] = x.v[first + i] * scale * w.v[i];
}
