/* The KV cache: its layouts, and the ops that append to it.
 *
 * One buffer a layer holds all pages; page 0 is the padding page, which no sequence owns: nothing reads it, and
 * anything may be written there. Cache row c is row c % page_tokens of page c / page_tokens.
 *
 * Grouped-query attention. A page is an array over the KV heads of blocks {K [page_tokens, head_dim], V [page_tokens,
 * head_dim]}; with t the row in the page, the element (t, d) lies
 *
 *   KV_F32, KV_BF16_ROWS  K and V at t * head_dim + d
 *   KV_BF16  with u = t % 64, and w = the smaller of 64 and head_dim - d / 64 * 64,
 *            K at t / 64 * 64 * head_dim + d / 2 * 128 + u * 2 + d % 2
 *            V at t / 64 * 64 * head_dim + d / 64 * 64 * 64 + u / 2 * 2 * w + d % 64 * 2 + u % 2
 *
 * KV_BF16 is what a dot product of bf16 pairs wants: 64 bytes of K are one pair of columns of 16 keys, so that a
 * broadcast pair of q gives 16 scores; 64 bytes of V are 16 columns of one pair of keys, so that a broadcast pair of
 * probabilities gives 16 columns of the output. Wider types unpack from it with one shift and one mask. A kernel that
 * keeps 64 scores or columns in registers reads both from front to back: one stream ran at all of the memory's rate,
 * four streams 4 KiB apart at two thirds of it. Devices with many threads want KV_BF16_ROWS: neighbouring threads read
 * neighbouring 16 bytes of a token, and a tile of tokens is one piece of memory.
 *
 * Latent attention. A token has one row for all heads, whose first head_dim columns, the latent, are key and value in
 * one, and whose last rope_dim columns belong to the key alone. Rows lie one after the other, page after page:
 *
 *   LATENT_F32   column d of row c at c * (head_dim + rope_dim) + d
 *   LATENT_BF16  the same, rows beginning at multiples of PIO_LATENT_BLOCK columns
 *
 * Rows of the cache that were never written hold anything, NaN included; those that were hold finite numbers. */
#ifndef PIO_KERNELS_KV_CACHE_KV_CACHE_H
#define PIO_KERNELS_KV_CACHE_KV_CACHE_H

#include "kernels/dialect/args.h"

#define PIO_KV_HEAD_DIM_MAX 512 /* of device rows */
#define PIO_LATENT_BLOCK    32
#define PIO_LATENT_DIM_MAX  1024
#define PIO_LATENT_ROPE_MAX 256

/* KV_APPEND: k [T, kv_heads x head_dim], v the same, both float32 -> row step.cache_rows[t] of the cache. */
PIO_ARGS(pio_kv_append_args) {
    pio_u64 k, v;       /* float32; rows k_stride and v_stride bytes apart */
    pio_u64 cache;      /* in the row's layout */
    pio_u64 cache_rows; /* i32 [T] */
    pio_u64 live;       /* i32: the live number of rows; 0: all */
    pio_i32 rows;       /* the bound T */
    pio_i32 k_stride, v_stride;
    pio_i32 n_kv_heads, head_dim, page_tokens;
};

/* QK_NORM_ROPE_APPEND: qkv [T, (heads + 2 kv_heads) x head_dim] float32, the heads of q, then of k, then of v. Each
 * head of q and k is normalised, x * w / sqrt(mean(x^2) + eps), where there are weights; then its first rope_dim
 * columns are rotated by the table's row [cosines rope_dim / 2 | sines rope_dim / 2]: y[i] = x[i] cos[i] - x[i +
 * rope_dim / 2] sin[i],  y[i + rope_dim / 2] = x[i + rope_dim / 2] cos[i] + x[i] sin[i]. q goes out as float32 [T,
 * heads x head_dim], k and v to row step.cache_rows[t] of the cache. */
PIO_ARGS(pio_qk_norm_rope_append_args) {
    pio_u64 qkv;            /* rows qkv_stride bytes apart */
    pio_u64 q_norm, k_norm; /* float32 [head_dim]; 0: not normalised */
    pio_u64 cache;
    pio_u64 table; /* float32 [T, rope_dim], rows table_stride bytes apart; 0: not rotated */
    pio_u64 q;     /* rows q_stride bytes apart */
    pio_u64 cache_rows;
    pio_u64 live;
    pio_f32 eps;
    pio_i32 rows;
    pio_i32 qkv_stride, table_stride, q_stride;
    pio_i32 n_heads, n_kv_heads, head_dim, rope_dim, page_tokens;
};

#ifndef PIO_GLSL
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "kernels/kernel.h"

