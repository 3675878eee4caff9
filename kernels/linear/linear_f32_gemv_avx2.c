/* Linear layers on float32 rows, x in float32: columns across the lanes, 4 rows of w times up to 3 tokens at once. */
#include <immintrin.h>

#include "kernels/families.h"
#include "kernels/linear/linear_stream.h"

enum { TILE_TOKENS = 3, TILE_ROWS = 4 };

/* The sums over the lanes of four vectors. */
static PIO_ALWAYS_INLINE __m128 sum_lanes(__m256 a, __m256 b, __m256 c, __m256 d) {
    __m256 abcd = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1));
}

/* The accumulators are variables, written out by these macros: GCC keeps an array of that size in memory. */
#define FOR_TOKENS(DO) DO(0) DO(1) DO(2)
#define START(t)       __m256 a##t = _mm256_setzero_ps(), b##t = a##t, c##t = a##t, d##t = a##t;
#define MULTIPLY(t)                                                                                                    \
    if (t < n) {                                                                                                       \
        __m256 v = LOAD(PIO_AT(const float, x + t * x_stride) + k);                                                    \
        a##t = _mm256_fmadd_ps(LOAD(w[0] + k), v, a##t);                                                               \
        b##t = _mm256_fmadd_ps(LOAD(w[1] + k), v, b##t);                                                               \
        c##t = _mm256_fmadd_ps(LOAD(w[2] + k), v, c##t);                                                               \
        d##t = _mm256_fmadd_ps(LOAD(w[3] + k), v, d##t);                                                               \
    }
#define STORE(t)                                                                                                       \
    if (t < n) {                                                                                                       \
        float *out = sums + t * PIO_STREAM_ROWS;                                                                       \
        __m128 sum = sum_lanes(a##t, b##t, c##t, d##t);                                                                \
        _mm_storeu_ps(out, block->first ? sum : _mm_add_ps(sum, _mm_loadu_ps(out)));                                   \
    }

/* sums [n][4] of four rows. Where each weight is used once only, what comes after the rows is prefetched. */
static PIO_ALWAYS_INLINE void multiply_rows(const pio_stream_block *block, const float *const w[TILE_ROWS], const int n,
                                            float *sums) {
    const pio_u64 x = block->a->x + (pio_u64)block->t * (pio_u64)block->a->x_stride;
    const pio_u64 x_stride = (pio_u64)block->a->x_stride;
    const int64_t ahead = (int64_t)TILE_ROWS * block->a->cols;
    FOR_TOKENS(START)
    int32_t k = block->k;
    for (; k + 8 <= block->k_end; k += 8) {
        if (n <= 2 && k % 16 == 0)
            for (int r = 0; r < TILE_ROWS; r++) _mm_prefetch((const char *)(w[r] + ahead + k), _MM_HINT_T1);
#define LOAD _mm256_loadu_ps
        FOR_TOKENS(MULTIPLY)
#undef LOAD
    }
    if (k < block->k_end) {
        const __m256i mask =
            _mm256_cmpgt_epi32(_mm256_set1_epi32(block->k_end - k), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
#define LOAD(at) _mm256_maskload_ps(at, mask)
        FOR_TOKENS(MULTIPLY)
#undef LOAD
    }
    FOR_TOKENS(STORE)
}

static void multiply(const pio_stream_block *block) {
    for (int32_t r = 0; r < PIO_STREAM_ROWS && block->row + r < block->a->n_out; r += TILE_ROWS) {
        const float *w[TILE_ROWS];
        pio_stream_f32_rows(block, r, TILE_ROWS, w);
        if (block->n == 1)
            multiply_rows(block, w, 1, block->sums + r);
        else if (block->n == 2)
            multiply_rows(block, w, 2, block->sums + r);
        else
            multiply_rows(block, w, 3, block->sums + r);
    }
}

void pio_linear_f32_gemv_avx2(const void *args, pio_worker *worker) {
    pio_stream_run(args, worker, 4, TILE_TOKENS, false, multiply);
}

void pio_linear_swiglu_f32_gemv_avx2(const void *args, pio_worker *worker) {
    pio_stream_run(args, worker, 4, TILE_TOKENS, true, multiply);
}
