#define ISA(name) name##_avx512
#include "kernels/elementwise/elementwise_rows.h"
