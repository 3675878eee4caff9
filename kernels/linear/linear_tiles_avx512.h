/* The parts of a tiled AVX-512 kernel: 24 accumulators of 16 rows, for two panels and up to 12 tokens. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_TILES_AVX512_H
#define PIO_KERNELS_LINEAR_LINEAR_TILES_AVX512_H

#include <immintrin.h>

#include "kernels/linear/linear_tiles_run.h"

/* Tokens' words are fetched this far ahead: every tile is a new stream, and the processor's own prefetching ends at the
 * border of each page. */
enum { PIO_TILE_TOKENS = 12, PIO_TILE_AHEAD_WORDS = 512 };

/* The accumulators are variables, written out by macros: GCC keeps an array of that size in memory. */
#define PIO_TILE_FOR_TOKENS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

#define PIO_TILE_START(t)                                                                                              \
    __m512 c##t = _mm512_setzero_ps(), d##t = _mm512_setzero_ps();                                                     \
    if (t < n && !first) c##t = _mm512_load_ps(sums + 16 * t), d##t = _mm512_load_ps(sums + 16 * (n + t));
#define PIO_TILE_END(t)                                                                                                \
    if (t < n) _mm512_store_ps(sums + 16 * t, c##t), _mm512_store_ps(sums + 16 * (n + t), d##t);

/* The functions multiply_1 .. multiply_12 from multiply(block, x, n, first, sums), and their table multiply_tokens. */
#define PIO_MULTIPLY_N(multiply, n)                                                                                    \
    static void multiply##_##n(pio_twin_block *block, const uint32_t *x, bool first, float *sums) {                    \
        multiply(block, x, n, first, sums);                                                                            \
    }
#define PIO_MULTIPLY_TABLE(multiply)                                                                                   \
    PIO_MULTIPLY_N(multiply, 1)                                                                                        \
    PIO_MULTIPLY_N(multiply, 2)                                                                                        \
    PIO_MULTIPLY_N(multiply, 3)                                                                                        \
    PIO_MULTIPLY_N(multiply, 4)                                                                                        \
    PIO_MULTIPLY_N(multiply, 5)                                                                                        \
    PIO_MULTIPLY_N(multiply, 6)                                                                                        \
    PIO_MULTIPLY_N(multiply, 7)                                                                                        \
    PIO_MULTIPLY_N(multiply, 8)                                                                                        \
    PIO_MULTIPLY_N(multiply, 9)                                                                                        \
    PIO_MULTIPLY_N(multiply, 10)                                                                                       \
    PIO_MULTIPLY_N(multiply, 11)                                                                                       \
    PIO_MULTIPLY_N(multiply, 12)                                                                                       \
    static const pio_twin_multiply multiply##_tokens[] = {                                                             \
        NULL,         multiply##_1, multiply##_2, multiply##_3,  multiply##_4,  multiply##_5, multiply##_6,            \
        multiply##_7, multiply##_8, multiply##_9, multiply##_10, multiply##_11, multiply##_12};

#endif
