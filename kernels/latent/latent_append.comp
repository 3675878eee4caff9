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

/* A workgroup a token. */
void main() {
    int t = int(gl_WorkGroupID.x), lane = int(gl_LocalInvocationID.x), half_dim = a.rope_dim / 2;
    if (t >= live_rows(a.live, a.rows)) return;
    F32 kv = F32(row_at(a.kv, t, a.kv_stride)), norm = F32(a.norm), table = F32(row_at(a.table, t, a.table_stride));
    uint64_t to = latent_row(a.cache, I32(a.cache_rows).v[t], a.head_dim, a.rope_dim);
    float squares = 0;
    for (int i = lane; i < a.head_dim; i += GROUP) squares += kv.v[i] * kv.v[i];
    float scale = inversesqrt(group_sum(squares) / a.head_dim + a.eps);
    for (int i = lane; i < a.head_dim; i += GROUP) latent_write(to, i, kv.v[i] * scale * norm.v[i]);
    bool interleaved = (a.flags & PIO_ROPE_INTERLEAVED) != 0;
    for (int i = lane; i < half_dim; i += GROUP) {
        float one = kv.v[a.head_dim + (interleaved ? 2 * i : i)],
              two = kv.v[a.head_dim + (interleaved ? 2 * i + 1 : half_dim + i)];
        latent_write(to, a.head_dim + i, one * table.v[i] - two * table.v[half_dim + i]);
        latent_write(to, a.head_dim + half_dim + i, two * table.v[i] + one * table.v[half_dim + i]);
    }
}
