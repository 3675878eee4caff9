#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/kv_cache/kv_cache.h"
#include "kernels/kv_cache/kv_cache.glsl"

layout(push_constant, scalar) uniform push {
    pio_kv_append_args a;
};

/* A thread four columns of K and of V. */
void main() {
    int fours = a.head_dim / 4, i = int(gl_GlobalInvocationID.x), t = i / (a.n_kv_heads * fours),
        at = i % (a.n_kv_heads * fours), head = at / fours, d = at % fours * 4;
    if (t >= live_rows(a.live, a.rows)) return;
    int row = I32(a.cache_rows).v[t], in_page = row % a.page_tokens;
    uint64_t block = kv_block(a.cache, row / a.page_tokens, head, a.n_kv_heads, a.head_dim, a.page_tokens);
    kv_write(block, a.head_dim, in_page, d, F32V4(row_at(a.k, t, a.k_stride)).v[at]);
    kv_write(block, a.head_dim, in_page + a.page_tokens, d, F32V4(row_at(a.v, t, a.v_stride)).v[at]);
}
