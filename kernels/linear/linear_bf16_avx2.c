/* Linear layers on bf16_x16, x in float32: the weights are widened, which is exact, and multiplied in float32; 16 rows
 * of w times up to 6 tokens at once. */
#include <immintrin.h>

#include "kernels/dtype/layouts.h"
#include "kernels/families.h"
#include "kernels/linear/linear_units.h"

enum { TILE_TOKENS = 6, AHEAD_BYTES = 2048 };

/* The accumulators are variables, written out by these macros: GCC keeps an array of that size in memory. */
#define FOR_TOKENS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define START(t)       __m256 a##t = _mm256_setzero_ps(), b##t = a##t;
#define MULTIPLY(t)                                                                                                    \
    if (t < n) {                                                                                                       \
        __m256 v = _mm256_broadcast_ss(PIO_AT(const float, x + t * x_stride) + column);                                \
        a##t = _mm256_fmadd_ps(w0, v, a##t);                                                                           \
        b##t = _mm256_fmadd_ps(w1, v, b##t);                                                                           \
    }
#define STORE(t)                                                                                                       \
    if (t < n) {                                                                                                       \
        float *out = sums + t * PIO_UNIT_ROWS;                                                                         \
        if (!block->first) a##t = _mm256_add_ps(a##t, _mm256_loadu_ps(out));                                           \
        if (!block->first) b##t = _mm256_add_ps(b##t, _mm256_loadu_ps(out + 8));                                       \
        _mm256_storeu_ps(out, a##t);                                                                                   \
        _mm256_storeu_ps(out + 8, b##t);                                                                               \
    }

static PIO_ALWAYS_INLINE __m256 even(const uint8_t *pairs) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_load_si256((const void *)pairs), 16));
}

static PIO_ALWAYS_INLINE __m256 odd(const uint8_t *pairs) {
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_load_si256((const void *)pairs), high));
}

/* sums [n][16] of a panel. The block begins at an even column. */
static PIO_ALWAYS_INLINE void multiply_panel(const pio_unit_block *block, const uint8_t *panel, const int n,
                                             float *sums) {
    const pio_u64 x = block->a->x + (pio_u64)block->t * (pio_u64)block->a->x_stride;
    const pio_u64 x_stride = (pio_u64)block->a->x_stride;
    FOR_TOKENS(START)
    panel += 32 * (int64_t)block->k;
    for (int32_t k = block->k; k < block->k_end; k += 2, panel += 64) {
        _mm_prefetch((const char *)panel + AHEAD_BYTES, _MM_HINT_T0);
        {
            const int32_t column = k;
            __m256 w0 = even(panel), w1 = even(panel + 32);
            FOR_TOKENS(MULTIPLY)
        }
        if (k + 1 == block->k_end) break;
        {
            const int32_t column = k + 1;
            __m256 w0 = odd(panel), w1 = odd(panel + 32);
            FOR_TOKENS(MULTIPLY)
        }
    }
    FOR_TOKENS(STORE)
}

#define CASE(n)                                                                                                        \
    case n:                                                                                                            \
        multiply_panel(block, panel, n, block->sums + PIO_X16_ROWS * i);                                               \
        break;

static void multiply(const pio_unit_block *block) {
    const uint64_t panel_bytes = pio_bf16_x16_panel_bytes(block->a->cols);
    for (int32_t i = 0; i < 2 && block->row + PIO_X16_ROWS * i < block->a->n_out; i++) {
        const uint8_t *panel =
            PIO_AT(const uint8_t, block->a->w) + (uint64_t)(block->row / PIO_X16_ROWS + i) * panel_bytes;
        switch (block->n) {
            CASE(1)
            CASE(2)
            CASE(3)
            CASE(4)
            CASE(5)
            CASE(6)
        default:
            break;
        }
    }
}

void pio_linear_bf16_avx2(const void *args, pio_worker *worker) {
    pio_units_run(args, worker, 2, TILE_TOKENS, false, multiply);
}

void pio_linear_swiglu_bf16_avx2(const void *args, pio_worker *worker) {
    pio_units_run(args, worker, 2, TILE_TOKENS, true, multiply);
}
