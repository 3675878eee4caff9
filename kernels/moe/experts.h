/* What the rows of the experts' products share: the order of the pairs, and the memory that a call needs beside its
 * operands. */
#ifndef PIO_KERNELS_MOE_EXPERTS_H
#define PIO_KERNELS_MOE_EXPERTS_H

#include "base/compiler.h"
#include "kernels/dtype/encoding.h"
#include "kernels/moe/moe.h"

/* Rows of w that are multiplied by themselves, at least: two panels. A piece: some tokens of one expert. */
enum { PIO_EXPERTS_UNIT_ROWS = 32, PIO_EXPERTS_PIECE_TOKENS = 128 };

typedef struct pio_experts_piece {
    pio_i32 expert, first, n; /* pairs [first, first + n) */
} pio_experts_piece;

/* A call's scratch: the tokens in tiles, then what each worker has for itself. */
typedef struct pio_experts_memory {
    size_t tile_bytes;    /* of a pair; 0: the kernel wants no tiles */
    size_t tiles_bytes;   /* of all */
    size_t pieces_bytes;  /* of a worker: its list of pieces, */
    size_t pairs_bytes;   /* its list of pairs, */
    size_t rows_bytes;    /* and gathered rows of x, or products */
    pio_i32 piece_tokens; /* at most */
} pio_experts_memory;

static inline size_t pio_experts_own_bytes(const pio_experts_memory *m) {
    return m->pieces_bytes + m->pairs_bytes + m->rows_bytes;
}

/* What a worker knows of the call's pairs, in its own part of the scratch. */
typedef struct pio_experts_order {
    pio_experts_piece *pieces;
    pio_i32 *pairs; /* pair r is pairs[r] = token * n_chosen + choice */
    pio_i32 n_pieces;
    char *rows;
} pio_experts_order;

/* `down`: of EXPERTS_DOWN. */
pio_experts_memory pio_experts_memory_of(const pio_experts_args *a, bool down, bool tiled, pio_encoding encoding);

/* Sorts the live pairs by expert, then by token; every worker does it for itself. */
pio_experts_order pio_experts_sort(const pio_experts_args *a, const pio_experts_memory *m, int worker);

/* Bytes from one unit of rows to the next; 0: rows cannot be multiplied by themselves in this layout. */
pio_u64 pio_experts_unit_bytes(pio_i32 layout, pio_i32 cols);

#endif
