#define NAME pio_route_avx2
#include "kernels/moe/route_rows.h"
