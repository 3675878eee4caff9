#define NAME pio_sample_portable
#include "kernels/sample/sample_rows.h"
