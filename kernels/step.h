/* The step block: everything about one step that changes from step to step, at one device address. The host fills it,
 * an ordered write brings it to the device before the lists run. A batch is ragged: tokens of several sequences, some
 * prefilling a chunk, some decoding; the rows of a sequence are consecutive.
 *
 * Rows past the live count are padding: their cache slot lies in page 0, which no sequence owns, their id is 0 and
 * kernels skip them. */
#ifndef PIO_KERNELS_STEP_H
#define PIO_KERNELS_STEP_H

#include "kernels/dialect/args.h"

/* One sequence's part of the step. Its context after the step is context + n_rows tokens. */
PIO_ARGS(pio_step_sequence) {
    pio_i32 first_row;  /* its first row of the step's token rows */
    pio_i32 n_rows;     /* its tokens in this step */
    pio_i32 context;    /* tokens already in its cache before this step */
    pio_i32 first_page; /* index into the page table of its first page */
};

/* One row whose next token is drawn. */
PIO_ARGS(pio_step_draw) {
    pio_i32 slot;     /* the sequence's slot of sampler state; -1: logits only, nothing is drawn */
    pio_i32 position; /* of the token that is drawn: the random counter */
    pio_i32 ring;     /* index in the token ring that receives the token */
    pio_i32 reserved;
};

/* Where a patch stands in the table of positions: four of its rows and their shares. */
PIO_ARGS(pio_step_taps) {
    pio_i32 row[4];
    pio_f32 share[4];
};

/* Tokens whose workgroups may count how many of them are done: see pio_step_counts.arrived. */
#define PIO_STEP_ARRIVED 8

/* Counts at the head of the block. */
PIO_ARGS(pio_step_counts) {
    pio_i32 n_tokens, n_sequences, n_outs;
    pio_i32 n_choices; /* n_tokens times the experts a token is sent to */
    pio_i32 n_patches, n_merged;
    pio_i32 reserved[2];
    /* 0 between dispatches: workgroups of a device add to it as they finish a token's part, the last one goes on with
     * the token and sets it back. */
    pio_i32 arrived[PIO_STEP_ARRIVED];
};

/* Counters by which the workgroups of one command find out which of them comes last. */
#define PIO_STEP_COUNTERS 4096

#ifndef PIO_GLSL
/* Where the parts of the block lie. Token rows are bounded by max_tokens, and so on. */
typedef struct pio_step_addresses {
    pio_u64 counts;       /* pio_step_counts */
    pio_u64 ids;          /* i32 [max_tokens]: >= 0 a token id, else -1 - slot: the slot's last drawn token */
    pio_u64 positions;    /* i32 [max_tokens, 3]: rotary positions (time, height, width), equal for text */
    pio_u64 cache_rows;   /* i32 [max_tokens]: page * page_tokens + row in the page, where the token's K and V go */
    pio_u64 sequences;    /* pio_step_sequence [max_sequences] */
    pio_u64 pages;        /* i32 [max_pages]: physical page numbers, sequence after sequence */
    pio_u64 out_rows;     /* i32 [max_outs]: token rows whose logits are wanted */
    pio_u64 draws;        /* pio_step_draw [max_outs], beside out_rows */
    pio_u64 taps;         /* pio_step_taps [max_patches]; 0: no vision step */
    pio_u64 picture_rows; /* u64 [max_tokens]: the address of the picture row that a token stands for, 0: none */
    pio_u64 counters; /* u32 [PIO_STEP_COUNTERS]: zero between commands, who counts with them leaves them so; 0: none */
} pio_step_addresses;
#endif

#endif
