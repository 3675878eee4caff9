/* What the references of products share. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_REF_H
#define PIO_KERNELS_LINEAR_LINEAR_REF_H

#include <math.h>

#include "kernels/elementwise/elementwise.h"
#include "kernels/kernel.h"

/* x [n], normed by `norm` [n] (NULL: as it is), times a row of weights, in float64. */
static inline double pio_product_ref(const float *x, const float *norm, float norm_eps, const float *w, int32_t n) {
    double sum = 0, squares = 0;
    for (int32_t k = 0; k < n; k++) {
        sum += (double)x[k] * (norm ? (double)norm[k] : 1) * (double)w[k];
        squares += (double)x[k] * (double)x[k];
    }
    return norm ? sum / sqrt(squares / n + (double)norm_eps) : sum;
}

/* Row n of a matrix [n_rows, cols] in any layout -> out [cols]. */
static inline void pio_weight_row_ref(pio_addr w, int32_t layout, int32_t n_rows, int32_t cols, int32_t n, float *out) {
    pio_layout_get((pio_layout)layout)->unpack_row(PIO_AT(const void, w), n_rows, cols, n, out);
}

/* The gate row of column i of SwiGLU; its up row is PIO_SWIGLU_BLOCK rows on. */
static inline int32_t pio_gate_row_ref(int32_t i) {
    return i / PIO_SWIGLU_BLOCK * 2 * PIO_SWIGLU_BLOCK + i % PIO_SWIGLU_BLOCK;
}

static inline float pio_swiglu_of_ref(double gate, double up) {
    return (float)(gate / (1 + exp(-gate)) * up);
}

#endif
