#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"

layout(push_constant, scalar) uniform push {
    pio_map_args a;
};

/* x times the normal distribution: see elementwise_rows.h for the polynomial of its tail. */
float gelu(float x) {
    if ((a.flags & PIO_GELU_ERF) == 0) return x / (1 + exp(-1.5957691216 * (x + 0.044715 * x * x * x)));
    float t = 1 / (1 + 0.35355339 * abs(x));
    float p = -0.02953447108;
    p = p * t + 0.1422874378;
    p = p * t - 0.2435998594;
    p = p * t + 0.1390334792;
    p = p * t - 0.0133127658;
    p = p * t + 0.1013434076;
    p = p * t + 0.1215518877;
    p = p * t + 0.1411876535;
    p = p * t + 0.141043209;
    float tail = p * t * exp(-0.5 * x * x);
    return x * (x < 0 ? tail : 1 - tail);
}

/* A workgroup a row. */
void main() {
    int t = int(gl_WorkGroupID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    F32 x = F32(row_at(a.x, t, a.x_stride)), y = F32(row_at(a.y, t, a.y_stride));
    for (int i = int(gl_LocalInvocationID.x); i < a.cols; i += GROUP) y.v[i] = gelu(x.v[i]);
}
