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

enum { PIO_MAX_END_IDS = 16 };

/* What a checkpoint says of its answers. */
typedef struct pio_generation {
    pio_sampling sampling; /* greedy where nothing is said; do_sample false means temperature 0 */
    int32_t end_ids[PIO_MAX_END_IDS];
    int32_t n_end_ids;
    int32_t max_new_tokens; /* most tokens of an answer; 0: nothing is said */
    int32_t max_length;     /* the same of prompt and answer together; counts where max_new_tokens says nothing */
} pio_generation;

/* Reads a directory's generation_config.json, if it has one; the end tokens are config.json's where it names none. */
pio_status pio_generation_read(const char *directory, pio_generation *out, pio_error *error);

/* Names a value outside its range. */
pio_status pio_sampling_check(const pio_sampling *sampling, int32_t vocab_size, pio_error *error);

typedef struct pio_slots pio_slots;
pio_status pio_slots_create(pio_model *model, pio_slots **out, pio_error *error);
void pio_slots_destroy(pio_slots *slots);

/* Prepares `slot` for a sequence with this prompt. */
pio_status pio_slots_set(pio_slots *slots, int32_t slot, const pio_sampling *sampling, const int32_t *prompt,
                         int32_t n_prompt, pio_error *error);

#endif
