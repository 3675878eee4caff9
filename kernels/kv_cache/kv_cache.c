#include "kernels/kv_cache/kv_cache.h"

#include "base/compiler.h"
#include "base/dtype.h"

static size_t element_bytes(pio_layout layout) {
    return layout == PIO_LAYOUT_KV_F32 ? 4 : 2;
}

uint64_t pio_kv_bytes(pio_layout layout, const pio_kv_geometry *geometry, int32_t n_pages) {
    uint64_t bytes = 2 * element_bytes(layout);
    if (n_pages < 0 || PIO_MUL_OVERFLOWS(bytes, (uint64_t)geometry->page_tokens, &bytes) ||
        PIO_MUL_OVERFLOWS(bytes, (uint64_t)geometry->head_dim, &bytes) ||
        PIO_MUL_OVERFLOWS(bytes, (uint64_t)geometry->n_kv_heads, &bytes) ||
        PIO_MUL_OVERFLOWS(bytes, (uint64_t)n_pages, &bytes))
        return UINT64_MAX;
    return bytes;
}

/* Elements before the block of `head` in the page of `cache_row`. */
static size_t block_at(const pio_kv_geometry *geometry, int32_t cache_row, int32_t head) {
    size_t page = (size_t)(cache_row / geometry->page_tokens);
    return (page * (size_t)geometry->n_kv_heads + (size_t)head) *
           pio_kv_block_elements(geometry->head_dim, geometry->page_tokens);
}

void pio_kv_write_row(pio_layout layout, const pio_kv_geometry *geometry, void *cache, int32_t cache_row,
                      const float *k, const float *v) {
    int32_t n = geometry->head_dim, page_tokens = geometry->page_tokens, t = cache_row % page_tokens;
    for (int32_t head = 0; head < geometry->n_kv_heads; head++, k += n, v += n) {
        size_t at = block_at(geometry, cache_row, head);
        if (layout == PIO_LAYOUT_KV_F32) {
            float *block = (float *)cache + at; /* {K [page_tokens, head_dim], V the same} */
            memcpy(block + (size_t)t * (size_t)n, k, (size_t)n * sizeof *k);
            memcpy(block + (size_t)(page_tokens + t) * (size_t)n, v, (size_t)n * sizeof *v);
            continue;
        }
        uint16_t *block = (uint16_t *)cache + at;
        for (int32_t d = 0; d < n; d++) {
            block[pio_kv_bf16_k_at(n, t, d)] = pio_f32_to_bf16(k[d]);
            block[pio_kv_bf16_v_at(n, page_tokens, t, d)] = pio_f32_to_bf16(v[d]);
        }
    }
}

void pio_kv_read_row(pio_layout layout, const pio_kv_geometry *geometry, const void *cache, int32_t cache_row, float *k,
                     float *v) {
    int32_t n = geometry->head_dim, page_tokens = geometry->page_tokens, t = cache_row % page_tokens;
    for (int32_t head = 0; head < geometry->n_kv_heads; head++, k += n, v += n) {
        size_t at = block_at(geometry, cache_row, head);
        if (layout == PIO_LAYOUT_KV_F32) {
            const float *block = (const float *)cache + at;
            memcpy(k, block + (size_t)t * (size_t)n, (size_t)n * sizeof *k);
            memcpy(v, block + (size_t)(page_tokens + t) * (size_t)n, (size_t)n * sizeof *v);
            continue;
        }
        const uint16_t *block = (const uint16_t *)cache + at;
        for (int32_t d = 0; d < n; d++) {
            k[d] = pio_bf16_to_f32(block[pio_kv_bf16_k_at(n, t, d)]);
            v[d] = pio_bf16_to_f32(block[pio_kv_bf16_v_at(n, page_tokens, t, d)]);
        }
    }
}

bool pio_kv_match_bf16(const pio_call *call) {
    return call->attrs.head_dim % 16 == 0 && call->attrs.head_dim <= PIO_KV_BF16_HEAD_DIM_MAX &&
           call->attrs.page_tokens % PIO_KV_PAGE_STEP == 0;
}
