/* The sources of the AMX kernels once more, over plain C in place of the tiles and under other names. */
#include "tests/support/amx_emulated.h"

#define pio_linear_q8_gemm_amx           emulated_linear_q8
#define pio_linear_q4_gemm_amx           emulated_linear_q4
#define pio_linear_bf16_gemm_amx         emulated_linear_bf16
#define pio_linear_swiglu_q8_gemm_amx    emulated_linear_swiglu_q8
#define pio_linear_swiglu_q4_gemm_amx    emulated_linear_swiglu_q4
#define pio_linear_swiglu_bf16_gemm_amx  emulated_linear_swiglu_bf16
#define pio_experts_linear_q8_gemm_amx   emulated_experts_linear_q8
#define pio_experts_linear_q4_gemm_amx   emulated_experts_linear_q4
#define pio_experts_linear_bf16_gemm_amx emulated_experts_linear_bf16
#define pio_experts_swiglu_q8_gemm_amx   emulated_experts_swiglu_q8
#define pio_experts_swiglu_q4_gemm_amx   emulated_experts_swiglu_q4
#define pio_experts_swiglu_bf16_gemm_amx emulated_experts_swiglu_bf16
#define pio_experts_down_q8_gemm_amx     emulated_experts_down_q8
#define pio_experts_down_q4_gemm_amx     emulated_experts_down_q4
#define pio_experts_down_bf16_gemm_amx   emulated_experts_down_bf16
#define pio_probe_s8_amx                 emulated_probe_s8
#define pio_probe_bf16_amx               emulated_probe_bf16

#include "kernels/linear/linear_bf16_gemm_amx.c"
#include "kernels/linear/linear_q_gemm_amx.c"
#include "kernels/moe/experts_run.h"
#include "kernels/probe/probe_amx.c"

PIO_EXPERTS_ROWS(q8_gemm_amx, true, PIO_ENC_S8)
PIO_EXPERTS_ROWS(q4_gemm_amx, true, PIO_ENC_S8)
PIO_EXPERTS_ROWS(bf16_gemm_amx, true, PIO_ENC_BF16)

extern const pio_cpu_function emulated_functions[];
extern const int n_emulated_functions;

/* Of the AMX rows, in the rows' order. */
#define ROW_BASE(function)
#define ROW_AVX2(function)
#define ROW_AVX512(function)
#define ROW_AVX512BF16(function)
#define ROW_AMX(function) function,
#define PIO_CPU(op, isa, variant, layout, acts, outs, least, most, rank, match, scratch, record, function)             \
    ROW_##isa(function)
#define PIO_CPU_PORTABLE PIO_CPU
#define PIO_VULKAN(...)
#define PIO_VULKAN_PORTABLE(...)
const pio_cpu_function emulated_functions[] = {
#include "kernels/rows.def"
};
const int n_emulated_functions = PIO_COUNT(emulated_functions);
