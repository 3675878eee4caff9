/* Linear layers on bf16_x16 for 1 to 8 tokens, x in float32: the weights are widened, which is exact, and multiplied in
 * float32; a panel of 16 rows times up to 6 tokens at once. */
#include <immintrin.h>

#include "kernels/dialect/cases.h"
#include "kernels/dtype/layouts.h"
#include "kernels/families.h"
#include "kernels/linear/linear_bf16_avx2.h"
#include "kernels/linear/linear_stream.h"

enum { TILE_TOKENS = 6, AHEAD_BYTES = 4096 };

/* The accumulators are variables, written out by these macros: GCC keeps an array of that size in memory. */
#define FOR_TOKENS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define START(t)       __m256 a##t = _mm256_setzero_ps(), b##t = a##t;
#define MULTIPLY(t, token, column)                                                                                     \
    if ((token) >= 0 && (token) < n) {                                                                                 \
        __m256 v = _mm256_broadcast_ss(PIO_AT(const float, x + (pio_u64)(token)*x_stride) + (column));                 \
        a##t = _mm256_fmadd_ps(w0, v, a##t);                                                                           \
        b##t = _mm256_fmadd_ps(w1, v, b##t);                                                                           \
    }
#define MULTIPLY_EVEN(t) MULTIPLY(t, t, k)
#define MULTIPLY_ODD(t)  MULTIPLY(t, (t)-odd_at, k + 1)
#define ADD_ODD(t, u)    a##t = _mm256_add_ps(a##t, a##u), b##t = _mm256_add_ps(b##t, b##u);
#define STORE(t)                                                                                                       \
    if (t < n) {                                                                                                       \
        float *out = sums + t * PIO_STREAM_ROWS;                                                                       \
        if (!block->first) a##t = _mm256_add_ps(a##t, _mm256_loadu_ps(out));                                           \
        if (!block->first) b##t = _mm256_add_ps(b##t, _mm256_loadu_ps(out + 8));                                       \
        _mm256_storeu_ps(out, a##t);                                                                                   \
        _mm256_storeu_ps(out + 8, b##t);                                                                               \
    }

/* sums [n][16] of a panel. The block begins at an even column. With up to 3 tokens odd columns have sums of their own,
 * since the multipliers would wait for one chain. */
static PIO_ALWAYS_INLINE void multiply_panel(const pio_stream_block *block, const uint8_t *panel, const int n,
                                             float *sums) {
    const pio_u64 x = block->a->x + (pio_u64)block->t * (pio_u64)block->a->x_stride;
    const pio_u64 x_stride = (pio_u64)block->a->x_stride;
    const int odd_at = n <= 3 ? 3 : 0;
    FOR_TOKENS(START)
    panel += 32 * (int64_t)block->k;
    for (int32_t k = block->k; k < block->k_end; k += 2, panel += 64) {
        _mm_prefetch((const char *)panel + AHEAD_BYTES, _MM_HINT_T0);
        __m256 w0 = pio_bf16_even(panel), w1 = pio_bf16_even(panel + 32);
        FOR_TOKENS(MULTIPLY_EVEN)
        if (k + 1 == block->k_end) break;
        w0 = pio_bf16_odd(panel), w1 = pio_bf16_odd(panel + 32);
        FOR_TOKENS(MULTIPLY_ODD)
    }
    if (odd_at) {
        ADD_ODD(0, 3)
        ADD_ODD(1, 4)
        ADD_ODD(2, 5)
    }
    FOR_TOKENS(STORE)
}

#define DO(n) multiply_panel(block, panel, n, block->sums + PIO_X16_ROWS * i)

static void multiply(const pio_stream_block *block) {
    const uint64_t panel_bytes = pio_bf16_x16_panel_bytes(block->a->cols);
    for (int32_t i = 0; i < 2 && block->row + PIO_X16_ROWS * i < block->a->n_out; i++) {
        const uint8_t *panel =
            PIO_AT(const uint8_t, block->a->w) + (uint64_t)(block->row / PIO_X16_ROWS + i) * panel_bytes;
        PIO_CASES_6(block->n, DO)
    }
}

void pio_linear_bf16_gemv_avx2(const void *args, pio_worker *worker) {
    pio_stream_run(args, worker, 2, TILE_TOKENS, false, multiply);
}

void pio_linear_swiglu_bf16_gemv_avx2(const void *args, pio_worker *worker) {
    pio_stream_run(args, worker, 2, TILE_TOKENS, true, multiply);
}
