/* The two products of latent attention with AVX2: what latent_rows.h does in plain C, whose vectors of 64 bytes the
 * compiler keeps in memory where registers have 32. Five heads times 16 numbers are ten sums, which leaves registers
 * for the latents and a weight. */
#ifndef PIO_KERNELS_LATENT_LATENT_PRODUCTS_AVX2_H
#define PIO_KERNELS_LATENT_LATENT_PRODUCTS_AVX2_H

#include <immintrin.h>

/* Eight numbers of a cache row. */
static PIO_ALWAYS_INLINE __m256 latent_load8(const void *row, int32_t at, const bool bf16) {
    if (!bf16) return _mm256_loadu_ps((const float *)row + at);
    const __m128i half = _mm_loadu_si128((const void *)((const uint16_t *)row + at));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

static PIO_ALWAYS_INLINE float latent_sum8(__m256 x) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

/* sums[h] += q[h][0..n) times the row's numbers from `at` on; rest[h] += those past the last 16. */
static PIO_ALWAYS_INLINE void latent_dot(const float *const *q, const void *key, int32_t at, int32_t n, const int H,
                                         const bool bf16, __m256 (*sums)[2], float *rest) {
    int32_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256 x0 = latent_load8(key, at + i, bf16), x1 = latent_load8(key, at + i + 8, bf16);
        PIO_UNROLL(5)
        for (int h = 0; h < H; h++) {
            sums[h][0] = _mm256_fmadd_ps(_mm256_loadu_ps(q[h] + i), x0, sums[h][0]);
            sums[h][1] = _mm256_fmadd_ps(_mm256_loadu_ps(q[h] + i + 8), x1, sums[h][1]);
        }
    }
    for (; i < n; i++)
        for (int h = 0; h < H; h++) rest[h] += q[h][i] * latent_number(key, at + i, bf16);
}

/* scores[h][key] for H heads and one key. */
static PIO_ALWAYS_INLINE void latent_score(const latent_item *item, const void *key, int32_t index, const int H,
                                           const bool bf16, latent_work *work) {
    const int32_t n = item->a->head_dim;
    __m256 sums[LATENT_HEADS][2];
    float rest[LATENT_HEADS] = {0};
    PIO_UNROLL(5)
    for (int h = 0; h < H; h++) sums[h][0] = sums[h][1] = _mm256_setzero_ps();
    latent_dot(item->q_latent, key, 0, n, H, bf16, sums, rest);
    latent_dot(item->q_rope, key, n, item->a->rope_dim, H, bf16, sums, rest);
    PIO_UNROLL(5)
    for (int h = 0; h < H; h++)
        work->scores[h][index] = (latent_sum8(_mm256_add_ps(sums[h][0], sums[h][1])) + rest[h]) * item->a->scale;
}

/* sums[h][] += weights times latents, for H heads and n_keys keys. */
static PIO_ALWAYS_INLINE void latent_add(const latent_item *item, const char *keys, size_t row_bytes, int32_t n_keys,
                                         const int H, const bool bf16, latent_work *work) {
    const int32_t n = item->a->head_dim;
    int32_t at = 0;
    for (; at + 16 <= n; at += 16) {
        __m256 sums[LATENT_HEADS][2];
        PIO_UNROLL(5)
        for (int h = 0; h < H; h++) {
            sums[h][0] = _mm256_loadu_ps(work->sums[h] + at);
            sums[h][1] = _mm256_loadu_ps(work->sums[h] + at + 8);
        }
        for (int32_t c = 0; c < n_keys; c++) {
            const char *row = keys + (size_t)c * row_bytes;
            const __m256 x0 = latent_load8(row, at, bf16), x1 = latent_load8(row, at + 8, bf16);
            PIO_UNROLL(5)
            for (int h = 0; h < H; h++) {
                const __m256 weight = _mm256_broadcast_ss(&work->scores[h][c]);
                sums[h][0] = _mm256_fmadd_ps(x0, weight, sums[h][0]);
                sums[h][1] = _mm256_fmadd_ps(x1, weight, sums[h][1]);
            }
        }
        PIO_UNROLL(5)
        for (int h = 0; h < H; h++) {
            _mm256_storeu_ps(work->sums[h] + at, sums[h][0]);
            _mm256_storeu_ps(work->sums[h] + at + 8, sums[h][1]);
        }
    }
    for (; at < n; at++)
        for (int32_t c = 0; c < n_keys; c++)
            for (int h = 0; h < H; h++)
                work->sums[h][at] += latent_number(keys + (size_t)c * row_bytes, at, bf16) * work->scores[h][c];
}

#endif
