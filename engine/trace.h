/* What one model on one device makes of a prompt: the residual stream behind each layer, logits and greedy tokens, and
 * how fast. Two traces of the same tokens tell how far two backends are apart (engine/drift.h). */
#ifndef PIO_ENGINE_TRACE_H
#define PIO_ENGINE_TRACE_H

#include "engine/model.h"

typedef struct pio_trace {
    int32_t n_prompt, n_tokens; /* n_tokens places are predicted, the first behind the prompt */
    int32_t n_rows;             /* tokens fed: n_prompt + n_tokens - 1 */
    int32_t n_layers, hidden, vocab;
    float *residuals; /* [n_layers, n_rows, hidden] */
    float *logits;    /* [n_tokens, vocab] */
    int32_t *greedy;  /* [n_tokens]: the most likely token of each place, of equals the lowest */
    double prefill_tokens_per_s, decode_tokens_per_s; /* decode: 0 with a single place */
} pio_trace;

/* Runs the prompt and n_tokens - 1 tokens behind it, one a step: `forced` ones, or (NULL) the greedy ones. Then runs
 * them again for the time that they take, without fetching anything but logits. The model is loaded, was opened with
 * keep_taps, and its context holds n_prompt + n_tokens. Freed with pio_trace_free, also after a failure. */
pio_status pio_trace_make(pio_model *model, const int32_t *prompt, int32_t n_prompt, const int32_t *forced,
                          int32_t n_tokens, bool (*cancelled)(void), pio_trace *trace, pio_error *error);
void pio_trace_free(pio_trace *trace);

static inline const float *pio_trace_residual(const pio_trace *trace, int32_t layer, int32_t row) {
    return trace->residuals + ((size_t)layer * (size_t)trace->n_rows + (size_t)row) * (size_t)trace->hidden;
}
static inline const float *pio_trace_logits(const pio_trace *trace, int32_t place) {
    return trace->logits + (size_t)place * (size_t)trace->vocab;
}

#endif
