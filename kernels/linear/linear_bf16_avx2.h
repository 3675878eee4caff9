/* Widening bf16_x16 on AVX2. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_BF16_AVX2_H
#define PIO_KERNELS_LINEAR_LINEAR_BF16_AVX2_H

#include <immintrin.h>

#include "base/compiler.h"

/* The even and the odd columns of 8 pairs, as float32. */
static PIO_ALWAYS_INLINE __m256 pio_bf16_even(const uint8_t *pairs) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_load_si256((const void *)pairs), 16));
}

static PIO_ALWAYS_INLINE __m256 pio_bf16_odd(const uint8_t *pairs) {
    const __m256i high = _mm256_set1_epi32((int)0xffff0000u);
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_load_si256((const void *)pairs), high));
}

#endif
