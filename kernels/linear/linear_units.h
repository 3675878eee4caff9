/* The loops around the float32 kernels that need no laid-out activations: units of 32 rows of w (for SwiGLU 16 gate
 * rows and their 16 up rows) times tiles of tokens. Columns are cut into blocks, so that a unit's block stays in the
 * second-level cache while all tokens pass; the sums between blocks wait in the worker's scratch.
 *
 * A file of kernels for one instruction set includes this after its own headers. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_UNITS_H
#define PIO_KERNELS_LINEAR_LINEAR_UNITS_H

#include "hal/worker.h"
#include "kernels/dialect/vector.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/linear.h"

enum {
    PIO_UNIT_ROWS = 2 * PIO_SWIGLU_BLOCK,
    PIO_UNIT_BLOCK_BYTES = 400 << 10,
    PIO_UNIT_GROUP_TOKENS = 4096, /* whose sums take half of the worker's scratch */
};

/* What a kernel multiplies: columns [k, k_end) of the unit of rows from `row` on with n tokens from t on.
 * sums [n][PIO_UNIT_ROWS] are added to, or set if `first`. Rows that do not exist get any finite or infinite sum. */
typedef struct pio_unit_block {
    const pio_linear_args *a;
    int32_t row, k, k_end, t, n;
    bool first;
    float *sums;
} pio_unit_block;

typedef void (*pio_unit_multiply)(const pio_unit_block *block);

static inline const float *pio_unit_x(const pio_linear_args *a, int32_t t) {
    return PIO_AT(const float, a->x + (pio_u64)t * (pio_u64)a->x_stride);
}

static inline void pio_unit_store(const pio_linear_args *a, int32_t row, int32_t t, const float *sums) {
    float *y = PIO_AT(float, a->y + (pio_u64)t * (pio_u64)a->y_stride) + row;
    const float *bias = a->bias ? PIO_AT(const float, a->bias) + row : NULL;
    const float *residual =
        a->residual ? PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride) + row : NULL;
    int32_t n = PIO_MIN(PIO_UNIT_ROWS, a->n_out - row);
    for (int32_t i = 0; i < n; i++) {
        float sum = sums[i];
        if (bias) sum += bias[i];
        if (residual) sum += residual[i];
        y[i] = sum;
    }
}

static inline void pio_unit_store_swiglu(const pio_linear_args *a, int32_t row, int32_t t, const float *sums) {
    float *y = PIO_AT(float, a->y + (pio_u64)t * (pio_u64)a->y_stride) + row / 2;
    for (int i = 0; i < PIO_SWIGLU_BLOCK; i++) y[i] = pio_silu(sums[i]) * sums[PIO_SWIGLU_BLOCK + i];
}

/* One unit for tokens [t_first, t_end); sums [tokens][PIO_UNIT_ROWS]. */
static PIO_ALWAYS_INLINE void pio_unit_run(const pio_linear_args *a, int32_t row, int32_t t_first, int32_t t_end,
                                           int32_t block_cols, int32_t tile_tokens, bool swiglu, float *sums,
                                           pio_unit_multiply multiply) {
    for (int32_t k = 0; k < a->cols; k += block_cols) {
        pio_unit_block block = {.a = a, .row = row, .k = k, .k_end = PIO_MIN(a->cols, k + block_cols), .first = k == 0};
        for (block.t = t_first; block.t < t_end; block.t += tile_tokens) {
            block.n = PIO_MIN(tile_tokens, t_end - block.t);
            block.sums = sums + (int64_t)(block.t - t_first) * PIO_UNIT_ROWS;
            multiply(&block);
        }
    }
    for (int32_t t = t_first; t < t_end; t++, sums += PIO_UNIT_ROWS) {
        if (swiglu)
            pio_unit_store_swiglu(a, row, t, sums);
        else
            pio_unit_store(a, row, t, sums);
    }
}

/* element_bytes: of w. Blocks are multiples of 32 columns. */
static PIO_ALWAYS_INLINE void pio_units_run(const pio_linear_args *a, pio_worker *worker, int32_t element_bytes,
                                            int32_t tile_tokens, bool swiglu, pio_unit_multiply multiply) {
    const int32_t live = pio_linear_live(a);
    int32_t n_blocks = PIO_CEIL_DIV(a->cols, PIO_UNIT_BLOCK_BYTES / PIO_UNIT_ROWS / element_bytes), first, end;
    if (live <= tile_tokens) n_blocks = 1; /* nothing is read twice */
    const int32_t block_cols = PIO_ROUND_UP(PIO_CEIL_DIV(a->cols, n_blocks), 32);
    while (live > 0 && pio_linear_take_run(worker, PIO_CEIL_DIV(a->n_out, PIO_UNIT_ROWS), 1, &first, &end)) {
        for (int32_t i = first; i < end; i++)
            for (int32_t t = 0; t < live; t += PIO_UNIT_GROUP_TOKENS)
                pio_unit_run(a, i * PIO_UNIT_ROWS, t, PIO_MIN(live, t + PIO_UNIT_GROUP_TOKENS), block_cols, tile_tokens,
                             swiglu, worker->scratch, multiply);
    }
}

#endif
