/* Where keys and values lie in a page: see kv_cache.h. Specialisation constant 0 says whether they are bf16. */
layout(constant_id = 0) const int KV_BF16 = 0;

uint64_t kv_block(uint64_t cache, int page, int head, int n_kv_heads, int head_dim, int page_tokens) {
    return cache + (uint64_t(page) * uint64_t(n_kv_heads) + uint64_t(head)) *
                       uint64_t(2 * page_tokens * head_dim * (KV_BF16 != 0 ? 2 : 4));
}

/* Elements from the block's start of column d of the key, and of the value, of row t of the page. */
int k_at(int head_dim, int t, int d) {
    if (KV_BF16 == 0) return t * head_dim + d;
    return t / 64 * 64 * head_dim + d / 2 * 128 + t % 64 * 2 + d % 2;
}

int v_at(int head_dim, int page_tokens, int t, int d) {
    if (KV_BF16 == 0) return (page_tokens + t) * head_dim + d;
    int width = min(64, head_dim - d / 64 * 64);
    return (page_tokens + t / 64 * 64) * head_dim + d / 64 * 64 * 64 + t % 64 / 2 * 2 * width + d % 64 * 2 + t % 2;
}

float kv_read(uint64_t block, int at) {
    return KV_BF16 != 0 ? bf16_to_f32(U16(block).v[at]) : F32(block).v[at];
}

void kv_write(uint64_t block, int at, float x) {
    if (KV_BF16 != 0)
        U16(block).v[at] = f32_to_bf16(x);
    else
        F32(block).v[at] = x;
}
