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

/* A workgroup a token and head of q, pairs in registers, so that y may be q; the last one appends. */
void main() {
    int t = int(gl_WorkGroupID.x), head = int(gl_WorkGroupID.y), lane = int(gl_LocalInvocationID.x),
        first = head * a.head_cols;
    if (t >= live_rows(a.live, a.rows)) return;
    if (head == a.n_heads) {
        append(t, lane);
        return;
    }
    F32 q = F32(row_at(a.q, t, a.q_stride)), y = F32(row_at(a.y, t, a.y_stride)),
        table = F32(row_at(a.table, t, a.table_stride));
    float one, two;
    if (2 * lane < a.rope_dim) rotate_pair(q, first, table, lane, one, two);
    barrier();
    if (2 * lane < a.rope_dim) {
        y.v[first + lane] = one;
        y.v[first + a.rope_dim / 2 + lane] = two;
    }
    for (int i = a.rope_dim + lane; i < a.head_cols; i += GROUP) y.v[first + i] = q.v[first + i];
}
