#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/latent/latent.glsl"
#include "kernels/latent/latent.h"
#include "kernels/rope/rope.h"

layout(push_constant, scalar) uniform push {
    pio_latent_append_args a;
};

#include "kernels/latent/append.glsl"

/* A workgroup a token. */
void main() {
    int t = int(gl_WorkGroupID.x);
    if (t < live_rows(a.live, a.rows)) append(t, int(gl_LocalInvocationID.x));
}
