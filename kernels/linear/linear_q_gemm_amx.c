/* Linear layers on q8_x16 and q4_x16 by AMX, x in S8. q8 is multiplied as it lies, codes + 128 as the unsigned right
 * factor, and its sums start from -128 times the sum of the activations; q4 is unpacked to sub * level, which a signed
 * byte holds. Four steps of 64 columns are a block of 256, whose exact integer sums are stored, and take their scales
 * while the next block is multiplied: the same numbers, added in the same order, as by the AVX-512 kernels. */
#include "kernels/families.h"
#include "kernels/linear/linear_amx_run.h"
#include "kernels/linear/linear_q_avx512.h"

enum { PANEL_PRODUCTS = PIO_AMX_ROWS * PIO_AMX_ROWS };

static void unpack_q(const pio_amx_plan *p, const uint8_t *panel, int32_t block, uint8_t *out) {
    const pio_dtype dtype = p->kind->unpacked ? PIO_DTYPE_Q4 : PIO_DTYPE_Q8;
    const pio_x16_panel of = pio_x16_panel_of(dtype, p->a->cols);
    const int32_t n_subs = PIO_MIN(8, of.n_subs - 8 * block);
    if (dtype == PIO_DTYPE_Q4)
        pio_q4_unpack_block(panel, &of, block, n_subs, 0, out);
    else
        memcpy(out, panel + of.codes_at + (size_t)block * (size_t)p->kind->stored_bytes, 512 * (size_t)n_subs);
    if (n_subs % 2) memset(out + 512 * (size_t)n_subs, 0, 512); /* any numbers: the activations are 0 there */
}

#define DOT(c, a, b)                                                                                                   \
    if (q4)                                                                                                            \
        PIO_AMX_DOT_S8_S8(c, a, b);                                                                                    \
    else                                                                                                               \
        PIO_AMX_DOT_S8_U8(c, a, b)

/* What is open of one tile of tokens and one panel. */
typedef struct open_tile {
    const int32_t *products, *starts;
    const float *x_scales;
    float *sums;
    __m512 scales;
} open_tile;

static PIO_ALWAYS_INLINE void close_row(const open_tile *o, int32_t t, const bool q4) {
    float *sums = o->sums + PIO_AMX_ROWS * t;
    __m512i block = _mm512_load_si512(o->products + PIO_AMX_ROWS * t);
    if (!q4) block = _mm512_add_epi32(block, _mm512_set1_epi32(o->starts[t]));
    _mm512_store_ps(sums, pio_q_add_block(_mm512_load_ps(sums), block, o->scales, o->x_scales[t]));
}

static PIO_ALWAYS_INLINE void close_tile(const pio_amx_open *open, const int tile, const int panel, const bool q4) {
    const int at = (2 * tile + panel) * PANEL_PRODUCTS;
    if (!open->n_rows) return;
    const open_tile o = {.products = open->products + at,
                         .starts = open->starts[tile],
                         .x_scales = open->x_scales[tile],
                         .sums = open->sums + at,
                         .scales = pio_q_scales(open->panels[panel], open->block)};
    if (open->n_rows == PIO_AMX_ROWS) {
        PIO_UNROLL(16)
        for (int32_t t = 0; t < PIO_AMX_ROWS; t++) close_row(&o, t, q4);
    } else {
        for (int32_t t = 0; t < open->n_rows; t++) close_row(&o, t, q4);
    }
}

/* One or two tiles of tokens; a quarter (half) of what is open is closed with every step. */
static PIO_ALWAYS_INLINE void multiply_q_tiles(const pio_amx_open *open, const pio_amx_call *call, const bool two,
                                               const bool q4, int32_t *products) {
    PIO_AMX_ZERO(0);
    PIO_AMX_ZERO(1);
    PIO_AMX_ZERO(2);
    PIO_AMX_ZERO(3);
    PIO_UNROLL(4)
    for (int s = 0; s < 4; s++) {
        if (s < call->n_steps) {
            PIO_AMX_LOAD(4, call->x[0] + s * call->x_bytes[0], PIO_AMX_ROW_BYTES);
            PIO_AMX_LOAD(6, call->w[0] + s * PIO_AMX_TILE_BYTES, PIO_AMX_ROW_BYTES);
            PIO_AMX_LOAD(7, call->w[1] + s * PIO_AMX_TILE_BYTES, PIO_AMX_ROW_BYTES);
            DOT(0, 4, 6);
            DOT(1, 4, 7);
            if (two) {
                PIO_AMX_LOAD(5, call->x[1] + s * call->x_bytes[1], PIO_AMX_ROW_BYTES);
                DOT(2, 5, 6);
                DOT(3, 5, 7);
            }
        }
        if (two || s < 2) close_tile(open, s / 2, s % 2, q4);
    }
    PIO_AMX_STORE(0, products, PIO_AMX_ROW_BYTES);
    PIO_AMX_STORE(1, products + PANEL_PRODUCTS, PIO_AMX_ROW_BYTES);
    if (!two) return;
    PIO_AMX_STORE(2, products + 2 * PANEL_PRODUCTS, PIO_AMX_ROW_BYTES);
    PIO_AMX_STORE(3, products + 3 * PANEL_PRODUCTS, PIO_AMX_ROW_BYTES);
}

