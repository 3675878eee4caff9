/* The block quantisers over AVX2 lanes: one block at a time. */
#include <immintrin.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "base/dtype.h"
#include "kernels/dtype/quantize_blocks.h"

#define LANES 8
typedef __m256i lanes;
typedef __m256 lanes_f;

#define l_set16              _mm256_set1_epi16
#define l_set32              _mm256_set1_epi32
#define l_load(from)         _mm256_load_si256((const void *)(from))
#define l_store(to, a)       _mm256_store_si256((void *)(to), a)
#define l_add16              _mm256_add_epi16
#define l_sub16              _mm256_sub_epi16
#define l_min16              _mm256_min_epi16
#define l_max16              _mm256_max_epi16
#define l_mul16              _mm256_mullo_epi16
#define l_mulhrs16           _mm256_mulhrs_epi16
#define l_sra16              _mm256_srai_epi16
#define l_madd               _mm256_madd_epi16
#define l_add32              _mm256_add_epi32
#define l_mul_f              _mm256_mul_ps
#define l_div_f              _mm256_div_ps
#define l_max_f              _mm256_max_ps
#define l_set_f              _mm256_set1_ps
#define l_load_f             _mm256_load_ps
#define l_to_float           _mm256_cvtepi32_ps
#define l_round              _mm256_cvtps_epi32
#define l_less32(a, b, x, y) _mm256_blendv_epi8(y, x, _mm256_cmpgt_epi32(b, a))

static inline lanes l_pair(lanes a) {
    return _mm256_shuffle_epi8(a, _mm256_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13, 0, 1, 0, 1, 4, 5,
                                                   4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
}

static inline lanes l_level(lanes k) { /* levels are 2 apart above 5 and below -6 */
    k = l_min16(l_max16(k, l_set16(-8)), l_set16(7));
    lanes beyond = l_add16(l_max16(k, l_set16(5)), l_min16(k, l_set16(-6)));
    return l_add16(l_add16(k, beyond), l_set16(1));
}

#include "kernels/dtype/quantize_blocks_inc.h"

static void widen_f16(const uint16_t *x, int32_t n, float *out) {
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(x + i))));
    for (; i < n; i++) out[i] = pio_f16_to_f32(x[i]);
}

const pio_block_quantizer pio_block_quantizer_avx2 = {largest_of, quantize_q8, quantize_q4, widen_f16, finite_bf16};
