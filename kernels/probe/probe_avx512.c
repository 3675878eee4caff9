#include <immintrin.h>

#define ISA(name) name##_avx512
#include "kernels/probe/probe_chains.h"
#include "kernels/probe/probe_rows.h"

#define FMA(sum, x, y)  _mm512_fmadd_ps(x, y, sum)
#define DOT8(sum, x, y) _mm512_dpbusd_epi32(sum, x, y)

PIO_PROBE_ROW(pio_probe_f32_avx512, __m512, _mm512_setzero_ps(), _mm512_set1_ps(0.5f), _mm512_set1_ps(0.25f), FMA, 32)
PIO_PROBE_ROW(pio_probe_s8_avx512, __m512i, _mm512_setzero_si512(), _mm512_set1_epi8(3), _mm512_set1_epi8(5), DOT8, 128)