static PIO_ALWAYS_INLINE void multiply_q(pio_amx_plan *p, const pio_amx_call *call, const bool q4) {
    int32_t *products = p->open.products == p->products ? p->products + PIO_AMX_PAIR_SUMS : p->products;
    if (p->x.n_tiles > 1)
        multiply_q_tiles(&p->open, call, true, q4, products);
    else
        multiply_q_tiles(&p->open, call, false, q4, products);
    p->open = (pio_amx_open){.products = products,
                             .sums = call->sums,
                             .panels = {call->panels[0], call->panels[1]},
                             .block = call->block,
                             .n_rows = pio_amx_tile_rows(&p->x)};
    for (int i = 0; i < 2; i++) {
        const int64_t at = (int64_t)call->block * p->x.live + call->t0[i];
        p->open.x_scales[i] = p->x.scales + at;
        p->open.starts[i] = p->x.starts + at;
    }
}

static PIO_ALWAYS_INLINE void finish_q(pio_amx_plan *p, const bool q4) {
    for (int i = 0; i < (p->x.n_tiles > 1 ? 4 : 2); i++) close_tile(&p->open, i / 2, i % 2, q4);
    p->open.n_rows = 0;
}

static void multiply_q8(pio_amx_plan *p, const pio_amx_call *call) {
    multiply_q(p, call, false);
}

static void multiply_q4(pio_amx_plan *p, const pio_amx_call *call) {
    multiply_q(p, call, true);
}

static void finish_q8(pio_amx_plan *p) {
    finish_q(p, false);
}

static void finish_q4(pio_amx_plan *p) {
    finish_q(p, true);
}

static const pio_amx_kind q8 = {.step_columns = 64,
                                .stored_bytes = PIO_SCALE_COLUMNS * PIO_X16_ROWS,
                                .s8 = true,
                                .unpack = unpack_q,
                                .multiply = multiply_q8,
                                .finish = finish_q8};
static const pio_amx_kind q4 = {.step_columns = 64,
                                .stored_bytes = PIO_SCALE_COLUMNS * PIO_X16_ROWS / 2,
                                .s8 = true,
                                .unpacked = true,
                                .unpack = unpack_q,
                                .multiply = multiply_q4,
                                .finish = finish_q4};

static void run_q(const void *args, pio_worker *worker, bool swiglu, const pio_amx_kind *kind,
                  pio_cpu_function of_few_tokens) {
    const pio_linear_args *a = args;
    const int32_t live = pio_linear_live(a);
    if (live <= PIO_AMX_FEW_TOKENS) {
        of_few_tokens(args, worker);
        return;
    }
    const pio_x16_panel of = pio_x16_panel_of(kind->unpacked ? PIO_DTYPE_Q4 : PIO_DTYPE_Q8, a->cols);
    pio_amx_plan p = {.a = a,
                      .kind = kind,
                      .x = pio_amx_tokens_of(a, kind->step_columns, true),
                      .panel_bytes = of.bytes,
                      .codes_at = of.codes_at,
                      .swiglu = swiglu,
                      .short_last = of.n_subs % 2};
    if (a->phase == PIO_LINEAR_PACK)
        pio_amx_pack(a, worker, &p.x);
    else
        pio_amx_multiply(&p, worker);
}

void pio_linear_q8_gemm_amx(const void *args, pio_worker *worker) {
    run_q(args, worker, false, &q8, pio_linear_q8_gemm_avx512);
}

void pio_linear_q4_gemm_amx(const void *args, pio_worker *worker) {
    run_q(args, worker, false, &q4, pio_linear_q4_gemm_avx512);
}

void pio_linear_swiglu_q8_gemm_amx(const void *args, pio_worker *worker) {
    run_q(args, worker, true, &q8, pio_linear_swiglu_q8_gemm_avx512);
}

void pio_linear_swiglu_q4_gemm_amx(const void *args, pio_worker *worker) {
    run_q(args, worker, true, &q4, pio_linear_swiglu_q4_gemm_avx512);
}
