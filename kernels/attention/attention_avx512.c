#include <immintrin.h>

#include "kernels/attention/attention_flow.h"
#include "kernels/dialect/simd_exp2_avx512.h"
#include "kernels/families.h"

#define ATT_PANEL_ROWS 6
enum { ATT_LANES = 16, WIDE_COLS = 2 };
typedef __m512 wide;

#define wide_zero()       _mm512_setzero_ps()
#define wide_all(x)       _mm512_set1_ps(x)
#define wide_load(p)      _mm512_loadu_ps(p)
#define wide_store(p, x)  _mm512_storeu_ps(p, x)
#define wide_add(a, b)    _mm512_add_ps(a, b)
#define wide_mul(a, b)    _mm512_mul_ps(a, b)
#define wide_max(a, b)    _mm512_max_ps(a, b)
#define wide_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define wide_low(pairs)   _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(pairs), 16))
#define wide_high(pairs)                                                                                               \
    _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(pairs), _mm512_set1_epi32((int)0xffff0000)))
#define wide_highest(x) _mm512_reduce_max_ps(x)
#define wide_exp2(x)    pio_exp2_avx512(x)

#include "kernels/attention/attention_wide.h"

void pio_attention_avx512(const void *args, pio_worker *worker) {
    att_run(args, worker);
}
