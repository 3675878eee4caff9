#define NAME pio_sample_avx2
#include "kernels/sample/sample_rows.h"
