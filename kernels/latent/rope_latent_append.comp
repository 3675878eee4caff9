#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/latent/latent.glsl"
#include "kernels/latent/latent.h"
#include "kernels/rope/rope.h"

layout(push_constant, scalar) uniform push {
    pio_rope_latent_append_args a;
};

#include "kernels/latent/append.glsl"

#include "kernels/latent/rope_heads.glsl"

/* A workgroup a token and head of q; the last one appends. */
void main() {
    int t = int(gl_WorkGroupID.x), head = int(gl_WorkGroupID.y);
    if (t >= live_rows(a.live, a.rows)) return;
    if (head == a.n_heads)
        append(t, int(gl_LocalInvocationID.x));
    else
        rope_head(F32(row_at(a.q, t, a.q_stride)), F32(row_at(a.y, t, a.y_stride)), t, head, true);
}
