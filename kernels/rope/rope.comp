#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/rope/rope.h"

layout(push_constant, scalar) uniform push {
    pio_rope_args a;
};

shared float head[PIO_ROPE_HEAD_DIM_MAX];

/* A workgroup a token and head, through a copy, so that y may be x. */
void main() {
    int t = int(gl_WorkGroupID.x), first = int(gl_WorkGroupID.y) * a.head_dim, lane = int(gl_LocalInvocationID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    F32 x = F32(row_at(a.x, t, a.x_stride)), y = F32(row_at(a.y, t, a.y_stride)),
        table = F32(row_at(a.table, t, a.table_stride));
    for (int i = lane; i < a.head_dim; i += GROUP) head[i] = x.v[first + i];
    barrier();
    bool interleaved = (a.flags & PIO_ROPE_INTERLEAVED) != 0;
    for (int i = lane; i < a.half_dim; i += GROUP) {
        float one = head[interleaved ? 2 * i : i], two = head[interleaved ? 2 * i + 1 : a.half_dim + i];
        y.v[first + i] = one * table.v[i] - two * table.v[a.half_dim + i];
        y.v[first + a.half_dim + i] = two * table.v[i] + one * table.v[a.half_dim + i];
    }
    for (int i = 2 * a.half_dim + lane; i < a.head_dim; i += GROUP) y.v[first + i] = head[i];
}
