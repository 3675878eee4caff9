/* What the rows of both append ops share: plain C that each of them compiles for its own instructions. The work is a
 * grid of tiles, (block of token rows) x (KV head with its group of query heads); one token's append is short, so tiles
 * are cut for balance, not for the cache. */
#ifndef PIO_KERNELS_KV_CACHE_APPEND_FLOW_H
#define PIO_KERNELS_KV_CACHE_APPEND_FLOW_H

#include <math.h>

#include "base/compiler.h"
#include "base/dtype.h"
#include "kernels/dialect/vector.h"
#include "kernels/kv_cache/kv_cache.h"

enum { APPEND_ROWS = 16 };

/* 1 / sqrt(mean(x^2) + eps) over x [n] */
static PIO_ALWAYS_INLINE float append_norm(const float *x, int32_t n, float eps) {
    return 1.0f / sqrtf(pio_sum_of_squares(x, n) / (float)n + eps);
}

/* One head through norm and rotation: x [n] -> y [n]; w and table may be NULL. */
static inline void append_head(const float *x, const float *w, const float *table,
                               const pio_qk_norm_rope_append_args *a, float *restrict y) {
    int32_t n = a->head_dim, half = table ? a->rope_dim / 2 : 0;
    if (w) {
        float norm = append_norm(x, n, a->eps);
        for (int32_t i = 0; i < n; i++) y[i] = x[i] * norm * w[i];
    } else {
        memcpy(y, x, (size_t)n * sizeof *y);
    }
    for (int32_t i = 0; i < half; i++) {
        float first = y[i], second = y[i + half], cosine = table[i], sine = table[i + half];
        y[i] = first * cosine - second * sine;
        y[i + half] = second * cosine + first * sine;
    }
}

static inline void append_f32(void *cache, int32_t n_kv_heads, int32_t n, int32_t page_tokens, int32_t cache_row,
                              int32_t head, const float *k, const float *v) {
    int32_t t = cache_row % page_tokens;
    float *block = (float *)cache + ((size_t)(cache_row / page_tokens) * (size_t)n_kv_heads + (size_t)head) *
                                        pio_kv_block_elements(n, page_tokens);
    memcpy(block + (size_t)t * (size_t)n, k, (size_t)n * sizeof *k);
    memcpy(block + (size_t)(page_tokens + t) * (size_t)n, v, (size_t)n * sizeof *v);
}

/* n is a multiple of 16. Neighbouring keys share 32-bit words of V and may belong to two workers: only 16-bit stores
 * there. */
static inline void append_bf16(void *cache, int32_t n_kv_heads, int32_t n, int32_t page_tokens, int32_t cache_row,
                               int32_t head, const float *k, const float *v) {
    int32_t t = cache_row % page_tokens;
    uint16_t *block = (uint16_t *)cache + ((size_t)(cache_row / page_tokens) * (size_t)n_kv_heads + (size_t)head) *
                                              pio_kv_block_elements(n, page_tokens);
    uint16_t *to_k = block + pio_kv_bf16_k_at(n, t, 0);
    for (int32_t d = 0; d < n; d += 2, to_k += 128) {
        to_k[0] = pio_f32_to_bf16(k[d]);
        to_k[1] = pio_f32_to_bf16(k[d + 1]);
    }
    for (int32_t first = 0; first < n; first += 64) {
        uint16_t *to_v = block + pio_kv_bf16_v_at(n, page_tokens, t, first);
        for (int32_t d = 0; d < PIO_MIN(64, n - first); d++) to_v[2 * d] = pio_f32_to_bf16(v[first + d]);
    }
}

static PIO_ALWAYS_INLINE void append_kv(pio_layout layout, void *cache, int32_t n_kv_heads, int32_t n,
                                        int32_t page_tokens, int32_t cache_row, int32_t head, const float *k,
                                        const float *v) {
    if (layout == PIO_LAYOUT_KV_F32)
        append_f32(cache, n_kv_heads, n, page_tokens, cache_row, head, k, v);
    else
        append_bf16(cache, n_kv_heads, n, page_tokens, cache_row, head, k, v);
}

static PIO_ALWAYS_INLINE void append_kv_run(const pio_kv_append_args *a, pio_worker *worker, pio_layout layout) {
    int32_t live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows, n = a->head_dim, tile;
    int32_t n_tiles = PIO_CEIL_DIV(live, APPEND_ROWS) * a->n_kv_heads;
    while ((tile = pio_worker_take(worker)) < n_tiles) {
        int32_t head = tile % a->n_kv_heads, first = tile / a->n_kv_heads * APPEND_ROWS;
        for (int32_t row = first; row < PIO_MIN(first + APPEND_ROWS, live); row++) {
            const float *k = PIO_AT(const float, a->k + (uint64_t)row * (uint64_t)a->k_stride);
            const float *v = PIO_AT(const float, a->v + (uint64_t)row * (uint64_t)a->v_stride);
            append_kv(layout, PIO_AT(void, a->cache), a->n_kv_heads, n, a->page_tokens,
                      PIO_AT(const pio_i32, a->cache_rows)[row], head, k + (size_t)head * (size_t)n,
                      v + (size_t)head * (size_t)n);
        }
    }
}

/* Row `row` of the step, KV head `head` and the query heads that share it. */
static PIO_ALWAYS_INLINE void append_qkv_row(const pio_qk_norm_rope_append_args *a, pio_layout layout, int32_t row,
                                             int32_t head, float *k_rotated) {
    size_t n = (size_t)a->head_dim;
    int32_t group = a->n_heads / a->n_kv_heads;
    const float *qkv = PIO_AT(const float, a->qkv + (uint64_t)row * (uint64_t)a->qkv_stride);
    const float *table = a->table ? PIO_AT(const float, a->table + (uint64_t)row * (uint64_t)a->table_stride) : NULL;
    float *q = PIO_AT(float, a->q + (uint64_t)row * (uint64_t)a->q_stride);
    for (int32_t h = head * group; h < (head + 1) * group; h++)
        append_head(qkv + (size_t)h * n, PIO_AT(const float, a->q_norm), table, a, q + (size_t)h * n);
    const float *k = qkv + (size_t)(a->n_heads + head) * n;
    append_head(k, PIO_AT(const float, a->k_norm), table, a, k_rotated);
    append_kv(layout, PIO_AT(void, a->cache), a->n_kv_heads, a->head_dim, a->page_tokens,
              PIO_AT(const pio_i32, a->cache_rows)[row], head, k_rotated, k + (size_t)a->n_kv_heads * n);
}

static PIO_ALWAYS_INLINE void append_qkv_run(const pio_qk_norm_rope_append_args *a, pio_worker *worker,
                                             pio_layout layout) {
    int32_t live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows, tile;
    int32_t n_blocks = PIO_CEIL_DIV(live, APPEND_ROWS);
    /* Of many rows all heads are one tile: a row is read from front to back. */
    int32_t cuts = n_blocks >= 4 * worker->n_workers ? 1 : a->n_kv_heads;
    while ((tile = pio_worker_take(worker)) < n_blocks * cuts) {
        int32_t first = tile / cuts * APPEND_ROWS;
        for (int32_t row = first; row < PIO_MIN(first + APPEND_ROWS, live); row++)
            for (int32_t head = tile % cuts; head < a->n_kv_heads; head += cuts)
                append_qkv_row(a, layout, row, head, worker->scratch);
    }
}

#endif
