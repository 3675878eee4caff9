/* What the rows of the experts' products share: the order of the pairs, and the memory that a call needs beside its
 * operands. */
#ifndef PIO_KERNELS_MOE_EXPERTS_H
#define PIO_KERNELS_MOE_EXPERTS_H

#include "base/compiler.h"
#include "kernels/dtype/encoding.h"
#include "kernels/linear/linear.h"
#include "kernels/moe/moe.h"

/* Up to this many tokens are few: an expert has hardly more than one. A piece: some tokens of one expert. */
enum { PIO_EXPERTS_FEW_TOKENS = 8, PIO_EXPERTS_PIECE_TOKENS = 128 };

static inline bool pio_experts_few(const pio_experts_args *a) {
    return a->tokens <= PIO_EXPERTS_FEW_TOKENS;
}

/* Phases of a call; rows that need one only ignore them. */
enum { PIO_EXPERTS_PACK = PIO_LINEAR_PACK, PIO_EXPERTS_MULTIPLY = PIO_LINEAR_MULTIPLY, PIO_EXPERTS_REDUCE };

typedef struct pio_experts_piece {
    pio_i32 expert, first, n; /* pairs [first, first + n) */
} pio_experts_piece;

/* A call's scratch: the tokens in tiles; the products of EXPERTS_DOWN with few tokens; then what each worker has for
 * itself. Tiles, products and lists have a pair each. */
typedef struct pio_experts_memory {
    size_t tile_bytes, tiles_bytes;       /* of a pair, of all; 0: the kernel wants no tiles */
    size_t product_bytes, products_bytes; /* of a pair, of all */
    size_t pieces_bytes;                  /* of a worker: its list of pieces, */
    size_t pairs_bytes;                   /* its lists of pairs, */
    size_t rows_bytes;                    /* and gathered rows of x */
    pio_i32 piece_tokens;                 /* at most */
} pio_experts_memory;

static inline size_t pio_experts_own_bytes(const pio_experts_memory *m) {
    return m->pieces_bytes + m->pairs_bytes + m->rows_bytes;
}

/* What a worker knows of the call's pairs, in its own part of the scratch. */
typedef struct pio_experts_order {
    pio_experts_piece *pieces;
    pio_i32 n_pieces, n_pairs;
    pio_i32 *tokens; /* [n_pairs] */
    float *weights;  /* [n_pairs]; EXPERTS_DOWN only */
    char *rows;
} pio_experts_order;

/* `down`: of EXPERTS_DOWN. */
pio_experts_memory pio_experts_memory_of(const pio_experts_args *a, bool down, bool tiled, pio_encoding encoding);

/* Sorts the live pairs by expert, then by token; every worker does it for itself. */
pio_experts_order pio_experts_sort(const pio_experts_args *a, const pio_experts_memory *m, int worker);

#endif
