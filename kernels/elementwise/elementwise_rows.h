/* The rows of ADD, SWIGLU, GELU and CONVERT, one source for all instruction sets: a file a set defines ISA(name) and
 * includes this. A tile is one row, for CONVERT a cut of one: few long rows are cut into columns, so that every worker
 * has some, and of many cuts a worker takes several at once, for the counter is a line that all of them fight for. */
#include "kernels/dialect/vector.h"
#include "kernels/families.h"

#define ROW(type, address, t, stride) PIO_AT(type, (address) + (pio_u64)(t) * (pio_u64)(stride))

enum { CUT_COLS = 1024, TAKES = 32 }; /* columns: a multiple of every encoding's block; takes by each worker */

static PIO_ALWAYS_INLINE pio_i32 live_rows(pio_u64 live, pio_i32 bound) {
    return live ? *PIO_AT(const pio_i32, live) : bound;
}

void ISA(pio_add)(const void *args, pio_worker *worker) {
    const pio_add_args *a = args;
    const pio_i32 rows = live_rows(a->live, a->rows);
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;) {
        const float *x = ROW(const float, a->a, t, a->a_stride), *z = ROW(const float, a->b, t, a->b_stride);
        float *y = ROW(float, a->y, t, a->y_stride);
        for (pio_i32 i = 0; i < a->cols; i++) y[i] = x[i] + z[i];
    }
}

/* Columns [from, to) of one row; `from` is a multiple of the block. */
static PIO_ALWAYS_INLINE void swiglu(const float *x, pio_i32 from, pio_i32 to, pio_i32 cols, float *y) {
    for (pio_i32 j = from; j < to; j += PIO_SWIGLU_BLOCK) {
        const float *gate = x + 2 * j;
        const pio_i32 width = PIO_MIN(PIO_SWIGLU_BLOCK, cols - j);
        if (width == PIO_SWIGLU_BLOCK)
            for (pio_i32 i = 0; i < PIO_SWIGLU_BLOCK; i++) y[j + i] = pio_silu(gate[i]) * gate[PIO_SWIGLU_BLOCK + i];
        else
            for (pio_i32 i = 0; i < width; i++) y[j + i] = pio_silu(gate[i]) * gate[width + i];
    }
}

void ISA(pio_swiglu)(const void *args, pio_worker *worker) {
    const pio_map_args *a = args;
    const pio_i32 rows = live_rows(a->live, a->rows);
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;) {
        void *out = ROW(void, a->y, t, a->y_stride);
        float *y = a->encoding == PIO_ENC_F32 ? out : worker->scratch;
        swiglu(ROW(const float, a->x, t, a->x_stride), 0, a->cols, a->cols, y);
        if (y != out) pio_encode((pio_encoding)a->encoding, y, a->cols, out);
    }
}

/* x / (1 + e^-2u): the half of 1 + tanh(u) is the logistic function of 2u. */
static PIO_ALWAYS_INLINE void gelu_tanh(const float *x, pio_i32 n, float *y) {
    for (pio_i32 i = 0; i < n; i++) {
        const float v = x[i];
        y[i] = v / (1.0f + pio_exp(-1.5957691216f * (v + 0.044715f * v * v * v)));
    }
}

/* Phi(-|x|), the tail of the normal distribution, is e^(-x^2 / 2) times a polynomial in t = 1 / (1 + z / 2), z = |x| /
 * sqrt 2 (the form of Abramowitz and Stegun 7.1.26). These coefficients are fitted to the least relative error for
 * z up to 10, 4.3e-8, so that far tails are right too. */
static PIO_ALWAYS_INLINE void gelu_erf(const float *x, pio_i32 n, float *y) {
    for (pio_i32 i = 0; i < n; i++) {
        const float v = x[i], t = 1.0f / (1.0f + 0.35355339f * (v < 0 ? -v : v));
        float p = -0.02953447108f;
        p = p * t + 0.1422874378f;
        p = p * t - 0.2435998594f;
        p = p * t + 0.1390334792f;
        p = p * t - 0.0133127658f;
        p = p * t + 0.1013434076f;
        p = p * t + 0.1215518877f;
        p = p * t + 0.1411876535f;
        p = p * t + 0.141043209f;
        const float tail = p * t * pio_exp(-0.5f * v * v);
        y[i] = v * (v < 0 ? tail : 1.0f - tail);
    }
}

void ISA(pio_gelu)(const void *args, pio_worker *worker) {
    const pio_map_args *a = args;
    const pio_i32 rows = live_rows(a->live, a->rows);
    for (pio_i32 t; (t = pio_worker_take(worker)) < rows;) {
        const float *x = ROW(const float, a->x, t, a->x_stride);
        void *out = ROW(void, a->y, t, a->y_stride);
        float *y = a->encoding == PIO_ENC_F32 ? out : worker->scratch;
        if (a->flags & PIO_GELU_ERF)
            gelu_erf(x, a->cols, y);
        else
            gelu_tanh(x, a->cols, y);
        if (y != out) pio_encode((pio_encoding)a->encoding, y, a->cols, out);
    }
}

/* Columns [from, from + n) of one row. */
static PIO_ALWAYS_INLINE void convert(const pio_map_args *a, pio_i32 t, pio_i32 from, pio_i32 n) {
    const float *x = ROW(const float, a->x, t, a->x_stride) + from;
    char *y = ROW(char, a->y, t, a->y_stride);
    if (a->encoding == PIO_ENC_BF16) {
        pio_encode_bf16(x, n, (uint16_t *)y + from);
        return;
    }
    float *scales = (float *)(y + pio_s8_scales_at(a->cols)) + from / PIO_SCALE_COLUMNS;
    int32_t *sums = (int32_t *)(y + pio_s8_sums_at(a->cols)) + from / PIO_SCALE_COLUMNS;
    for (pio_i32 c = 0; c < n; c += PIO_SCALE_COLUMNS)
        pio_encode_s8_block(x + c, PIO_MIN(PIO_SCALE_COLUMNS, n - c), (int8_t *)y + from + c, scales++, sums++);
}

void ISA(pio_convert)(const void *args, pio_worker *worker) {
    const pio_map_args *a = args;
    const pio_i32 rows = live_rows(a->live, a->rows), cuts = PIO_CEIL_DIV(a->cols, CUT_COLS), total = rows * cuts;
    const pio_i32 run = PIO_MAX(1, total / (TAKES * worker->n_workers));
    for (pio_i32 first; (first = pio_worker_take(worker) * run) < total;) {
        for (pio_i32 tile = first; tile < PIO_MIN(first + run, total); tile++) {
            const pio_i32 from = tile % cuts * CUT_COLS;
            convert(a, tile / cuts, from, PIO_MIN(CUT_COLS, a->cols - from));
        }
    }
}
