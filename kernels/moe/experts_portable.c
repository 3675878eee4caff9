#include "kernels/moe/experts_run.h"

PIO_EXPERTS_ROWS(portable, false, PIO_ENC_F32)
