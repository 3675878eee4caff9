/* What a step must do at least: the bytes that it has to read and the operations that it has to compute. */
#ifndef PIO_ENGINE_COST_H
#define PIO_ENGINE_COST_H

#include "engine/model.h"

typedef struct pio_cost {
    uint64_t bytes; /* stored bytes of the weights that the step needs, and of the keys and values that it reads */
    uint64_t ops;   /* 2 a weight and token (output rows: for the rows whose logits are wanted), and
                       2 x heads x (key size + value size) a visible key */
} pio_cost;

/* One step of n_sequences, each with n_tokens after `context` cached ones and n_outs rows of logits. Every weight
 * counts once, however many sequences use it; of experts, as many as the tokens can choose at most. */
pio_cost pio_step_cost(const pio_model *model, int32_t n_sequences, int32_t n_tokens, int32_t context, int32_t n_outs);

/* A run of the vision graph on one picture of n_patches, each of which sees all of them. */
pio_cost pio_vision_cost(const pio_model *model, int32_t n_patches);

#endif
