#define NAME pio_rmsnorm_portable
#include "kernels/norm/rmsnorm_rows.h"
