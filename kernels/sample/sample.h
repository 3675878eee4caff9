/* SAMPLE: draws the next token of each wanted row. A sequence's running state lies in a slot on the device, so that the
 * next step can begin before the host has read the token.
 *
 * For draw o (step.draws[o]; slot -1: nothing is drawn), in this order:
 *   1. biases are added to the logits;
 *   2. repetition penalty r: logits of tokens in the prompt or generated are divided by r if positive, else multiplied
 *      (Keskar et al. 2019, as in Hugging Face's generation); presence and frequency penalties: a token that was
 * generated n > 0 times loses presence + n x frequency (as in OpenAI's API);
 *   3. temperature 0: the largest logit, of equals the lowest id. Else logits are divided by the temperature, and the
 *      most likely top_k, then of these the fewest that make up top_p, then those of at least min_p x the best remain;
 *   4. one of them is drawn by Philox4x32-10 (Salmon et al. 2011) with key `seed` and counter `position`: the same
 * token on every backend and in every batch. Candidates are in order of falling probability (equals: of rising id), or
 * of rising id where neither top_k nor top_p is set. The token goes to ring[draw.ring] and slot.last_token, and is
 * counted. NaN counts as minus infinity; where no logit is finite, -1 goes to the ring. */
#ifndef PIO_KERNELS_SAMPLE_SAMPLE_H
#define PIO_KERNELS_SAMPLE_SAMPLE_H

#include "kernels/dialect/args.h"

#define PIO_COUNT_IN_PROMPT 0x8000 /* a token's count: this bit, and in the others how often it was generated */

PIO_ARGS(pio_sample_bias) {
    pio_i32 id;
    pio_f32 bias;
};

PIO_ARGS(pio_sample_slot) {
    pio_f32 temperature, top_p, min_p;
    pio_f32 repetition_penalty, presence_penalty, frequency_penalty; /* 1, 0, 0: none */
    pio_i32 top_k;                                                   /* 0: all */
    pio_i32 last_token;
    pio_u64 seed;
    pio_u64 counts; /* u16 [vocab]; 0: no penalties, nothing is counted */
    pio_u64 biases; /* pio_sample_bias [n_biases] */
    pio_i32 n_biases;
    pio_i32 reserved;
};

PIO_ARGS(pio_sample_args) {
    pio_u64 logits;  /* float32 [rows, vocab]; not changed */
    pio_u64 slots;   /* pio_sample_slot [] */
    pio_u64 draws;   /* pio_step_draw [rows] */
    pio_u64 ring;    /* i32 [] */
    pio_u64 scratch; /* 12 bytes x vocab a row */
    pio_u64 live;    /* i32: the live rows; 0: all */
    pio_i32 rows, vocab;
    pio_i32 stride; /* bytes from one row of logits to the next */
};

#ifndef PIO_GLSL
#include <stdbool.h>
#include <stddef.h>

struct pio_call;

size_t pio_sample_scratch(const struct pio_call *call);

/* The uniform number in [0, 1) of a seed at a position. */
double pio_sample_uniform(uint64_t seed, uint32_t position);
#endif

#endif
