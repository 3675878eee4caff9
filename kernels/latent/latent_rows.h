/* The rows of LATENT_APPEND and LATENT_ATTENTION, one source for all instruction sets: plain C that a file a set
 * compiles for its own instructions.
 *
 * Attention: an item is one row of the step and some of its heads, whose scores and sums share every latent that is
 * read. Keys pass in blocks; the sums are rescaled when a block holds a larger score (online softmax: Milakov and
 * Gimelshein 2018). */
#ifndef PIO_KERNELS_LATENT_LATENT_ROWS_H
#define PIO_KERNELS_LATENT_LATENT_ROWS_H

#include <math.h>

#include "kernels/dialect/vector.h"
#include "kernels/families.h"

enum { LATENT_HEADS = 5, LATENT_KEYS = 64, LATENT_COLS = 64 };

static PIO_ALWAYS_INLINE float latent_number(const void *row, int32_t at, const bool bf16) {
    return bf16 ? pio_bits_to_float((uint32_t)((const uint16_t *)row)[at] << 16) : ((const float *)row)[at];
}

/* ---- append ---- */

static PIO_ALWAYS_INLINE void latent_append_run(const pio_latent_append_args *a, pio_worker *worker,
                                                const pio_layout layout) {
    const pio_kv_geometry geometry = {1, a->head_dim, PIO_KV_PAGE_TOKENS, a->rope_dim};
    const int32_t live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows, half = a->rope_dim / 2;
    const bool pairs = a->flags & PIO_ROPE_INTERLEAVED;
    float *row = worker->scratch; /* [head_dim + rope_dim] */
    for (int32_t t; (t = pio_worker_take(worker)) < live;) {
        const float *kv = PIO_AT(const float, a->kv + (pio_u64)t * (pio_u64)a->kv_stride), *k = kv + a->head_dim;
        const float *table = PIO_AT(const float, a->table + (pio_u64)t * (pio_u64)a->table_stride);
        const float *norm = PIO_AT(const float, a->norm);
        const float scale = 1.0f / sqrtf(pio_sum_of_squares(kv, a->head_dim) / (float)a->head_dim + a->eps);
        for (int32_t i = 0; i < a->head_dim; i++) row[i] = kv[i] * scale * norm[i];
        for (int32_t i = 0; i < half; i++) {
            const float first = k[pairs ? 2 * i : i], second = k[pairs ? 2 * i + 1 : half + i];
            row[a->head_dim + i] = first * table[i] - second * table[half + i];
            row[a->head_dim + half + i] = second * table[i] + first * table[half + i];
        }
        pio_kv_write_row(layout, &geometry, PIO_AT(void, a->cache), PIO_AT(const pio_i32, a->cache_rows)[t], row, NULL);
    }
}

/* ---- attention ---- */

typedef struct latent_item {
    const pio_latent_attention_args *a;
    const pio_step_sequence *sequence;
    const float *q_latent[LATENT_HEADS], *q_rope[LATENT_HEADS];
    int32_t n_keys;
} latent_item;

/* One worker's memory for an item. */
typedef struct latent_work {
    float scores[LATENT_HEADS][LATENT_KEYS];
    float sums[LATENT_HEADS][PIO_LATENT_DIM_MAX];
    float largest[LATENT_HEADS], total[LATENT_HEADS];
} latent_work;

/* Where the block of keys from c on lies: blocks do not cross pages. */
static PIO_ALWAYS_INLINE const char *latent_keys(const latent_item *item, int32_t c, size_t row_bytes) {
    const pio_latent_attention_args *a = item->a;
    const int32_t page = PIO_AT(const pio_i32, a->pages)[item->sequence->first_page + c / a->page_tokens];
    return PIO_AT(const char, a->cache) +
           ((size_t)page * (size_t)a->page_tokens + (size_t)(c % a->page_tokens)) * row_bytes;
}

