#define NAME pio_layernorm_avx2
#include "kernels/norm/layernorm_rows.h"
