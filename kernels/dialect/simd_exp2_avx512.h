/* 2^x for 16 numbers; included by AVX-512 files alone. */
#ifndef PIO_KERNELS_DIALECT_SIMD_EXP2_AVX512_H
#define PIO_KERNELS_DIALECT_SIMD_EXP2_AVX512_H

#include <immintrin.h>

#include "base/compiler.h"

/* x is split into a whole number and f in [-1/2, 1/2]; 2^f is a polynomial that is exactly 1 at 0. Below -200 the
 * result is 0, -infinity included; NaN gives 0 too. */
static PIO_ALWAYS_INLINE __m512 pio_exp2_split(__m512 x, __m512 *f) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-200.0f));
    __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    *f = _mm512_sub_ps(x, whole);
    return whole;
}

/* Relative error below 1.1e-4: enough for what is rounded to bf16 next. */
static PIO_ALWAYS_INLINE __m512 pio_exp2_bf16_avx512(__m512 x) {
    __m512 f, whole = pio_exp2_split(x, &f);
    __m512 y = _mm512_fmadd_ps(f, _mm512_set1_ps(0.0550089315f), _mm512_set1_ps(0.242210964f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(0.693282928f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(y, whole);
}

/* Relative error below 2e-7. */
static PIO_ALWAYS_INLINE __m512 pio_exp2_avx512(__m512 x) {
    __m512 f, whole = pio_exp2_split(x, &f);
    __m512 y = _mm512_fmadd_ps(f, _mm512_set1_ps(0.00132647273f), _mm512_set1_ps(0.00967151271f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(0.0555073374f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(0.240222421f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(0.693146978f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(y, whole);
}

#endif
