#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/norm/norm.h"

layout(push_constant, scalar) uniform push {
    pio_rmsnorm_args a;
};

/* Of the workgroup: a row and group of columns. */
F32 from() {
    return F32(row_at(a.x, int(gl_WorkGroupID.x), a.x_stride) + 4ul * gl_WorkGroupID.y * a.cols);
}

float scale;

float value(int i) {
    return from().v[i] * scale * F32(a.weight).v[i];
}

#include "kernels/dtype/encode.glsl"

void main() {
    int t = int(gl_WorkGroupID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    float squares = 0;
    for (int i = int(gl_LocalInvocationID.x); i < a.cols; i += GROUP) squares += from().v[i] * from().v[i];
    scale = inversesqrt(group_sum(squares) / a.cols + a.eps);
    encode_row(row_at(a.y, t, a.y_stride) + 4ul * gl_WorkGroupID.y * a.cols, a.cols, a.encoding);
}
