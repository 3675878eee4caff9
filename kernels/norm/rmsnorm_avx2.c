#define NAME pio_rmsnorm_avx2
#include "kernels/norm/rmsnorm_rows.h"
