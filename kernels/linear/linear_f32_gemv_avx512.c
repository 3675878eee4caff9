/* Linear layers on float32 rows, x in float32: columns across the lanes, 4 rows of w times up to 6 tokens at once. */
#include <immintrin.h>

#include "kernels/dialect/cases.h"
#include "kernels/families.h"
#include "kernels/linear/linear_stream.h"

enum { TILE_TOKENS = 6, TILE_ROWS = 4 };

/* The sums over the lanes of four vectors. */
static PIO_ALWAYS_INLINE __m128 sum_lanes(__m512 a, __m512 b, __m512 c, __m512 d) {
#define HALVES(v) _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1))
    __m256 ab = _mm256_hadd_ps(HALVES(a), HALVES(b)), cd = _mm256_hadd_ps(HALVES(c), HALVES(d));
    __m256 abcd = _mm256_hadd_ps(ab, cd);
    return _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1));
#undef HALVES
}

/* The accumulators are variables, written out by these macros: GCC keeps an array of that size in memory. */
#define FOR_TOKENS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define START(t)       __m512 a##t = _mm512_setzero_ps(), b##t = a##t, c##t = a##t, d##t = a##t;
#define MULTIPLY(t)                                                                                                    \
    if (t < n) {                                                                                                       \
        __m512 v = _mm512_maskz_loadu_ps(mask, PIO_AT(const float, x + t * x_stride) + k);                             \
        a##t = _mm512_fmadd_ps(w0, v, a##t);                                                                           \
        b##t = _mm512_fmadd_ps(w1, v, b##t);                                                                           \
        c##t = _mm512_fmadd_ps(w2, v, c##t);                                                                           \
        d##t = _mm512_fmadd_ps(w3, v, d##t);                                                                           \
    }
#define STORE(t)                                                                                                       \
    if (t < n) {                                                                                                       \
        float *out = sums + t * PIO_STREAM_ROWS;                                                                       \
        __m128 sum = sum_lanes(a##t, b##t, c##t, d##t);                                                                \
        _mm_storeu_ps(out, block->first ? sum : _mm_add_ps(sum, _mm_loadu_ps(out)));                                   \
    }
#define MULTIPLY_COLUMNS                                                                                               \
    {                                                                                                                  \
        __m512 w0 = _mm512_maskz_loadu_ps(mask, w[0] + k), w1 = _mm512_maskz_loadu_ps(mask, w[1] + k);                 \
        __m512 w2 = _mm512_maskz_loadu_ps(mask, w[2] + k), w3 = _mm512_maskz_loadu_ps(mask, w[3] + k);                 \
        FOR_TOKENS(MULTIPLY)                                                                                           \
    }

/* sums [n][4] of four rows. Where each weight is used once only, what comes after the rows is prefetched. */
static PIO_ALWAYS_INLINE void multiply_rows(const pio_stream_block *block, const float *const w[TILE_ROWS], const int n,
                                            float *sums) {
    const pio_u64 x = block->a->x + (pio_u64)block->t * (pio_u64)block->a->x_stride;
    const pio_u64 x_stride = (pio_u64)block->a->x_stride;
    const int64_t ahead = (int64_t)TILE_ROWS * block->a->cols;
    FOR_TOKENS(START)
    int32_t k = block->k;
    for (; k + 16 <= block->k_end; k += 16) {
        const __mmask16 mask = 0xffff;
        if (n <= 2)
            for (int r = 0; r < TILE_ROWS; r++) _mm_prefetch((const char *)(w[r] + ahead + k), _MM_HINT_T1);
        MULTIPLY_COLUMNS
    }
    if (k < block->k_end) {
        const __mmask16 mask = (__mmask16)((1u << (block->k_end - k)) - 1);
        MULTIPLY_COLUMNS
    }
    FOR_TOKENS(STORE)
}

#define DO(n) multiply_rows(block, w, n, block->sums + r)

static void multiply(const pio_stream_block *block) {
    for (int32_t r = 0; r < PIO_STREAM_ROWS && block->row + r < block->a->n_out; r += TILE_ROWS) {
        const float *w[TILE_ROWS];
        pio_stream_f32_rows(block, r, TILE_ROWS, w);
        PIO_CASES_6(block->n, DO)
    }
}

void pio_linear_f32_gemv_avx512(const void *args, pio_worker *worker) {
    pio_stream_run(args, worker, 4, TILE_TOKENS, false, multiply);
}

void pio_linear_swiglu_f32_gemv_avx512(const void *args, pio_worker *worker) {
    pio_stream_run(args, worker, 4, TILE_TOKENS, true, multiply);
}
