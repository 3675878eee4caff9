#include <immintrin.h>

#define ISA(name) name##_avx2
#include "kernels/probe/probe_chains.h"
#include "kernels/probe/probe_rows.h"

#define FMA(sum, x, y) _mm256_fmadd_ps(x, y, sum)
#define DOT8(sum, x, y)                                                                                                \
    _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, _mm256_xor_si256(y, sum)), _mm256_set1_epi16(1)))

PIO_PROBE_ROW(pio_probe_f32_avx2, __m256, _mm256_setzero_ps(), _mm256_set1_ps(0.5f), _mm256_set1_ps(0.25f), FMA, 16)
PIO_PROBE_ROW(pio_probe_s8_avx2, __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(3), _mm256_set1_epi8(5), DOT8, 64)
