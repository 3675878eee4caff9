#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/vision/vision.h"

layout(push_constant, scalar) uniform push {
    pio_picture_rows_args a;
};

/* A workgroup a token. */
void main() {
    int t = int(gl_WorkGroupID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    uint64_t picture = U64(a.picture_rows).v[t];
    F32 x = F32(row_at(a.x, t, a.x_stride)), y = F32(row_at(a.y, t, a.y_stride));
    bool replace = picture != 0ul && (a.flags & PIO_PICTURE_REPLACE) != 0;
    for (int i = int(gl_LocalInvocationID.x); i < a.cols; i += GROUP) {
        float sum = replace ? 0 : x.v[i];
        if (picture != 0ul) sum += F32(picture).v[a.column + i];
        y.v[i] = sum;
    }
}
