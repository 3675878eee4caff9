/* Float32 linear layers for any machine and any row-major layout: --compute f32, and processors without AVX2. A tile is
 * a panel of 8 rows of w, unpacked once for all tokens and interleaved, so that a plain loop over the 8 rows is what
 * the compiler vectorises. Sums restart every 256 columns, which keeps them close to exact. */
#include <math.h>

#include "base/compiler.h"
#include "hal/worker.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/families.h"

enum { PANEL = 8, TOKENS = 4, CHUNK = 256 };

/* panel [cols, 8] <- rows first..first+7 of w; rows past n_out are zeros. */
static void load_panel(const pio_linear_args *a, int32_t first, float *panel, float *row) {
    for (int32_t r = 0; r < PANEL; r++) {
        bool exists = first + r < a->n_out;
        if (exists)
            pio_layout_get((pio_layout)a->w_layout)
                ->unpack_row(PIO_AT(const void, a->w), a->n_out, a->cols, first + r, row);
        for (int32_t k = 0; k < a->cols; k++) panel[k * PANEL + r] = exists ? row[k] : 0;
    }
}

/* sums [n, 8] += x [n rows, k columns] panel^T, n <= 4. Always computes 4 rows: the caller repeats a row. */
static void chunk_dot(const float *const x[TOKENS], const float *restrict panel, int32_t k, float sums[TOKENS][PANEL]) {
    float s0[PANEL] = {0}, s1[PANEL] = {0}, s2[PANEL] = {0}, s3[PANEL] = {0};
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    for (int32_t i = 0; i < k; i++, panel += PANEL) {
        for (int r = 0; r < PANEL; r++) s0[r] += x0[i] * panel[r];
        for (int r = 0; r < PANEL; r++) s1[r] += x1[i] * panel[r];
        for (int r = 0; r < PANEL; r++) s2[r] += x2[i] * panel[r];
        for (int r = 0; r < PANEL; r++) s3[r] += x3[i] * panel[r];
    }
    for (int r = 0; r < PANEL; r++) {
        sums[0][r] += s0[r];
        sums[1][r] += s1[r];
        sums[2][r] += s2[r];
        sums[3][r] += s3[r];
    }
}

/* The products of up to 4 tokens from t on with a panel. */
static void tokens_dot(const pio_linear_args *a, int32_t t, int32_t n, const float *panel, float sums[TOKENS][PANEL]) {
    for (int i = 0; i < TOKENS; i++)
        for (int r = 0; r < PANEL; r++) sums[i][r] = 0;
    for (int32_t k = 0; k < a->cols; k += CHUNK) {
        const float *x[TOKENS];
        for (int i = 0; i < TOKENS; i++)
            x[i] = PIO_AT(const float, a->x + (pio_u64)(t + PIO_MIN(i, n - 1)) * (pio_u64)a->x_stride) + k;
        chunk_dot(x, panel + (size_t)k * PANEL, PIO_MIN(CHUNK, a->cols - k), sums);
    }
}

/* What becomes of a sum: y = sum + bias + residual, or y += weight * sum; the gate, kept in y until its up row comes;
 * the up row. */
typedef enum finish { FINISH_ADD, FINISH_GATE, FINISH_UP } finish;

static void store(const pio_linear_args *a, int32_t t, int32_t first, finish kind, int32_t column, const float *sums) {
    float *y = PIO_AT(float, pio_linear_y(a, t)) + column;
    const float *weight = a->y_weights ? PIO_AT(const float, a->y_weights) + t : NULL;
    const float *bias = a->bias ? PIO_AT(const float, a->bias) + first : NULL;
    const float *residual =
        a->residual ? PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride) + first : NULL;
    for (int32_t r = 0; r < PIO_MIN(PANEL, a->n_out - first); r++) {
        if (kind == FINISH_UP)
            y[r] = y[r] / (1 + expf(-y[r])) * sums[r];
        else if (weight)
            y[r] += *weight * sums[r];
        else
            y[r] = sums[r] + (bias ? bias[r] : 0) + (residual ? residual[r] : 0);
    }
}

/* Rows first..first+7 of w for all live tokens; their outputs begin at `column`. */
static void panel_run(const pio_linear_args *a, pio_worker *worker, int32_t first, finish kind, int32_t column) {
    int32_t live = pio_linear_live(a);
    float *panel = worker->scratch, *row = panel + (size_t)PANEL * (size_t)a->cols;
    load_panel(a, first, panel, row);
    for (int32_t t = 0; t < live; t += TOKENS) {
        float sums[TOKENS][PANEL];
        int32_t n = PIO_MIN(TOKENS, live - t);
        tokens_dot(a, t, n, panel, sums);
        for (int32_t i = 0; i < n; i++) store(a, t + i, first, kind, column, sums[i]);
    }
}

void pio_linear_portable(const void *args, pio_worker *worker) {
    const pio_linear_args *a = args;
    int32_t n_panels = PIO_CEIL_DIV(a->n_out, PANEL);
    for (int32_t p; (p = pio_worker_take(worker)) < n_panels;) panel_run(a, worker, p * PANEL, FINISH_ADD, p * PANEL);
}

/* A tile is 8 outputs: their gate rows, then their up rows. */
void pio_linear_swiglu_portable(const void *args, pio_worker *worker) {
    const pio_linear_args *a = args;
    for (int32_t p; (p = pio_worker_take(worker)) < a->n_out / 2 / PANEL;) {
        int32_t i = p * PANEL, gate_row = i / PIO_SWIGLU_BLOCK * 2 * PIO_SWIGLU_BLOCK + i % PIO_SWIGLU_BLOCK;
        panel_run(a, worker, gate_row, FINISH_GATE, i);
        panel_run(a, worker, gate_row + PIO_SWIGLU_BLOCK, FINISH_UP, i);
    }
}
