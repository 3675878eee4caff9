/* One step: tokens of several sequences through the body, and the wanted rows through the head. */
#ifndef PIO_ENGINE_STEP_H
#define PIO_ENGINE_STEP_H

#include "engine/sight.h"

/* How much the step block holds. */
typedef struct pio_step_limits {
    int32_t tokens, sequences, pages, outs;
    int32_t picture_rows; /* tokens that may stand for a picture's row: all, or for a model without eyes 0 */
} pio_step_limits;

pio_step_limits pio_model_step_limits(const pio_model *model, int32_t context, int32_t chunk);
uint64_t pio_step_bytes(const pio_step_limits *limits);

/* Makes the step block and its addresses in model->memory; called by pio_model_allocate. */
pio_status pio_step_create(pio_model *model, pio_error *error);
void pio_step_destroy(pio_model *model);

/* A sequence's part of a step. */
typedef struct pio_step_item {
    const int32_t *ids; /* [n]: token ids; -1 - slot stands for the token last drawn in that slot */
    int32_t n;
    int32_t context;      /* tokens in its cache before the step */
    const int32_t *pages; /* its page table: pages for context + n tokens */
    int32_t n_pages;
    const pio_sight *sight; /* its pictures, those of these tokens seen; NULL: none */
} pio_step_item;

/* Submits the body for the items' tokens, which must fit the chunk. Rows are numbered item after item. */
pio_status pio_step_body(pio_model *model, const pio_step_item *items, int32_t n_items, pio_error *error);

/* A row of the newest body step whose logits are wanted, and whether a token is drawn from them. */
typedef struct pio_step_out {
    int32_t row;
    int32_t slot;     /* -1: nothing is drawn */
    int32_t position; /* of the drawn token in its sequence */
    int32_t ring;     /* index in the ring that receives it */
} pio_step_out;

/* Submits the head for at most PIO_HEAD_ROWS rows; *number can be waited for. */
pio_status pio_step_head(pio_model *model, const pio_step_out *outs, int32_t n_outs, uint64_t *number,
                         pio_error *error);

/* Both in one submission; without outs the body alone. */
pio_status pio_step_run(pio_model *model, const pio_step_item *items, int32_t n_items, const pio_step_out *outs,
                        int32_t n_outs, uint64_t *number, pio_error *error);

/* Waits for submission `number`. */
pio_status pio_step_wait(pio_model *model, uint64_t number, pio_error *error);

/* After a wait: brings the logits of the newest head step's first n_outs rows to the host. */
pio_status pio_step_fetch_logits(pio_model *model, int32_t n_outs, pio_error *error);

/* Logits of out row i of the newest head step, once fetched, [vocab]; and, after a wait, a drawn token in the ring.
 * Valid until the next head step. */
const float *pio_step_logits(const pio_model *model, int32_t out);
int32_t pio_step_ring(const pio_model *model, int32_t ring);

#endif
