#include "kernels/moe/experts_run.h"

PIO_EXPERTS_ROWS(q8_avx2, false, PIO_ENC_S8)
PIO_EXPERTS_ROWS(q4_avx2, false, PIO_ENC_S8)
PIO_EXPERTS_ROWS(bf16_gemv_avx2, false, PIO_ENC_F32)
PIO_EXPERTS_ROWS(bf16_gemm_avx2, true, PIO_ENC_F32)
PIO_EXPERTS_ROWS(f32_gemv_avx2, false, PIO_ENC_F32)
PIO_EXPERTS_ROWS(f32_gemm_avx2, true, PIO_ENC_F32)
