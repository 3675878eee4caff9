/* Generating: requests, each a prompt to be continued, run together through one model a step at a time.
 *
 * A step carries one token of every sequence that is decoding and, in what room is left, prompt chunks of the others.
 * The loop belongs to the device: a token that was drawn in one step is fed to the next by its slot, before the host
 * has read it, where the device works ahead of the host. */
#ifndef PIO_ENGINE_REQUEST_H
#define PIO_ENGINE_REQUEST_H

#include "engine/model.h"
#include "engine/sampling.h"
#include "models/picture.h"

typedef enum pio_finish {
    PIO_FINISH_NONE,
    PIO_FINISH_STOP,   /* an end token, or the callback's wish */
    PIO_FINISH_LENGTH, /* max_tokens, or the context is full */
    PIO_FINISH_CANCELLED,
} pio_finish;

typedef struct pio_request {
    /* Set by the caller; borrowed until the run returns. */
    const int32_t *prompt; /* token ids, each below the vocabulary's size */
    int32_t n_prompt;
    const pio_picture *const *pictures; /* in the order of the prompt's image tokens, one of which stands for each of */
    int32_t n_pictures;                 /* their merged rows */
    pio_sampling sampling;
    int32_t max_tokens;     /* to generate; 0: until the context is full */
    const int32_t *end_ids; /* a token of these ends the answer and is not reported */
    int32_t n_end_ids;
    bool (*on_token)(void *user, int32_t token); /* false stops; NULL: nobody listens */
    void *user;

    /* Set by the run. */
    pio_finish finish;
    int32_t n_generated;           /* end token not counted */
    int32_t n_reused;              /* prompt tokens found in the cache */
    uint64_t prompt_ns, decode_ns; /* until the first token; from there to the last */
} pio_request;

typedef struct pio_engine pio_engine;

/* Takes a loaded model, which it then owns. */
pio_status pio_engine_create(pio_model *model, pio_engine **out, pio_error *error);
void pio_engine_destroy(pio_engine *engine);
pio_model *pio_engine_model(pio_engine *engine);

/* Runs all requests to their ends; on_token is called from this thread. `cancelled` (may be NULL) is asked before each
 * step. A prompt that is empty, holds an id that the vocabulary lacks, does not fit the context, or has image tokens
 * that do not match its pictures is refused before anything runs, and so is sampling that pio_sampling_check refuses.
 */
pio_status pio_engine_run(pio_engine *engine, pio_request *const *requests, int32_t n_requests,
                          bool (*cancelled)(void *), void *user, pio_error *error);

/* Refuses ids outside the vocabulary and more than the context, with both numbers. */
pio_status pio_check_prompt(const pio_model *model, const int32_t *ids, int32_t n, pio_error *error);

#endif
