/* The AVX-512 kernels of a few tokens once more for processors with AMX: on these Xeons memory is farther away, and
 * with the distance that is right for others a core has too few lines under way. A compiler's option
 * -DPIO_Q_GEMV_AHEAD_BYTES=N tries another one. */
#ifndef PIO_Q_GEMV_AHEAD_BYTES
#define PIO_Q_GEMV_AHEAD_BYTES 8192
#endif
#include "kernels/linear/linear_q_gemv_avx512.h"

PIO_Q_GEMV_ROWS(amx)
