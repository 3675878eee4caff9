/* The block quantisers over AVX-512 lanes: two blocks at a time. */
#include <immintrin.h>
#include <stdbool.h>

#include "kernels/dtype/quantize_blocks.h"

#define LANES 16
typedef __m512i lanes;
typedef __m512 lanes_f;

#define l_set16              _mm512_set1_epi16
#define l_set32              _mm512_set1_epi32
#define l_load               _mm512_load_si512
#define l_store(to, a)       _mm512_store_si512((void *)(to), a)
#define l_add16              _mm512_add_epi16
#define l_sub16              _mm512_sub_epi16
#define l_min16              _mm512_min_epi16
#define l_max16              _mm512_max_epi16
#define l_mul16              _mm512_mullo_epi16
#define l_mulhrs16           _mm512_mulhrs_epi16
#define l_sra16              _mm512_srai_epi16
#define l_madd               _mm512_madd_epi16
#define l_add32              _mm512_add_epi32
#define l_mul_f              _mm512_mul_ps
#define l_div_f              _mm512_div_ps
#define l_max_f              _mm512_max_ps
#define l_set_f              _mm512_set1_ps
#define l_load_f             _mm512_load_ps
#define l_to_float           _mm512_cvtepi32_ps
#define l_round              _mm512_cvtps_epi32
#define l_less32(a, b, x, y) _mm512_mask_blend_epi32(_mm512_cmplt_epi32_mask(a, b), y, x)

static inline lanes l_pair(lanes a) {
    return _mm512_shuffle_epi8(
        a, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13)));
}

static inline lanes l_level(lanes k) { /* by the low five bits of k */
    const __m512i levels = _mm512_set_epi16(-1, -2, -3, -4, -5, -6, -8, -10, -10, -10, -10, -10, -10, -10, -10, -10, 9,
                                            9, 9, 9, 9, 9, 9, 9, 9, 7, 5, 4, 3, 2, 1, 0);
    return _mm512_permutexvar_epi16(k, levels);
}

#include "kernels/dtype/quantize_blocks_inc.h"

static void widen_f16(const uint16_t *x, int32_t n, float *out) {
    for (int32_t i = 0; i < n; i += 16) {
        __mmask16 mask = n - i >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n - i)) - 1);
        _mm512_mask_storeu_ps(out + i, mask, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, x + i)));
    }
}

const pio_block_quantizer pio_block_quantizer_avx512 = {largest_of, quantize_q8, quantize_q4, widen_f16, finite_bf16};