enum {
    PIO_KV_PAGE_TOKENS = 64, /* tokens a page, unless a model says otherwise; always a multiple of PIO_KV_PAGE_STEP */
    PIO_KV_PAGE_STEP = 64,
    PIO_KV_BF16_HEAD_DIM_MAX = 256,
};

/* What a model fixes about its cache. For KV_BF16 head_dim is a multiple of 16, page_tokens a multiple of
 * PIO_KV_PAGE_STEP. */
typedef struct pio_kv_geometry {
    int32_t n_kv_heads, head_dim, page_tokens;
    int32_t rope_dim; /* 0: keys and values of n_kv_heads heads; else latents, n_kv_heads being 1 */
} pio_kv_geometry;

/* The layout that references and --compute f32 read. */
static inline pio_layout pio_kv_layout_f32(const pio_kv_geometry *geometry) {
    return geometry->rope_dim ? PIO_LAYOUT_LATENT_F32 : PIO_LAYOUT_KV_F32;
}

/* Numbers that a token has: keys and values of all heads, or its latent and rotated columns. */
static inline int32_t pio_kv_row_floats(const pio_kv_geometry *geometry) {
    return geometry->rope_dim ? geometry->head_dim + geometry->rope_dim : 2 * geometry->n_kv_heads * geometry->head_dim;
}

/* Bytes of one layer's cache of n_pages pages, page 0 included. UINT64_MAX: more than 64 bits can count. */
uint64_t pio_kv_bytes(pio_layout layout, const pio_kv_geometry *geometry, int32_t n_pages);

/* Writes one row of the cache, and reads one back; in plain C. k and v: float32 [n_kv_heads, head_dim]; of a latent
 * cache k is [head_dim + rope_dim] and v is not looked at. bf16 is rounded to nearest even. Different rows may be
 * written from several threads at once. */
void pio_kv_write_row(pio_layout layout, const pio_kv_geometry *geometry, void *cache, int32_t cache_row,
                      const float *k, const float *v);
void pio_kv_read_row(pio_layout layout, const pio_kv_geometry *geometry, const void *cache, int32_t cache_row, float *k,
                     float *v);

/* Element offsets inside a head's block of a page, as the head of this file defines them. */
static inline size_t pio_kv_bf16_k_at(int32_t head_dim, int32_t t, int32_t d) {
    return (size_t)(t / 64) * 64 * (size_t)head_dim + (size_t)(d / 2) * 128 + (size_t)(t % 64) * 2 + (size_t)(d % 2);
}
static inline size_t pio_kv_bf16_v_at(int32_t head_dim, int32_t page_tokens, int32_t t, int32_t d) {
    size_t width = (size_t)PIO_MIN(64, head_dim - d / 64 * 64);
    return (size_t)(page_tokens + t / 64 * 64) * (size_t)head_dim + (size_t)(d / 64) * 64 * 64 +
           (size_t)(t % 64 / 2) * 2 * width + (size_t)(d % 64) * 2 + (size_t)(t % 2);
}
/* Elements of one head's block of a page, and of a whole page. */
static inline size_t pio_kv_block_elements(int32_t head_dim, int32_t page_tokens) {
    return 2 * (size_t)page_tokens * (size_t)head_dim;
}

/* Of a latent cache: elements from row to row. */
static inline int32_t pio_latent_stride(pio_layout layout, int32_t head_dim, int32_t rope_dim) {
    int32_t cols = head_dim + rope_dim;
    return layout == PIO_LAYOUT_LATENT_F32 ? cols : PIO_ROUND_UP(cols, PIO_LATENT_BLOCK);
}

void pio_kv_append_portable(const void *args, pio_worker *worker);
void pio_kv_append_avx2(const void *args, pio_worker *worker);
void pio_kv_append_avx512(const void *args, pio_worker *worker);
void pio_qk_norm_rope_append_portable(const void *args, pio_worker *worker);
void pio_qk_norm_rope_append_avx2(const void *args, pio_worker *worker);
void pio_qk_norm_rope_append_avx512(const void *args, pio_worker *worker);

/* Whether the rows on KV_BF16, and on latents, those of attention included, serve the call's head size and page. */
bool pio_kv_match_bf16(const pio_call *call);
bool pio_latent_match(const pio_call *call);

/* Of device rows. */
void pio_kv_append_any_launch(const struct pio_call *call, struct pio_launch *launch);
void pio_qk_norm_rope_append_any_launch(const struct pio_call *call, struct pio_launch *launch);
void pio_attention_any_launch(const struct pio_call *call, struct pio_launch *launch);
bool pio_kv_match_any(const struct pio_call *call);
bool pio_kv_match_device(const pio_call *call);
void pio_kv_append_launch(const pio_call *call, pio_launch *launch);
void pio_qk_norm_rope_append_launch(const pio_call *call, pio_launch *launch);
#endif

#endif
