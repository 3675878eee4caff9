#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/kv_cache/kv_any.glsl"
#include "kernels/kv_cache/kv_cache.h"

layout(push_constant, scalar) uniform push {
    pio_kv_append_args a;
};

/* A workgroup a token and head. */
void main() {
    int t = int(gl_WorkGroupID.x), head = int(gl_WorkGroupID.y);
    if (t >= live_rows(a.live, a.rows)) return;
    int row = I32(a.cache_rows).v[t], in_page = row % a.page_tokens;
    uint64_t block =
        kv_block(a.cache, row / a.page_tokens, head, a.n_kv_heads, a.head_dim, a.page_tokens);
    F32 k = F32(row_at(a.k, t, a.k_stride)), v = F32(row_at(a.v, t, a.v_stride));
    for (int d = int(gl_LocalInvocationID.x); d < a.head_dim; d += GROUP) {
        kv_write(block, a.head_dim, in_page, d, k.v[head * a.head_dim + d]);
        kv_write(block, a.head_dim, a.page_tokens + in_page, d, v.v[head * a.head_dim + d]);
    }
}
