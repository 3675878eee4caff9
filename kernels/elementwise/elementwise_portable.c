#define ISA(name) name##_portable
#include "kernels/elementwise/elementwise_rows.h"
