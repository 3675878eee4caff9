#define NAME pio_layernorm_portable
#include "kernels/norm/layernorm_rows.h"
