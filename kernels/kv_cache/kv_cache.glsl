/* Where keys and values lie in a page, in KV_F32 and KV_BF16_ROWS: see kv_cache.h. Specialisation constant 0 says
 * whether they are bf16. */
#include "kernels/dialect/floats.glsl"

layout(constant_id = 0) const int KV_BF16 = 0;

/* The block of a page and head: K [page_tokens, head_dim], then V the same. */
uint64_t kv_block(uint64_t cache, int page, int head, int n_kv_heads, int head_dim, int page_tokens) {
    return cache + (uint64_t(page) * uint64_t(n_kv_heads) + uint64_t(head)) *
                       uint64_t(2 * page_tokens * head_dim * (KV_BF16 != 0 ? 2 : 4));
}

/* Writes four columns, from column d on, a multiple of 4, to row t of the page: of K, and of V (t + page_tokens). */
void kv_write(uint64_t block, int head_dim, int t, int d, vec4 x) {
    int at = (t * head_dim + d) / 4;
    if (KV_BF16 != 0)
        U32V2(block).v[at] = vec4_to_bf16(x);
    else
        F32V4(block).v[at] = x;
}

/* Eight columns that were read as one word (bf16) or two. */
void open8(uvec4 one, uvec4 two, out vec4 low, out vec4 high) {
    low = KV_BF16 != 0 ? bf16_to_vec4(one.xy) : uintBitsToFloat(one);
    high = KV_BF16 != 0 ? bf16_to_vec4(one.zw) : uintBitsToFloat(two);
}
