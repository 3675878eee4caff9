/* Activations in tiles, and the shares of work of the tiled AVX-512 kernels with float32 sums.
 *
 * Two dispatches: PACK lays the live tokens out in tiles of at most `tile_tokens`, so that a kernel reads them as one
 * stream: tile after tile, of n tokens each, 32-bit words [words of a row][n]; a word is a pair of BF16 columns or one
 * float32 column. MULTIPLY multiplies every unit of panels with every tile. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_TILES_H
#define PIO_KERNELS_LINEAR_LINEAR_TILES_H

#include "base/compiler.h"
#include "hal/worker.h"
#include "kernels/linear/linear.h"

typedef struct pio_tiles {
    uint32_t *words; /* the call's scratch */
    int32_t live, n; /* tokens, tiles */
    int32_t n_words; /* of a row; even for float32, zeros where columns are missing */
} pio_tiles;

/* The tiles of a call; tile_tokens > 0. */
static inline pio_tiles pio_tiles_of(const pio_linear_args *a, int32_t tile_tokens, bool bf16) {
    pio_i32 live = pio_linear_live(a);
    return (pio_tiles){.words = PIO_AT(uint32_t, a->scratch),
                       .live = live,
                       .n = PIO_CEIL_DIV(live, tile_tokens),
                       .n_words = bf16 ? PIO_CEIL_DIV(a->cols, 2) : PIO_ROUND_UP(a->cols, 2)};
}

/* Tiles are as equal as can be: the first token of tile i. */
static inline int32_t pio_tile_begin(const pio_tiles *x, int32_t i) {
    return (int32_t)((int64_t)i * x->live / x->n);
}

static inline uint32_t *pio_tile_words(const pio_tiles *x, int32_t first_token) {
    return x->words + (int64_t)first_token * x->n_words;
}

/* The worker's part of PACK. */
void pio_tiles_pack(const pio_linear_args *a, pio_worker *worker, const pio_tiles *x, bool bf16);

/* Which unit, and which of its tiles, a number taken from the counter stands for. The last units are cut into parts of
 * the tokens, so that the workers finish together. False: all work is taken. */
typedef struct pio_tiles_share {
    int32_t unit, first_tile, end_tile;
} pio_tiles_share;

bool pio_tiles_share_of(int32_t n_tiles, int32_t n_parts, int32_t taken, int32_t n_units, int n_workers,
                        pio_tiles_share *share);

/* Into how many parts the kernels with tiles of 12 tokens cut a unit. */
enum { PIO_TILES_PARTS = 4 };

static inline int32_t pio_tiles_parts(int32_t n_tiles) {
    return n_tiles >= 2 * PIO_TILES_PARTS ? PIO_TILES_PARTS : 1;
}

#endif
