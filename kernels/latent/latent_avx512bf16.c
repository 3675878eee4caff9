/* LATENT_ATTENTION over LATENT_BF16 as attention with one KV head, whose keys are the cache's rows and whose values are
 * their first head_dim columns. Rows lie one after the other in the cache; a block of them is taken apart, for all
 * heads, into keys and values as they lie in KV_BF16. */
#include "kernels/attention/attention_bf16_avx512.h"
#include "kernels/families.h"
#include "kernels/latent/latent_view.h"

enum { ATT_KEY_DIM_MAX = 640, ATT_VALUE_DIM_MAX = 512 };
enum { ATT_OPENED_BYTES = 2 * ATT_KEYS * (ATT_KEY_DIM_MAX + ATT_BLOCKS * ATT_VALUE_DIM_MAX) };

#define ATT_KEY_DIM(a) key_dim_of(a)

/* The columns against the latent, then those against the rotated key. */
static void att_pack_rows(const pio_attention_args *a, const att_item *item, int32_t group, int32_t first,
                          int32_t n_rows, float factor, att_q *panel) {
    const pio_latent_attention_args *latent = latent_of(a);
    const float *rows[ATT_PANEL], *rope[ATT_PANEL];
    for (int32_t v = 0; v < n_rows; v++) {
        rows[v] = att_q_row(a, item, group, first + v);
        rope[v] = latent_rope_row(latent, item, group, first + v);
    }
    att_pack(rows, n_rows, a->head_dim, factor, panel);
    att_pack(rope, n_rows, latent->rope_dim, factor, panel + a->head_dim * ATT_PANEL);
}

/* 16 keys x 16 pairs of columns, `stride` columns from key to key, to 16 pairs x 16 keys, ATT_KEYS keys a pair. */
static PIO_ALWAYS_INLINE void transpose(const att_kv *rows, int32_t stride, att_kv *out) {
    __m512i a[16], b[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_si512(rows + (size_t)i * (size_t)stride);
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) { /* a[i + j]: column 4 q + j of lane q, of keys i to i + 3 */
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512i low01 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x88),
                      low23 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x88);
        const __m512i high01 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xdd),
                      high23 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xdd);
        _mm512_storeu_si512(out + 2 * ATT_KEYS * j, _mm512_shuffle_i32x4(low01, low23, 0x88));
        _mm512_storeu_si512(out + 2 * ATT_KEYS * (8 + j), _mm512_shuffle_i32x4(low01, low23, 0xdd));
        _mm512_storeu_si512(out + 2 * ATT_KEYS * (4 + j), _mm512_shuffle_i32x4(high01, high23, 0x88));
        _mm512_storeu_si512(out + 2 * ATT_KEYS * (12 + j), _mm512_shuffle_i32x4(high01, high23, 0xdd));
    }
}

/* Two keys' columns to pairs of keys, in groups of 64 columns as in KV_BF16. */
static PIO_ALWAYS_INLINE void interleave(const att_kv *row, int32_t stride, int32_t head_dim, int32_t pair,
                                         att_kv *values) {
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37,
                                         5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    for (int32_t column = 0; column < head_dim; column += 32) {
        const int32_t group = column / 64 * 64, width = PIO_MIN(64, head_dim - group);
        const __m512i x = _mm512_loadu_si512(row + column), y = _mm512_loadu_si512(row + stride + column);
        att_kv *to = values + group * ATT_KEYS + 2 * (pair * width + column - group);
        _mm512_storeu_si512(to, _mm512_permutex2var_epi16(x, low, y));
        _mm512_storeu_si512(to + 32, _mm512_permutex2var_epi16(x, high, y));
    }
}

/* Keys that are missing are read all the same: they lie in the page, and what they hold does not matter. The values
 * come first, for they read the rows in memory's order; keys read sixteen rows side by side. */
static void att_open(const pio_attention_args *a, void *opened, int32_t b, att_block *block) {
    const att_kv *rows = block->k;
    att_kv *keys = opened, *values = keys + ATT_KEYS * (ATT_KEY_DIM_MAX + b * ATT_VALUE_DIM_MAX);
    const int32_t stride = stride_of(a);
    for (int32_t key = 0; key < block->n_keys; key += 2)
        interleave(rows + (size_t)key * (size_t)stride, stride, a->head_dim, key / 2, values);
    for (int32_t key = 0; key < block->n_keys; key += 16)
        for (int32_t column = 0; column < stride; column += 32)
            transpose(rows + (size_t)key * (size_t)stride + column, stride, keys + column * ATT_KEYS + 2 * key);
    block->k = keys;
    block->v = values;
}

#include "kernels/attention/attention_tile.h"

bool pio_latent_tile_match(const pio_call *call) {
    const int32_t head_dim = call->attrs.head_dim, rope_dim = call->attrs.rope_dim;
    return head_dim <= ATT_VALUE_DIM_MAX && head_dim + rope_dim <= ATT_KEY_DIM_MAX && head_dim % 32 == 0 &&
           rope_dim % 16 == 0;
}

size_t pio_latent_tile_scratch(const pio_call *call) {
    return pio_attention_parts_bytes(call->in[0].rows, call->attrs.n_heads, call->attrs.head_dim, call->n_workers);
}

pio_status pio_latent_tile_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    pio_latent_attention_args args;
    pio_latent_attention_bind(call, &args);
    args.scratch = call->scratch;
    args.n_parts = call->scratch ? pio_attention_parts(args.rows, args.n_heads, call->n_workers) : 1;
    pio_status status = recorder->dispatch(recorder, 0, NULL, &args, sizeof args, error);
    if (status || args.n_parts == 1) return status;
    args.phase = 1;
    status = recorder->barrier(recorder, error);
    return status ? status : recorder->dispatch(recorder, 0, NULL, &args, sizeof args, error);
}

void pio_latent_attention_avx512bf16(const void *args, pio_worker *worker) {
    const latent_view view = latent_view_of(args);
    att_run(&view.a, worker);
}
