#define NAME pio_layernorm_avx512
#include "kernels/norm/layernorm_rows.h"