#ifdef LATENT_PRODUCTS
#include LATENT_PRODUCTS /* a set's own */
#else
/* 16 numbers of a cache row. */
static PIO_ALWAYS_INLINE void latent_load(const void *row, int32_t at, const bool bf16, pio_lanes *x) {
    if (bf16) {
        uint16_t half[PIO_LANES];
        uint32_t bits[PIO_LANES];
        memcpy(half, (const uint16_t *)row + at, sizeof half);
        for (int i = 0; i < PIO_LANES; i++) bits[i] = (uint32_t)half[i] << 16;
        memcpy(x, bits, sizeof *x);
    } else {
        memcpy(x, (const float *)row + at, sizeof *x);
    }
}

/* scores[h][key] for H heads and one key. */
static PIO_ALWAYS_INLINE void latent_score(const latent_item *item, const void *key, int32_t index, const int H,
                                           const bool bf16, latent_work *work) {
    const int32_t n = item->a->head_dim, rope = item->a->rope_dim;
    pio_lanes sums[LATENT_HEADS];
    float rest[LATENT_HEADS] = {0};
    int32_t i = 0;
    for (int h = 0; h < H; h++) sums[h] = (pio_lanes){0};
    for (; i + PIO_LANES <= n; i += PIO_LANES) {
        pio_lanes x;
        latent_load(key, i, bf16, &x);
        for (int h = 0; h < H; h++) {
            pio_lanes q;
            memcpy(&q, item->q_latent[h] + i, sizeof q);
            sums[h] += q * x;
        }
    }
    for (; i < n; i++)
        for (int h = 0; h < H; h++) rest[h] += item->q_latent[h][i] * latent_number(key, i, bf16);
    for (i = 0; i + PIO_LANES <= rope; i += PIO_LANES) {
        pio_lanes x;
        latent_load(key, n + i, bf16, &x);
        for (int h = 0; h < H; h++) {
            pio_lanes q;
            memcpy(&q, item->q_rope[h] + i, sizeof q);
            sums[h] += q * x;
        }
    }
    for (; i < rope; i++)
        for (int h = 0; h < H; h++) rest[h] += item->q_rope[h][i] * latent_number(key, n + i, bf16);
    for (int h = 0; h < H; h++) work->scores[h][index] = (pio_lanes_sum(&sums[h]) + rest[h]) * item->a->scale;
}

/* sums[h][] += weights times latents, for H heads and n_keys keys. */
static PIO_ALWAYS_INLINE void latent_add(const latent_item *item, const char *keys, size_t row_bytes, int32_t n_keys,
                                         const int H, const bool bf16, latent_work *work) {
    const int32_t n = item->a->head_dim;
    int32_t at = 0;
    for (; at + LATENT_COLS <= n; at += LATENT_COLS) {
        pio_lanes sums[LATENT_HEADS][LATENT_COLS / PIO_LANES];
        for (int h = 0; h < H; h++) memcpy(sums[h], work->sums[h] + at, sizeof sums[h]);
        for (int32_t c = 0; c < n_keys; c++)
            for (int j = 0; j < LATENT_COLS / PIO_LANES; j++) {
                pio_lanes x;
                latent_load(keys + (size_t)c * row_bytes, at + j * PIO_LANES, bf16, &x);
                for (int h = 0; h < H; h++) sums[h][j] += x * work->scores[h][c];
            }
        for (int h = 0; h < H; h++) memcpy(work->sums[h] + at, sums[h], sizeof sums[h]);
    }
    for (; at < n; at++)
        for (int32_t c = 0; c < n_keys; c++)
            for (int h = 0; h < H; h++)
                work->sums[h][at] += latent_number(keys + (size_t)c * row_bytes, at, bf16) * work->scores[h][c];
}
#endif

/* Scores become weights; the sums so far are brought to the new largest score. */
static PIO_ALWAYS_INLINE void latent_weigh(const latent_item *item, int h, int32_t n_keys, latent_work *work) {
    float *scores = work->scores[h], largest = work->largest[h];
    for (int32_t c = 0; c < n_keys; c++) largest = scores[c] > largest ? scores[c] : largest;
    const float keep = work->total[h] > 0 ? pio_exp(work->largest[h] - largest) : 0;
    for (int32_t c = 0; c < n_keys; c++) scores[c] = pio_exp(scores[c] - largest);
    work->total[h] = work->total[h] * keep + pio_sum(scores, n_keys);
    work->largest[h] = largest;
    for (int32_t i = 0; i < item->a->head_dim && keep != 1; i++) work->sums[h][i] *= keep;
}

