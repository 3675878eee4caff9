/* What becomes of the sums of 16 rows of w for one token: bias, residual, SwiGLU; for the AVX-512 kernels. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_FINISH_AVX512_H
#define PIO_KERNELS_LINEAR_LINEAR_FINISH_AVX512_H

#include <immintrin.h>

#include "base/compiler.h"
#include "kernels/linear/linear.h"

/* e^x to about 1 unit in the last place, for |x| <= 104: 2^n e^r with |r| <= ln 2 / 2, Taylor to the 7th degree. */
static inline __m512 pio_linear_exp_x16(__m512 x) {
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x); /* ln 2 in two parts */
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    __m512 e = _mm512_set1_ps(1.0f / 5040);
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f / 720));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f / 120));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f / 24));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1.0f / 6));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(0.5f));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1));
    e = _mm512_fmadd_ps(e, r, _mm512_set1_ps(1));
    return _mm512_scalef_ps(e, n);
}

static inline __m512 pio_linear_swiglu_x16(__m512 gate, __m512 up) {
    const __m512 bound = _mm512_set1_ps(104); /* e^104 is infinite in float32, e^-104 is 0 */
    __m512 minus = _mm512_sub_ps(_mm512_setzero_ps(), gate);
    __m512 e =
        pio_linear_exp_x16(_mm512_max_ps(_mm512_min_ps(minus, bound), _mm512_sub_ps(_mm512_setzero_ps(), bound)));
    return _mm512_mul_ps(_mm512_div_ps(gate, _mm512_add_ps(e, _mm512_set1_ps(1))), up);
}

/* Which of the 16 columns from n on exist. */
static inline __mmask16 pio_linear_mask_x16(const pio_linear_args *a, pio_i32 n) {
    return a->n_out - n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (a->n_out - n)) - 1);
}

/* y[t][n..n+15] = sums + bias + residual, or += weight * sums */
static inline void pio_linear_store_x16(const pio_linear_args *a, pio_i32 t, pio_i32 n, __m512 sums) {
    __mmask16 mask = pio_linear_mask_x16(a, n);
    if (a->bias) sums = _mm512_add_ps(sums, _mm512_maskz_loadu_ps(mask, PIO_AT(const float, a->bias) + n));
    if (a->residual) {
        const float *residual = PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride) + n;
        sums = _mm512_add_ps(sums, _mm512_maskz_loadu_ps(mask, residual));
    }
    float *y = PIO_AT(float, pio_linear_y(a, t)) + n;
    if (a->y_weights)
        sums =
            _mm512_fmadd_ps(_mm512_set1_ps(PIO_AT(const float, a->y_weights)[t]), sums, _mm512_maskz_loadu_ps(mask, y));
    _mm512_mask_storeu_ps(y, mask, sums);
}

/* y[t][i..i+15] = silu(gate) * up */
static inline void pio_linear_store_swiglu_x16(const pio_linear_args *a, pio_i32 t, pio_i32 i, __m512 gate, __m512 up) {
    float *y = PIO_AT(float, pio_linear_y(a, t)) + i;
    _mm512_storeu_ps(y, pio_linear_swiglu_x16(gate, up));
}

/* Two panels from `row` on, for SwiGLU a block of gate rows and their up rows; the second one may have no rows. */
static inline void pio_linear_store_pair(const pio_linear_args *a, pio_i32 t, pio_i32 row, bool swiglu, __m512 first,
                                         __m512 second) {
    if (swiglu) {
        pio_linear_store_swiglu_x16(a, t, row / 2, first, second);
        return;
    }
    pio_linear_store_x16(a, t, row, first);
    if (row + 16 < a->n_out) pio_linear_store_x16(a, t, row + 16, second);
}

/* Brings the lines that pair `index` of the panels will store into the second-level cache (rows of y may all fall into
 * the same sets of the first): stores that miss would hold up the sums of the next tile behind them. */
static PIO_ALWAYS_INLINE void pio_linear_fetch_pair(const pio_linear_args *a, pio_i32 index, pio_i32 t0, pio_i32 n,
                                                    bool swiglu) {
    const pio_i32 column = index * 16 * (swiglu ? 1 : 2);
    for (pio_i32 t = t0; t < t0 + n; t++) {
        const float *y = PIO_AT(const float, pio_linear_y(a, t)) + column;
        _mm_prefetch((const char *)y, _MM_HINT_T1);
        if (!swiglu) _mm_prefetch((const char *)(y + 16), _MM_HINT_T1);
        if (!a->residual) continue;
        const float *residual = PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride) + column;
        _mm_prefetch((const char *)residual, _MM_HINT_T1);
        _mm_prefetch((const char *)(residual + 16), _MM_HINT_T1);
    }
}

#endif
