#include <immintrin.h>

#include "kernels/attention/attention_flow.h"
#include "kernels/families.h"

#define ATT_PANEL_ROWS 4
enum { ATT_LANES = 8, WIDE_COLS = 2 };
typedef __m256 wide;

#define wide_zero()       _mm256_setzero_ps()
#define wide_all(x)       _mm256_set1_ps(x)
#define wide_load(p)      _mm256_loadu_ps(p)
#define wide_store(p, x)  _mm256_storeu_ps(p, x)
#define wide_add(a, b)    _mm256_add_ps(a, b)
#define wide_mul(a, b)    _mm256_mul_ps(a, b)
#define wide_max(a, b)    _mm256_max_ps(a, b)
#define wide_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define wide_low(pairs)   _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)(pairs)), 16))
#define wide_high(pairs)                                                                                               \
    _mm256_castsi256_ps(                                                                                               \
        _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(pairs)), _mm256_set1_epi32((int)0xffff0000)))

static PIO_ALWAYS_INLINE float wide_highest(__m256 x) {
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

/* As pio_exp2_avx512, the whole part going straight into the exponent; below 2^-126 the result is 0. */
static PIO_ALWAYS_INLINE __m256 wide_exp2(__m256 x) {
    __m256 least = _mm256_set1_ps(-126.0f), holds = _mm256_cmp_ps(x, least, _CMP_GE_OQ);
    x = _mm256_max_ps(x, least);
    __m256 whole = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), f = _mm256_sub_ps(x, whole);
    __m256 y = _mm256_fmadd_ps(f, _mm256_set1_ps(0.00132647273f), _mm256_set1_ps(0.00967151271f));
    y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(0.0555073374f));
    y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(0.240222421f));
    y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(0.693146978f));
    y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(1.0f));
    __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
    return _mm256_and_ps(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(y), exponent)), holds);
}

#include "kernels/attention/attention_wide.h"

void pio_attention_avx2(const void *args, pio_worker *worker) {
    att_run(args, worker);
}
