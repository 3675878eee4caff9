/* The states that every model's graphs share with the engine. */
#ifndef PIO_MODELS_STATES_H
#define PIO_MODELS_STATES_H

#include "graph/build.h"

typedef struct pio_states {
    int32_t hidden; /* f32 [tokens, hidden]: body's result, of which head gathers the rows it wants */
    int32_t logits; /* f32 [outs, vocab] */
    int32_t slots;  /* pio_sample_slot [PIO_MAX_SLOTS] */
    int32_t ring;   /* i32 [PIO_RING_TOKENS]: drawn tokens */
} pio_states;

enum {
    PIO_MAX_SLOTS = 64,     /* sequences that may be generating at once */
    PIO_RING_TOKENS = 1024, /* tokens drawn and not yet read */
};

/* Declares them in `spec`. */
pio_states pio_states_add(pio_spec *spec, int32_t hidden_size, int32_t vocab_size);

#endif
