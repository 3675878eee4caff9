/* Reading what a graph keeps when it is asked to (pio_engine_options.keep_taps): the residual stream behind each layer.
 * A model that is opened without it keeps nothing and has no taps. */
#ifndef PIO_ENGINE_TAPS_H
#define PIO_ENGINE_TAPS_H

#include "engine/model.h"

typedef struct pio_taps pio_taps;

/* Prepares reading them: the model is loaded, and was opened with keep_taps. It outlives the taps. */
pio_status pio_taps_create(pio_model *model, pio_taps **out, pio_error *error);
void pio_taps_destroy(pio_taps *taps); /* accepts NULL */

int32_t pio_taps_count(const pio_taps *taps);
const char *pio_taps_name(const pio_taps *taps, int32_t tap); /* "layer.0" */

/* Fetches the taps of the newest body step, which had n_rows rows; before a head step, which uses the same memory. */
pio_status pio_taps_read(pio_taps *taps, int32_t n_rows, pio_error *error);

/* A row of what was fetched, [hidden_size]; valid until the next fetch. */
const float *pio_taps_row(const pio_taps *taps, int32_t tap, int32_t row);

/* The bytes that the model's workspace would take without its taps. */
pio_status pio_taps_less_workspace(const pio_model *model, uint64_t *bytes, pio_error *error);

#endif
