#include "kernels/kv_cache/kv_cache.h"

#include <string.h>

#include "base/compiler.h"
#include "base/dtype.h"

static size_t element_bytes(pio_layout layout) {
    return pio_layout_get(layout)->dtype == PIO_DTYPE_F32 ? 4 : 2;
}

static bool is_latent(pio_layout layout) {
    return layout == PIO_LAYOUT_LATENT_F32 || layout == PIO_LAYOUT_LATENT_BF16;
}

uint64_t pio_kv_bytes(pio_layout layout, const pio_kv_geometry *geometry, int32_t n_pages) {
    uint64_t bytes = element_bytes(layout);
    uint64_t columns = is_latent(layout) ? (uint64_t)pio_latent_stride(layout, geometry->head_dim, geometry->rope_dim)
                                         : 2 * (uint64_t)geometry->head_dim;
    if (n_pages < 0 || PIO_MUL_OVERFLOWS(bytes, (uint64_t)geometry->page_tokens, &bytes) ||
        PIO_MUL_OVERFLOWS(bytes, columns, &bytes) || PIO_MUL_OVERFLOWS(bytes, (uint64_t)geometry->n_kv_heads, &bytes) ||
        PIO_MUL_OVERFLOWS(bytes, (uint64_t)n_pages, &bytes))
        return UINT64_MAX;
    return bytes;
}

/* ---- latents ---- */

static void write_latent(pio_layout layout, const pio_kv_geometry *geometry, void *cache, int32_t cache_row,
                         const float *row) {
    const int32_t n = geometry->head_dim + geometry->rope_dim;
    const size_t stride = (size_t)pio_latent_stride(layout, geometry->head_dim, geometry->rope_dim);
    if (layout == PIO_LAYOUT_LATENT_F32) {
        memcpy((float *)cache + (size_t)cache_row * stride, row, (size_t)n * sizeof *row);
        return;
    }
    uint16_t *to = (uint16_t *)cache + (size_t)cache_row * stride;
    for (int32_t d = 0; d < n; d++) to[d] = pio_f32_to_bf16(row[d]);
}

static void read_latent(pio_layout layout, const pio_kv_geometry *geometry, const void *cache, int32_t cache_row,
                        float *row) {
    const int32_t n = geometry->head_dim + geometry->rope_dim;
    const size_t stride = (size_t)pio_latent_stride(layout, geometry->head_dim, geometry->rope_dim);
    if (layout == PIO_LAYOUT_LATENT_F32) {
        memcpy(row, (const float *)cache + (size_t)cache_row * stride, (size_t)n * sizeof *row);
        return;
    }
    const uint16_t *from = (const uint16_t *)cache + (size_t)cache_row * stride;
    for (int32_t d = 0; d < n; d++) row[d] = pio_bf16_to_f32(from[d]);
}

/* ---- keys and values ---- */

/* Elements before the block of `head` in the page of `cache_row`. */
static size_t block_at(const pio_kv_geometry *geometry, int32_t cache_row, int32_t head) {
    size_t page = (size_t)(cache_row / geometry->page_tokens);
    return (page * (size_t)geometry->n_kv_heads + (size_t)head) *
           pio_kv_block_elements(geometry->head_dim, geometry->page_tokens);
}

/* Row t of a head's block of KV_BF16_ROWS. */
static void write_rows(uint16_t *block, int32_t n, int32_t page_tokens, int32_t t, const float *k, const float *v) {
    uint16_t *to_k = block + (size_t)t * (size_t)n, *to_v = to_k + (size_t)page_tokens * (size_t)n;
    for (int32_t d = 0; d < n; d++) {
        to_k[d] = pio_f32_to_bf16(k[d]);
        to_v[d] = pio_f32_to_bf16(v[d]);
    }
}

static void read_rows(const uint16_t *block, int32_t n, int32_t page_tokens, int32_t t, float *k, float *v) {
    const uint16_t *of_k = block + (size_t)t * (size_t)n, *of_v = of_k + (size_t)page_tokens * (size_t)n;
    for (int32_t d = 0; d < n; d++) {
        k[d] = pio_bf16_to_f32(of_k[d]);
        v[d] = pio_bf16_to_f32(of_v[d]);
    }
}

void pio_kv_write_row(pio_layout layout, const pio_kv_geometry *geometry, void *cache, int32_t cache_row,
                      const float *k, const float *v) {
    if (is_latent(layout)) {
        write_latent(layout, geometry, cache, cache_row, k);
        return;
    }
    int32_t n = geometry->head_dim, page_tokens = geometry->page_tokens, t = cache_row % page_tokens;
    for (int32_t head = 0; head < geometry->n_kv_heads; head++, k += n, v += n) {
        size_t at = block_at(geometry, cache_row, head);
        if (layout == PIO_LAYOUT_KV_BF16_ROWS) {
            write_rows((uint16_t *)cache + at, n, page_tokens, t, k, v);
            continue;
        }
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
    if (is_latent(layout)) {
        read_latent(layout, geometry, cache, cache_row, k);
        return;
    }
    int32_t n = geometry->head_dim, page_tokens = geometry->page_tokens, t = cache_row % page_tokens;
    for (int32_t head = 0; head < geometry->n_kv_heads; head++, k += n, v += n) {
        size_t at = block_at(geometry, cache_row, head);
        if (layout == PIO_LAYOUT_KV_BF16_ROWS) {
            read_rows((const uint16_t *)cache + at, n, page_tokens, t, k, v);
            continue;
        }
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

bool pio_latent_match(const pio_call *call) {
    const pio_attrs *a = &call->attrs;
    return a->head_dim <= PIO_LATENT_DIM_MAX && a->rope_dim > 0 && a->rope_dim <= PIO_LATENT_ROPE_MAX;
}
