/* How the next token is drawn, and the slots of sampler state on the device. */
#ifndef PIO_ENGINE_SAMPLING_H
#define PIO_ENGINE_SAMPLING_H

#include "engine/model.h"

typedef struct pio_logit_bias {
    int32_t id;
    float bias;
} pio_logit_bias;

enum { PIO_MAX_LOGIT_BIASES = 1024 };

/* The fields mean what Hugging Face's generation_config.json and OpenAI's API mean by them; the order of application is
 * in kernels/sample/sample.h. */
typedef struct pio_sampling {
    float temperature;                         /* 0: the most likely token */
    int32_t top_k;                             /* 0: all */
    float top_p, min_p;                        /* 1 and 0: all */
    float repetition_penalty;                  /* 1: none */
    float presence_penalty, frequency_penalty; /* 0: none */
    uint64_t seed;
    const pio_logit_bias *biases; /* borrowed */
    int32_t n_biases;
} pio_sampling;

/* Greedy, no penalties. */
pio_sampling pio_sampling_greedy(void);

/* The settings of a directory's generation_config.json, greedy without one; do_sample false means temperature 0. Its
 * end tokens go to `end_ids` (at most `capacity`), config.json's where it has none. */
pio_status pio_sampling_read(const char *directory, pio_sampling *sampling, int32_t *end_ids, int32_t capacity,
                             int32_t *n_end_ids, pio_error *error);

/* Names a value outside its range. */
pio_status pio_sampling_check(const pio_sampling *sampling, int32_t vocab_size, pio_error *error);

typedef struct pio_slots pio_slots;
pio_status pio_slots_create(pio_model *model, pio_slots **out, pio_error *error);
void pio_slots_destroy(pio_slots *slots);

/* Prepares `slot` for a sequence with this prompt. */
pio_status pio_slots_set(pio_slots *slots, int32_t slot, const pio_sampling *sampling, const int32_t *prompt,
                         int32_t n_prompt, pio_error *error);

#endif
