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

/* 32 columns of a q4 panel to bytes [8][16][4]. With t = level + 11, in 1..20, sub * level + bias = sub * t + (bias -
 * 11 sub) in each byte. Two bytes are multiplied as one 16-bit number: the low product is within a byte, and where sub
 * is negative it borrows exactly 1 from the high byte (it is never 0), which the addend gives back. */
static PIO_ALWAYS_INLINE void pio_q4_unpack_sub(const uint8_t *codes, const int8_t *subs, __m512i levels,
                                                __m512i addends, uint8_t *out) {
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i both_words =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    __m512i sub = _mm512_cvtepi8_epi32(_mm_load_si128((const void *)subs));
    sub = _mm512_shuffle_epi8(sub, both_words);
    __m512i addend = _mm512_permutexvar_epi16(sub, addends);
    PIO_UNROLL(4)
    for (int v = 0; v < 4; v++) {
        __m512i pair = _mm512_load_si512(codes + 64 * v);
        __m512i w0 = _mm512_shuffle_epi8(levels, _mm512_and_si512(pair, low));
        __m512i w1 = _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16(pair, 4), low));
        _mm512_store_si512(out + 128 * v, _mm512_add_epi8(_mm512_mullo_epi16(w0, sub), addend));
        _mm512_store_si512(out + 128 * v + 64, _mm512_add_epi8(_mm512_mullo_epi16(w1, sub), addend));
    }
}

/* bias - 11 * sub as both bytes of a word, by the low five bits of sub; see pio_q4_unpack_sub. */
static PIO_ALWAYS_INLINE __m512i pio_q4_unpack_addends(const int bias) {
    uint16_t words[32];
    for (int i = 0; i < 32; i++) {
        int sub = i < 16 ? i : i - 32;
        words[i] = (uint16_t)(((bias - 11 * sub) & 255) | ((bias - 11 * sub + (sub < 0)) & 255) << 8);
    }
    return _mm512_loadu_si512(words);
}

/* A block of a q4 panel, n_subs x 32 columns, to bytes sub * level + bias [..][16][4]: u8 with 128, int8 with 0. */
static PIO_ALWAYS_INLINE void pio_q4_unpack_block(const uint8_t *panel, const pio_x16_panel *p, int32_t block,
                                                  int32_t n_subs, const int bias, uint8_t *out) {
    const __m512i addends = pio_q4_unpack_addends(bias);
    const __m512i levels =
        _mm512_broadcast_i32x4(_mm_add_epi8(_mm_loadu_si128((const void *)pio_q4_levels), _mm_set1_epi8(11)));
    const uint8_t *codes = panel + p->codes_at + (size_t)block * (PIO_SCALE_COLUMNS * PIO_X16_ROWS / 2);
    const int8_t *subs = (const int8_t *)panel + p->subs_at + (size_t)block * 8 * PIO_X16_ROWS;
    for (int32_t s = 0; s < n_subs; s++)
        pio_q4_unpack_sub(codes + 256 * s, subs + 16 * s, levels, addends, out + 512 * s);
}

#endif
