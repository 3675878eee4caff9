#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/moe/moe.h"

/* A workgroup a token. */
layout(push_constant, scalar) uniform push {
    pio_route_args a;
};

#include "kernels/moe/route.glsl"

void main() {
    int t = int(gl_WorkGroupID.x), lane = int(gl_LocalInvocationID.x);
    if (t < live_rows(a.live, a.rows))
        route(t, row_at(a.logits, t, a.logits_stride), lane);
    else
        route_nowhere(t, lane);
}
