/* Linear layers for 9 tokens and more with float32 sums, x in float32: a panel of 16 rows times up to 6 tokens at once.
 * Blocks of weights are laid out as float32 panels first: bf16_x16 is widened, which is exact, float32 rows are
 * transposed. Widening while multiplying needs more registers than there are. */
#include "kernels/dtype/layouts.h"
#include "kernels/families.h"
#include "kernels/linear/linear_bf16_avx2.h"
#include "kernels/linear/linear_tiles_run.h"

enum { TILE_TOKENS = 6, PAIR_BYTES = 2 * PIO_PANEL_ROWS * 4, AHEAD_BYTES = 4096 };

/* ---- float32 panels ---- */

/* panel [columns][16]; k is even. */
static void load_bf16_x16(const pio_linear_args *a, int32_t row, int32_t k, int32_t k_end, void *panel) {
    const int32_t n = PIO_MIN(row / PIO_PANEL_ROWS, (a->n_out - 1) / PIO_PANEL_ROWS);
    const uint8_t *pairs =
        PIO_AT(const uint8_t, a->w) + (uint64_t)n * pio_bf16_x16_panel_bytes(a->cols) + 32 * (uint64_t)k;
    for (float *out = panel; k < k_end; k += 2, pairs += 64, out += 2 * PIO_PANEL_ROWS) {
        _mm_prefetch((const char *)pairs + AHEAD_BYTES, _MM_HINT_T0);
        _mm256_store_ps(out, pio_bf16_even(pairs));
        _mm256_store_ps(out + 8, pio_bf16_even(pairs + 32));
        _mm256_store_ps(out + 16, pio_bf16_odd(pairs));
        _mm256_store_ps(out + 24, pio_bf16_odd(pairs + 32));
    }
}

/* v[i] lane j becomes v[j] lane i. */
static PIO_ALWAYS_INLINE void transpose(__m256 v[8]) {
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

/* panel [columns][16]; k_end may be one past the last column. */
static void load_f32_rows(const pio_linear_args *a, int32_t row, int32_t k, int32_t k_end, void *panel) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (float *out = panel; k < k_end; k += 8, out += 8 * PIO_PANEL_ROWS) {
        const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(a->cols - k), lane);
        for (int half = 0; half < PIO_PANEL_ROWS; half += 8) {
            __m256 v[8];
            for (int r = 0; r < 8; r++) {
                const int64_t from = PIO_MIN(row + half + r, a->n_out - 1);
                v[r] = _mm256_maskload_ps(PIO_AT(const float, a->w) + from * a->cols + k, mask);
            }
            transpose(v);
            for (int i = 0; i < PIO_MIN(8, k_end - k); i++) _mm256_store_ps(out + i * PIO_PANEL_ROWS + half, v[i]);
        }
    }
}

/* ---- products ---- */

/* The accumulators are variables, written out by these macros: GCC keeps an array of that size in memory. */
#define FOR_TOKENS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define START(t)                                                                                                       \
    __m256 a##t = _mm256_setzero_ps(), b##t = a##t;                                                                    \
    if (t < n && !first) a##t = _mm256_load_ps(sums + 16 * t), b##t = _mm256_load_ps(sums + 16 * t + 8);
#define MULTIPLY(t)                                                                                                    \
    if (t < n) {                                                                                                       \
        __m256 v = _mm256_broadcast_ss(values + t);                                                                    \
        a##t = _mm256_fmadd_ps(w0, v, a##t);                                                                           \
        b##t = _mm256_fmadd_ps(w1, v, b##t);                                                                           \
    }
#define END(t)                                                                                                         \
    if (t < n) _mm256_store_ps(sums + 16 * t, a##t), _mm256_store_ps(sums + 16 * t + 8, b##t);

/* sums [n][16] of a panel. */
static PIO_ALWAYS_INLINE void multiply_panel(const float *panel, int32_t n_columns, const float *values, const int n,
                                             bool first, float *sums) {
    FOR_TOKENS(START)
    for (int32_t k = 0; k < n_columns; k++, panel += PIO_PANEL_ROWS, values += n) {
        PIO_PREFETCH(values + AHEAD_BYTES / 8);
        __m256 w0 = _mm256_load_ps(panel), w1 = _mm256_load_ps(panel + 8);
        FOR_TOKENS(MULTIPLY)
    }
    FOR_TOKENS(END)
}

#define MULTIPLY_N(n)                                                                                                  \
    static void multiply_##n(pio_twin_block *block, const uint32_t *x, bool first, float *sums) {                      \
        for (int i = 0; i < 2; i++)                                                                                    \
            multiply_panel((const float *)(const void *)block->w[i], 2 * block->n_pairs,                               \
                           (const float *)(const void *)x, n, first, sums + PIO_PANEL_ROWS * n * i);                   \
    }
MULTIPLY_N(1)
MULTIPLY_N(2)
MULTIPLY_N(3)
MULTIPLY_N(4)
MULTIPLY_N(5)
MULTIPLY_N(6)

static const pio_twin_multiply multiply_tokens[] = {NULL,       multiply_1, multiply_2, multiply_3,
                                                    multiply_4, multiply_5, multiply_6};

static const pio_tiles_kind bf16_x16 = {
    .multiply = multiply_tokens, .tile_tokens = TILE_TOKENS, .pair_bytes = PAIR_BYTES, .load = load_bf16_x16};
static const pio_tiles_kind f32_rows = {
    .multiply = multiply_tokens, .tile_tokens = TILE_TOKENS, .pair_bytes = PAIR_BYTES, .load = load_f32_rows};

void pio_linear_bf16_gemm_avx2(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, false, &bf16_x16);
}

void pio_linear_swiglu_bf16_gemm_avx2(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, true, &bf16_x16);
}

void pio_linear_f32_gemm_avx2(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, false, &f32_rows);
}

void pio_linear_swiglu_f32_gemm_avx2(const void *args, pio_worker *worker) {
    pio_tiles_run(args, worker, true, &f32_rows);
}
