#define NAME pio_route_avx512
#include "kernels/moe/route_rows.h"
