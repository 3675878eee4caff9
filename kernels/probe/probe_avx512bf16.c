#include <immintrin.h>

#include "kernels/families.h"
#include "kernels/probe/probe_chains.h"

#define DOT16(sum, x, y) _mm512_dpbf16_ps(sum, (__m512bh)(x), (__m512bh)(y))

PIO_PROBE_ROW(pio_probe_bf16_avx512bf16, __m512, _mm512_setzero_ps(), _mm512_set1_epi16(0x3f00),
              _mm512_set1_epi16(0x3e80), DOT16, 64)
