#define NAME pio_rmsnorm_avx512
#include "kernels/norm/rmsnorm_rows.h"
