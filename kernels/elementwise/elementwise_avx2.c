#define ISA(name) name##_avx2
#include "kernels/elementwise/elementwise_rows.h"
