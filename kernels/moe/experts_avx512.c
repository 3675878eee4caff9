#include "kernels/moe/experts_run.h"

PIO_EXPERTS_ROWS(q8_gemv_avx512, false, PIO_ENC_S8)
PIO_EXPERTS_ROWS(q8_gemm_avx512, true, PIO_ENC_S8)
PIO_EXPERTS_ROWS(q4_gemv_avx512, false, PIO_ENC_S8)
PIO_EXPERTS_ROWS(q4_gemm_avx512, true, PIO_ENC_S8)
PIO_EXPERTS_ROWS(bf16_gemv_avx512, false, PIO_ENC_F32)
PIO_EXPERTS_ROWS(bf16_gemm_avx512, true, PIO_ENC_F32)
PIO_EXPERTS_ROWS(f32_gemv_avx512, false, PIO_ENC_F32)
PIO_EXPERTS_ROWS(f32_gemm_avx512, true, PIO_ENC_F32)
PIO_EXPERTS_ROWS(bf16_gemm_avx512bf16, true, PIO_ENC_BF16)
PIO_EXPERTS_ROWS(q8_gemm_amx, true, PIO_ENC_S8)
PIO_EXPERTS_ROWS(q4_gemm_amx, true, PIO_ENC_S8)
PIO_EXPERTS_ROWS(bf16_gemm_amx, true, PIO_ENC_BF16)
