/* What becomes of the sums of a panel of rows of w for one token: bias, residual, SwiGLU; plain C for any instruction
 * set. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_STORE_H
#define PIO_KERNELS_LINEAR_LINEAR_STORE_H

#include "kernels/dialect/vector.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/linear.h"

enum { PIO_PANEL_ROWS = 16 };

/* y[t][row + i] = sums[i] + bias + residual, or += weight * sums[i], for n rows. */
static PIO_ALWAYS_INLINE void pio_panel_store_rows(const pio_linear_args *a, int32_t t, int32_t row, const int32_t n,
                                                   const float *sums) {
    float *y = PIO_AT(float, pio_linear_y(a, t)) + row, out[PIO_PANEL_ROWS];
    for (int32_t i = 0; i < n; i++) out[i] = sums[i];
    if (a->bias) {
        const float *bias = PIO_AT(const float, a->bias) + row;
        for (int32_t i = 0; i < n; i++) out[i] += bias[i];
    }
    if (a->residual) {
        const float *residual = PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride) + row;
        for (int32_t i = 0; i < n; i++) out[i] += residual[i];
    }
    if (a->y_weights) {
        const float weight = PIO_AT(const float, a->y_weights)[t];
        for (int32_t i = 0; i < n; i++) out[i] = y[i] + weight * out[i];
    }
    for (int32_t i = 0; i < n; i++) y[i] = out[i];
}

/* The rows of the panel from `row` on that exist. */
static inline void pio_panel_store(const pio_linear_args *a, int32_t t, int32_t row, const float *sums) {
    if (a->n_out - row >= PIO_PANEL_ROWS)
        pio_panel_store_rows(a, t, row, PIO_PANEL_ROWS, sums);
    else
        pio_panel_store_rows(a, t, row, a->n_out - row, sums);
}

/* y[t][i] = silu(gate[i]) * up[i] */
static inline void pio_panel_store_swiglu(const pio_linear_args *a, int32_t t, int32_t i, const float *gate,
                                          const float *up) {
    float *y = PIO_AT(float, pio_linear_y(a, t)) + i;
    for (int r = 0; r < PIO_SWIGLU_BLOCK; r++) y[r] = pio_silu(gate[r]) * up[r];
}

/* Two panels, for SwiGLU a block of gate rows and their up rows; the second one may have no rows. */
static inline void pio_twin_store(const pio_linear_args *a, int32_t t, int32_t row, bool swiglu, const float *first,
                                  const float *second) {
    if (swiglu) {
        pio_panel_store_swiglu(a, t, row / 2, first, second);
        return;
    }
    pio_panel_store(a, t, row, first);
    if (row + PIO_PANEL_ROWS < a->n_out) pio_panel_store(a, t, row + PIO_PANEL_ROWS, second);
}

#endif
