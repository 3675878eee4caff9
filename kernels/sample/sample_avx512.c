#define NAME pio_sample_avx512
#include "kernels/sample/sample_rows.h"
