#include "engine/drift.h"

#include <math.h>
#include <stdlib.h>

enum { PLACES_A_DIFFERENCE = 50 };

double pio_drift_bound(const pio_engine_options *a, const pio_engine_options *b) {
    if (a->weights == b->weights) return a->compute_f32 && b->compute_f32 ? 1e-9 : 2e-3;
    return a->weights == PIO_DTYPE_Q4 || b->weights == PIO_DTYPE_Q4 ? 0.1 : 5e-3;
}

static double mean_square(const float *x, int32_t n) {
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum / n;
}

double pio_drift_margin(const float *logits, int32_t n, double bound) {
    return 4 * sqrt(bound * mean_square(logits, n));
}

/* ---- rows ---- */

static double row_drift(const float *reference, const float *other, int32_t n) {
    double error = 0;
    for (int32_t i = 0; i < n; i++) {
        const double difference = (double)other[i] - reference[i];
        error += difference * difference;
    }
    const double square = mean_square(reference, n);
    if (!isfinite(error) || !isfinite(square)) return INFINITY;
    return error == 0 ? 0 : square == 0 ? INFINITY : error / n / square;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of n rows of `cols` each; `scratch` holds n numbers. */
static pio_drift_row drift_of(const float *reference, const float *other, int32_t n, int32_t cols, double *scratch) {
    pio_drift_row of = {.worst = -1};
    for (int32_t row = 0; row < n; row++) {
        const size_t at = (size_t)row * (size_t)cols;
        scratch[row] = row_drift(reference + at, other + at, cols);
        if (scratch[row] <= of.worst) continue;
        of.worst = scratch[row];
        of.worst_row = row;
    }
    qsort(scratch, (size_t)n, sizeof *scratch, by_value);
    of.median = scratch[n / 2];
    return of;
}

/* ---- tokens ---- */

/* The logit of `best` minus the largest of the others. */
static double margin_of(const float *logits, int32_t n, int32_t best) {
    float second = -INFINITY;
    for (int32_t i = 0; i < n; i++)
        if (i != best && logits[i] > second) second = logits[i];
    return (double)logits[best] - second;
}

static void compare_tokens(const pio_trace *reference, const pio_trace *other, pio_drift *drift) {
    drift->first = -1;
    for (int32_t place = 0; place < reference->n_tokens; place++) {
        const int32_t wanted = reference->greedy[place], got = other->greedy[place];
        const float *logits = pio_trace_logits(reference, place);
        if (wanted == got) continue;
        const double behind = (double)logits[wanted] - logits[got],
                     excused = pio_drift_margin(logits, reference->vocab, drift->bound);
        drift->n_clear += !(behind <= excused);
        if (drift->n_differing++) continue;
        drift->first = place;
        drift->token = got;
        drift->reference_token = wanted;
        drift->margin = margin_of(logits, reference->vocab, wanted);
        drift->excused = excused;
    }
}

pio_status pio_drift_measure(const pio_trace *reference, const pio_trace *other, double bound, pio_drift *drift,
                             pio_error *error) {
    const int32_t n_rows = reference->n_rows, n_layers = reference->n_layers;
    double *scratch = malloc(sizeof *scratch * (size_t)PIO_MAX(n_rows, reference->n_tokens));
    *drift = (pio_drift){.bound = bound, .n_layers = n_layers};
    drift->layers = calloc((size_t)n_layers, sizeof *drift->layers);
    pio_status status = PIO_OK;
    if (!scratch || !drift->layers)
        status = pio_fail_memory(error, "the drift", sizeof *scratch * (size_t)n_rows);
    else if (other->n_layers != n_layers || other->n_rows != n_rows || other->vocab != reference->vocab)
        status = pio_fail(error, PIO_INTERNAL, "two traces of %d and %d layers are not of one model", n_layers,
                          other->n_layers);
    for (int32_t layer = 0; layer < n_layers && !status; layer++)
        drift->layers[layer] = drift_of(pio_trace_residual(reference, layer, 0), pio_trace_residual(other, layer, 0),
                                        n_rows, reference->hidden, scratch);
    if (!status) {
        drift->logits = drift_of(reference->logits, other->logits, reference->n_tokens, reference->vocab, scratch);
        compare_tokens(reference, other, drift);
        drift->agrees = drift->layers[n_layers - 1].median <= bound && drift->logits.median <= bound &&
                        drift->n_clear <= reference->n_tokens / PLACES_A_DIFFERENCE;
    }
    free(scratch);
    return status;
}

void pio_drift_free(pio_drift *drift) {
    free(drift->layers);
    *drift = (pio_drift){0};
}
