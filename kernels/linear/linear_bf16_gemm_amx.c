/* Linear layers on bf16_x16 by AMX, x in BF16: eight steps of 32 columns are a block of 256, over which the sums stay
 * in tiles. Each step adds its 16 pairs of products up in float32 first and then to the sums, rounding to nearest even;
 * denormal numbers are taken as zeros. */
#include "kernels/families.h"
#include "kernels/linear/linear_amx_run.h"

enum { PANEL_SUMS = PIO_AMX_ROWS * PIO_AMX_ROWS, STORED_BYTES = PIO_SCALE_COLUMNS * PIO_X16_ROWS * 2 };

/* The last block's lines, zeros after them: what follows a panel in memory may be no number at all, and 0 times that is
 * none either. */
static void unpack_last(const pio_amx_plan *p, const uint8_t *panel, int32_t block, uint8_t *out) {
    const size_t bytes = (size_t)p->panel_bytes - (size_t)block * STORED_BYTES;
    memcpy(out, panel + (size_t)block * STORED_BYTES, bytes);
    memset(out + bytes, 0, PIO_ROUND_UP(bytes, (size_t)PIO_AMX_TILE_BYTES) - bytes);
}

/* One or two tiles of tokens. */
static PIO_ALWAYS_INLINE void multiply_tiles(const pio_amx_call *call, const bool two) {
    float *sums = call->sums;
    PIO_AMX_LOAD(0, sums, PIO_AMX_ROW_BYTES);
    PIO_AMX_LOAD(1, sums + PANEL_SUMS, PIO_AMX_ROW_BYTES);
    if (two) {
        PIO_AMX_LOAD(2, sums + 2 * PANEL_SUMS, PIO_AMX_ROW_BYTES);
        PIO_AMX_LOAD(3, sums + 3 * PANEL_SUMS, PIO_AMX_ROW_BYTES);
    }
    for (int s = 0; s < call->n_steps; s++) {
        PIO_AMX_LOAD(4, call->x[0] + s * call->x_bytes[0], PIO_AMX_ROW_BYTES);
        PIO_AMX_LOAD(6, call->w[0] + s * PIO_AMX_TILE_BYTES, PIO_AMX_ROW_BYTES);
        PIO_AMX_LOAD(7, call->w[1] + s * PIO_AMX_TILE_BYTES, PIO_AMX_ROW_BYTES);
        PIO_AMX_DOT_BF16(0, 4, 6);
        PIO_AMX_DOT_BF16(1, 4, 7);
        if (!two) continue;
        PIO_AMX_LOAD(5, call->x[1] + s * call->x_bytes[1], PIO_AMX_ROW_BYTES);
        PIO_AMX_DOT_BF16(2, 5, 6);
        PIO_AMX_DOT_BF16(3, 5, 7);
    }
    PIO_AMX_STORE(0, sums, PIO_AMX_ROW_BYTES);
    PIO_AMX_STORE(1, sums + PANEL_SUMS, PIO_AMX_ROW_BYTES);
    if (!two) return;
    PIO_AMX_STORE(2, sums + 2 * PANEL_SUMS, PIO_AMX_ROW_BYTES);
    PIO_AMX_STORE(3, sums + 3 * PANEL_SUMS, PIO_AMX_ROW_BYTES);
}

static void multiply(pio_amx_plan *p, const pio_amx_call *call) {
    if (p->x.n_tiles > 1)
        multiply_tiles(call, true);
    else
        multiply_tiles(call, false);
}

static const pio_amx_kind pairs = {
    .step_columns = 32, .stored_bytes = STORED_BYTES, .unpack = unpack_last, .multiply = multiply};

static void run_bf16(const void *args, pio_worker *worker, bool swiglu, pio_cpu_function of_few_tokens) {
    const pio_linear_args *a = args;
    const int32_t live = pio_linear_live(a);
    if (live <= PIO_AMX_FEW_TOKENS) {
        of_few_tokens(args, worker);
        return;
    }
    pio_amx_plan p = {.a = a,
                      .kind = &pairs,
                      .x = pio_amx_tokens_of(a, pairs.step_columns, false),
                      .panel_bytes = pio_bf16_x16_panel_bytes(a->cols),
                      .swiglu = swiglu,
                      .short_last = PIO_CEIL_DIV(a->cols, 2) % PIO_AMX_ROWS};
    if (a->phase == PIO_LINEAR_PACK)
        pio_amx_pack(a, worker, &p.x);
    else
        pio_amx_multiply(&p, worker);
}

void pio_linear_bf16_gemm_amx(const void *args, pio_worker *worker) {
    run_bf16(args, worker, false, pio_linear_bf16_gemm_avx512bf16);
}

void pio_linear_swiglu_bf16_gemm_amx(const void *args, pio_worker *worker) {
    run_bf16(args, worker, true, pio_linear_swiglu_bf16_gemm_avx512bf16);
}
