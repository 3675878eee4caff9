#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/kv_cache/kv_cache.h"
#include "kernels/kv_cache/kv_cache.glsl"

layout(push_constant, scalar) uniform push {
    pio_qk_norm_rope_append_args a;
};

layout(constant_id = 1) const int DIM = 128;
layout(constant_id = 2) const int LANES = 4; /* threads a head: a power of two, at most the subgroup's size */
const int PIECES = (DIM / 8 + LANES - 1) / LANES;

/* A piece is eight columns: two fours that are rotated together, or eight in a row behind the rotated ones. */
ivec2 columns_of(int piece) {
    int rotated = a.rope_dim / 8;
    if (piece < rotated) return ivec2(4 * piece, a.rope_dim / 2 + 4 * piece);
    return ivec2(8 * piece, 8 * piece + 4);
}

/* LANES neighbouring threads have a token and head, of q, then k, then v; they need no barrier. */
void main() {
    int thread = int(gl_LocalInvocationID.x), member = thread % LANES, n_all = a.n_heads + 2 * a.n_kv_heads,
        item = int(gl_WorkGroupID.x) * (GROUP / LANES) + thread / LANES, t = item / n_all, head = item % n_all;
    bool there = t < live_rows(a.live, a.rows);
    t = there ? t : 0; /* takes part in sums, and writes nothing */
    F32V4 from = F32V4(row_at(a.qkv, t, a.qkv_stride) + 4ul * uint64_t(head * DIM));
    uint64_t weight = head < a.n_heads ? a.q_norm : a.k_norm;
    bool is_v = head >= a.n_heads + a.n_kv_heads;
    vec4 one[PIECES], two[PIECES];
    float squares = 0;
    [[unroll]] for (int i = 0; i < PIECES; i++) {
        int piece = i * LANES + member;
        ivec2 columns = columns_of(min(piece, DIM / 8 - 1));
        one[i] = from.v[columns.x / 4];
        two[i] = from.v[columns.y / 4];
        if (piece < DIM / 8) squares += dot(one[i], one[i]) + dot(two[i], two[i]);
    }
    [[unroll]] for (int mask = 1; mask < LANES; mask *= 2) squares += subgroupShuffleXor(squares, uint(mask));
    if (!there) return;
    float scale = inversesqrt(squares / DIM + a.eps);
    int row = I32(a.cache_rows).v[t], in_page = row % a.page_tokens;
    F32V4 table = F32V4(row_at(a.table, t, a.table_stride));
    F32V4 q = F32V4(row_at(a.q, t, a.q_stride) + 4ul * uint64_t(head * DIM));
    uint64_t block = kv_block(a.cache, row / a.page_tokens, (head - a.n_heads) % a.n_kv_heads, a.n_kv_heads, DIM,
                              a.page_tokens);
    if (is_v) in_page += a.page_tokens;
    [[unroll]] for (int i = 0; i < PIECES; i++) {
        int piece = i * LANES + member;
        if (piece >= DIM / 8) return;
        ivec2 columns = columns_of(piece);
        vec4 x = one[i], y = two[i];
        if (!is_v && weight != 0ul) {
            x *= scale * F32V4(weight).v[columns.x / 4];
            y *= scale * F32V4(weight).v[columns.y / 4];
        }
        if (!is_v && a.table != 0ul && piece < a.rope_dim / 8) {
            vec4 cosines = table.v[piece], sines = table.v[a.rope_dim / 8 + piece], turned = x * cosines - y * sines;
            y = y * cosines + x * sines;
            x = turned;
        }
        if (head < a.n_heads) {
            q.v[columns.x / 4] = x;
            q.v[columns.y / 4] = y;
        } else {
            kv_write(block, DIM, in_page, columns.x, x);
            kv_write(block, DIM, in_page, columns.y, y);
        }
    }
}
