/* The loops around the float32 kernels for 1 to 8 tokens: pieces of 32 rows of w (for SwiGLU 16 gate rows and their 16
 * up rows) times up to a tile of tokens. Where the tokens are more than a tile, columns are cut into blocks, so that a
 * piece's block stays in the second-level cache for the other tiles.
 *
 * A file of kernels for one instruction set includes this after its own headers. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_STREAM_H
#define PIO_KERNELS_LINEAR_LINEAR_STREAM_H

#include "hal/worker.h"
#include "kernels/linear/linear_store.h"

enum { PIO_STREAM_ROWS = 2 * PIO_PANEL_ROWS, PIO_STREAM_TOKENS = 8, PIO_STREAM_BLOCK_BYTES = 400 << 10 };

/* What a kernel multiplies: columns [k, k_end) of the rows from `row` on with n tokens from t on.
 * sums [n][PIO_STREAM_ROWS] are added to, or set if `first`. Rows that do not exist get any sums. */
typedef struct pio_stream_block {
    const pio_linear_args *a;
    int32_t row, k, k_end, t, n;
    bool first;
    float *sums;
} pio_stream_block;

typedef void (*pio_stream_multiply)(const pio_stream_block *block);

/* w[0 .. n - 1]: rows of float32 weights from row r of the piece on; of those that do not exist, the last one. */
static PIO_ALWAYS_INLINE void pio_stream_f32_rows(const pio_stream_block *block, int32_t r, int32_t n,
                                                  const float **w) {
    const pio_linear_args *a = block->a;
    for (int32_t i = 0; i < n; i++)
        w[i] = PIO_AT(const float, a->w) + (int64_t)PIO_MIN(block->row + r + i, a->n_out - 1) * a->cols;
}

static PIO_ALWAYS_INLINE void pio_stream_piece(const pio_linear_args *a, int32_t row, int32_t n_tokens,
                                               int32_t block_cols, int32_t tile_tokens, bool swiglu,
                                               pio_stream_multiply multiply) {
    float sums[PIO_STREAM_TOKENS * PIO_STREAM_ROWS];
    for (int32_t k = 0; k < a->cols; k += block_cols) {
        pio_stream_block block = {
            .a = a, .row = row, .k = k, .k_end = PIO_MIN(a->cols, k + block_cols), .first = k == 0};
        for (; block.t < n_tokens; block.t += tile_tokens) {
            block.n = PIO_MIN(tile_tokens, n_tokens - block.t);
            block.sums = sums + block.t * PIO_STREAM_ROWS;
            multiply(&block);
        }
    }
    for (int32_t t = 0; t < n_tokens; t++)
        pio_twin_store(a, t, row, swiglu, sums + t * PIO_STREAM_ROWS, sums + t * PIO_STREAM_ROWS + PIO_PANEL_ROWS);
}

/* element_bytes: of w. Blocks are multiples of 32 columns. */
static PIO_ALWAYS_INLINE void pio_stream_run(const pio_linear_args *a, pio_worker *worker, int32_t element_bytes,
                                             int32_t tile_tokens, bool swiglu, pio_stream_multiply multiply) {
    const int32_t live = pio_linear_live(a);
    int32_t n_blocks = PIO_CEIL_DIV(a->cols, PIO_STREAM_BLOCK_BYTES / PIO_STREAM_ROWS / element_bytes), first, end;
    if (live <= tile_tokens) n_blocks = 1; /* nothing is read twice */
    const int32_t block_cols = PIO_ROUND_UP(PIO_CEIL_DIV(a->cols, n_blocks), 32);
    while (live > 0 && pio_linear_take_run(worker, PIO_CEIL_DIV(a->n_out, PIO_STREAM_ROWS), 1, &first, &end))
        for (int32_t i = first; i < end; i++)
            pio_stream_piece(a, i * PIO_STREAM_ROWS, live, block_cols, tile_tokens, swiglu, multiply);
}

#endif