static PIO_ALWAYS_INLINE void latent_attend(const latent_item *item, const int H, const bool bf16, latent_work *work) {
    const pio_latent_attention_args *a = item->a;
    const pio_layout layout = bf16 ? PIO_LAYOUT_LATENT_BF16 : PIO_LAYOUT_LATENT_F32;
    const size_t row_bytes = (size_t)pio_latent_stride(layout, a->head_dim, a->rope_dim) * (bf16 ? 2 : 4);
    for (int h = 0; h < H; h++) {
        work->largest[h] = -INFINITY;
        work->total[h] = 0;
        memset(work->sums[h], 0, sizeof(float) * (size_t)a->head_dim);
    }
    for (int32_t c = 0, n; c < item->n_keys; c += n) {
        const char *keys = latent_keys(item, c, row_bytes);
        n = PIO_MIN(LATENT_KEYS, PIO_MIN(item->n_keys - c, a->page_tokens - c % a->page_tokens));
        for (int32_t i = 0; i < n; i++) latent_score(item, keys + (size_t)i * row_bytes, i, H, bf16, work);
        for (int h = 0; h < H; h++) latent_weigh(item, h, n, work);
        latent_add(item, keys, row_bytes, n, H, bf16, work);
    }
}

/* The row's heads from `first` on. */
static PIO_ALWAYS_INLINE void latent_item_run(const pio_latent_attention_args *a, const pio_step_sequence *sequence,
                                              int32_t r, int32_t first, const bool bf16, latent_work *work) {
    const pio_u64 t = (pio_u64)(sequence->first_row + r);
    const int32_t n_heads = PIO_MIN(LATENT_HEADS, a->n_heads - first);
    latent_item item = {.a = a, .sequence = sequence, .n_keys = sequence->context + r + 1};
    for (int h = 0; h < n_heads; h++) {
        item.q_latent[h] =
            PIO_AT(const float, a->q_latent + t * (pio_u64)a->q_latent_stride) + (first + h) * a->head_dim;
        item.q_rope[h] = PIO_AT(const float, a->q + t * (pio_u64)a->q_stride) + (first + h) * a->head_cols;
    }
    switch (n_heads) {
    case 5:
        latent_attend(&item, 5, bf16, work);
        break;
    case 4:
        latent_attend(&item, 4, bf16, work);
        break;
    case 3:
        latent_attend(&item, 3, bf16, work);
        break;
    case 2:
        latent_attend(&item, 2, bf16, work);
        break;
    default:
        latent_attend(&item, 1, bf16, work);
        break;
    }
    for (int h = 0; h < n_heads; h++) {
        float *y = PIO_AT(float, a->y + t * (pio_u64)a->y_stride) + (first + h) * a->head_dim;
        for (int32_t i = 0; i < a->head_dim; i++) y[i] = work->sums[h][i] / work->total[h];
    }
}

static PIO_ALWAYS_INLINE void latent_attention_run(const pio_latent_attention_args *a, pio_worker *worker,
                                                   const bool bf16) {
    const pio_step_counts *counts = PIO_AT(const pio_step_counts, a->counts);
    const int32_t parts = PIO_CEIL_DIV(a->n_heads, LATENT_HEADS);
    int32_t item = pio_worker_take(worker), begin = 0;
    for (int32_t s = 0; s < counts->n_sequences; s++) {
        const pio_step_sequence *sequence = &PIO_AT(const pio_step_sequence, a->sequences)[s];
        const int32_t n = sequence->n_rows * parts;
        for (; item < begin + n; item = pio_worker_take(worker)) {
            const int32_t r = sequence->n_rows - 1 - (item - begin) / parts; /* the longest first */
            latent_item_run(a, sequence, r, (item - begin) % parts * LATENT_HEADS, bf16, worker->scratch);
        }
        begin += n;
    }
}

#endif
