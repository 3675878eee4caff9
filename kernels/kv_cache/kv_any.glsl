/* Single numbers of a cache in KV_F32 or KV_BF16_ROWS, for heads of any size. Specialisation constant 0 says whether they
 * are bf16. */
layout(constant_id = 0) const int KV_BF16 = 0;

uint64_t kv_block(uint64_t cache, int page, int head, int n_kv_heads, int head_dim, int page_tokens) {
    return cache + (uint64_t(page) * uint64_t(n_kv_heads) + uint64_t(head)) *
                       uint64_t(2 * page_tokens * head_dim * (KV_BF16 != 0 ? 2 : 4));
}

/* Column d of row t of the page: of K, and of V (t + page_tokens). */
float kv_read(uint64_t block, int head_dim, int t, int d) {
    int at = t * head_dim + d;
    return KV_BF16 != 0 ? bf16_to_f32(U16(block).v[at]) : F32(block).v[at];
}

void kv_write(uint64_t block, int head_dim, int t, int d, float x) {
    int at = t * head_dim + d;
    if (KV_BF16 != 0)
        U16(block).v[at] = f32_to_bf16(x);
    else
        F32(block).v[at] = x;
}
