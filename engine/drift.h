/* How far one trace is from another of the same tokens, and whether that is more than it should be.
 *
 * Drift is the normalised mean squared error of a row: the mean square of the difference over the mean square of the
 * reference. Of several rows the median counts, since a router that chooses between two experts of nearly equal weight
 * may send single tokens elsewhere. Infinite where a row has what is not a finite number. */
#ifndef PIO_ENGINE_DRIFT_H
#define PIO_ENGINE_DRIFT_H

#include "engine/trace.h"

/* Of the drifts of rows. */
typedef struct pio_drift_row {
    double median, worst;
    int32_t worst_row;
} pio_drift_row;

typedef struct pio_drift {
    double bound;
    pio_drift_row *layers; /* [n_layers]: of all tokens fed */
    int32_t n_layers;
    pio_drift_row logits; /* of the predicted places */

    int32_t n_differing; /* places where the most likely token is another one */
    int32_t n_clear;     /* of them those that lie further behind in the reference than pio_drift_margin */
    int32_t first;       /* the first place that differs; -1: none */
    int32_t token, reference_token;
    double margin, excused; /* there: the reference's first logit minus its second, and what the bound excuses */
    bool agrees;
} pio_drift;

/* The bound for two models: 1e-9 where both compute in float32 with the same weights, 2e-3 where one does not; where
 * the weights differ, what quantising them costs at most: 5e-3 with q8 and 0.1 with q4. */
double pio_drift_bound(const pio_engine_options *reference, const pio_engine_options *other);

/* A difference between the two most likely logits that noise of this drift explains: 4 x sqrt(bound) times the root
 * mean square of the logits. */
double pio_drift_margin(const float *logits, int32_t n, double bound);

/* Both traces are of the same model and tokens. They agree when the median drift behind the last layer and that of the
 * logits are within the bound, and at most one place in 50 has a token that is clearly not the reference's.
 * Freed with pio_drift_free, also after a failure. */
pio_status pio_drift_measure(const pio_trace *reference, const pio_trace *other, double bound, pio_drift *drift,
                             pio_error *error);
void pio_drift_free(pio_drift *drift);

#endif
