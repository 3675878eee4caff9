#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/kv_cache/kv_any.glsl"
#include "kernels/kv_cache/kv_cache.h"

layout(push_constant, scalar) uniform push {
    pio_qk_norm_rope_append_args a;
};

shared float x[PIO_KV_HEAD_DIM_MAX];

/* Norm and rotation of the head's [head_dim] at `from`; element i is left in x[i]. */
void norm_and_rotate(F32 from, uint64_t weight, int t, int lane) {
    float squares = 0;
    for (int i = lane; i < a.head_dim; i += GROUP) squares += from.v[i] * from.v[i];
    float scale = weight != 0ul ? inversesqrt(group_sum(squares) / a.head_dim + a.eps) : 1;
    for (int i = lane; i < a.head_dim; i += GROUP)
        x[i] = weight != 0ul ? from.v[i] * scale * F32(weight).v[i] : from.v[i];
    barrier();
    if (a.table == 0ul) return;
    F32 table = F32(row_at(a.table, t, a.table_stride));
    int half_dim = a.rope_dim / 2;
    for (int i = lane; i < half_dim; i += GROUP) {
        float one = x[i], two = x[half_dim + i];
        x[i] = one * table.v[i] - two * table.v[half_dim + i];
        x[half_dim + i] = two * table.v[i] + one * table.v[half_dim + i];
    }
    barrier();
}

/* A workgroup a token and head: those of q, then those of k, which take their values along. */
void main() {
    int t = int(gl_WorkGroupID.x), head = int(gl_WorkGroupID.y), lane = int(gl_LocalInvocationID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    uint64_t from = row_at(a.qkv, t, a.qkv_stride);
    int kv_head = head - a.n_heads;
    norm_and_rotate(F32(from + 4ul * uint64_t(head * a.head_dim)), kv_head < 0 ? a.q_norm : a.k_norm, t, lane);
    if (kv_head < 0) {
        F32 q = F32(row_at(a.q, t, a.q_stride) + 4ul * uint64_t(head * a.head_dim));
        for (int i = lane; i < a.head_dim; i += GROUP) q.v[i] = x[i];
        return;
    }
    int row = I32(a.cache_rows).v[t], in_page = row % a.page_tokens;
    uint64_t block =
        kv_block(a.cache, row / a.page_tokens, kv_head, a.n_kv_heads, a.head_dim, a.page_tokens);
    F32 v = F32(from + 4ul * uint64_t((head + a.n_kv_heads) * a.head_dim));
    for (int i = lane; i < a.head_dim; i += GROUP) {
        kv_write(block, a.head_dim, in_page, i, x[i]);
        kv_write(block, a.head_dim, a.page_tokens + in_page, i, v.v[i]);
    }
}
