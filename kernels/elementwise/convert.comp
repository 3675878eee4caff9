#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"

layout(push_constant, scalar) uniform push {
    pio_map_args a;
};

float value(int i) {
    return F32(row_at(a.x, int(gl_WorkGroupID.x), a.x_stride)).v[i];
}

#include "kernels/dtype/encode.glsl"

/* A workgroup a row. */
void main() {
    int t = int(gl_WorkGroupID.x);
    if (t < live_rows(a.live, a.rows)) encode_row(row_at(a.y, t, a.y_stride), a.cols, a.encoding);
}
