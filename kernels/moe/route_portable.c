#define NAME pio_route_portable
#include "kernels/moe/route_rows.h"
