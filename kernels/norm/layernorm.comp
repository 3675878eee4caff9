#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/norm/norm.h"

/* A workgroup a row and group of columns. */
layout(push_constant, scalar) uniform push {
    pio_layernorm_args a;
};

/* Column i of row t of y, as x has it. */
float merged(int t, int i) {
    return F32(row_at(a.x, t * (a.y_cols / a.x_cols) + i / a.x_cols, a.x_stride)).v[i % a.x_cols];
}

void main() {
    int t = int(gl_WorkGroupID.x), first = int(gl_WorkGroupID.y) * a.cols, lane = int(gl_LocalInvocationID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    F32 y = F32(row_at(a.y, t, a.y_stride)), w = F32(a.weight), b = F32(a.bias);
    float sum = 0, squares = 0;
    for (int i = lane; i < a.cols; i += GROUP) sum += merged(t, first + i);
    float mean = group_sum(sum) / a.cols;
    for (int i = lane; i < a.cols; i += GROUP) {
        float d = merged(t, first + i) - mean;
        squares += d * d;
    }
    float scale = inversesqrt(group_sum(squares) / a.cols + a.eps);
    for (int i = lane; i < a.cols; i += GROUP)
        y.v[first + i] = (merged(t, first + i) - mean) * scale * w.v[i] + b.v[i];
}
