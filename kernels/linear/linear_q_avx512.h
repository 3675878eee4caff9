/* What the AVX-512 kernels on q8_x16 and q4_x16 share. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_Q_AVX512_H
#define PIO_KERNELS_LINEAR_LINEAR_Q_AVX512_H

#include <immintrin.h>

#include "hal/worker.h"
#include "kernels/dtype/encoding.h"
#include "kernels/dtype/layouts.h"
#include "kernels/linear/linear.h"

/* Four int8 codes of an activation row, in every lane. */
static PIO_ALWAYS_INLINE __m512i pio_q_broadcast4(const void *codes) {
    int32_t word;
    memcpy(&word, codes, 4);
    return _mm512_set1_epi32(word);
}

/* _mm512_dpbusd_epi32 as the instruction itself: around the intrinsic, GCC 12 copies the sums of large tiles and runs
 * out of registers, at half the speed. */
static PIO_ALWAYS_INLINE void pio_q_dot4(__m512i *sums, __m512i w, __m512i x) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sums) : "v"(w), "v"(x));
}

/* The 16 rows' scales of a block. */
static PIO_ALWAYS_INLINE __m512 pio_q_scales(const uint8_t *panel, int32_t block) {
    __m256i bf16 = _mm256_load_si256((const void *)(panel + 32 * (size_t)block));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
}

/* Adds a block's integer sums to the float sums; every kernel does it in this order, so that a token's result does not
 * depend on how many tokens it is computed with. */
static PIO_ALWAYS_INLINE __m512 pio_q_add_block(__m512 sums, __m512i block, __m512 w_scales, float x_scale) {
    return _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(block), w_scales), _mm512_set1_ps(x_scale), sums);
}

#endif
