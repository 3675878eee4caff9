/* The processor's own prefetching has the line after next under way. Asking for lines further ahead cost a tenth to a
 * third of the rate on Zen 4. */
#define PIO_Q_GEMV_AHEAD_BYTES 128
#include "kernels/linear/linear_q_gemv_avx512.h"

PIO_Q_GEMV_ROWS(avx512)
