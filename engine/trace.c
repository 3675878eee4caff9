#include "engine/trace.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/request.h"
#include "engine/step.h"
#include "engine/taps.h"

enum { PREFILLS = 3 };

typedef struct tracer {
    pio_model *model;
    pio_taps *taps;
    pio_trace *trace;
    bool (*cancelled)(void);
    int32_t *ids; /* [n_rows + 1]: of the prompt and behind it */
    int32_t *pages, n_pages;
} tracer;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- steps ---- */

static pio_status body(const tracer *t, int32_t first, int32_t n, pio_error *error) {
    const pio_step_item item = {t->ids + first, n, first, t->pages, t->n_pages, NULL};
    if (t->cancelled()) return pio_fail(error, PIO_CANCELLED, "interrupted");
    return pio_step_body(t->model, &item, 1, error);
}

/* The logits of the newest body step's last row; waits for them. */
static pio_status head(const tracer *t, int32_t n_rows, pio_error *error) {
    const pio_step_out out = {.row = n_rows - 1, .slot = -1};
    uint64_t number;
    pio_status status = pio_step_head(t->model, &out, 1, &number, error);
    return status ? status : pio_step_wait(t->model, number, error);
}

static int32_t piece(const tracer *t, int32_t first) {
    return PIO_MIN(t->trace->n_prompt - first, t->model->options.chunk);
}

/* ---- what it makes of the tokens ---- */

static pio_status keep_residuals(const tracer *t, int32_t first, int32_t n, pio_error *error) {
    const pio_trace *trace = t->trace;
    pio_status status = pio_taps_read(t->taps, n, error);
    for (int32_t layer = 0; layer < trace->n_layers && !status; layer++)
        for (int32_t row = 0; row < n; row++)
            memcpy((float *)pio_trace_residual(trace, layer, first + row), pio_taps_row(t->taps, layer, row),
                   sizeof(float) * (size_t)trace->hidden);
    return status;
}

static void keep_logits(const tracer *t, int32_t place) {
    const pio_trace *trace = t->trace;
    const float *logits = pio_step_logits(t->model, 0);
    int32_t best = 0;
    memcpy((float *)pio_trace_logits(trace, place), logits, sizeof *logits * (size_t)trace->vocab);
    for (int32_t i = 1; i < trace->vocab; i++)
        if (logits[i] > logits[best]) best = i;
    trace->greedy[place] = best;
}

static pio_status fetch(const tracer *t, const int32_t *forced, pio_error *error) {
    const pio_trace *trace = t->trace;
    pio_status status = PIO_OK;
    for (int32_t first = 0; first < trace->n_rows && !status;) {
        const int32_t n = first < trace->n_prompt ? piece(t, first) : 1, place = first + n - trace->n_prompt;
        status = body(t, first, n, error);
        if (!status) status = keep_residuals(t, first, n, error);
        first += n;
        if (status || place < 0) continue;
        status = head(t, n, error);
        if (!status) status = pio_step_fetch_logits(t->model, 1, error);
        if (!status) keep_logits(t, place);
        t->ids[first] = forced ? forced[place] : trace->greedy[place];
    }
    return status;
}

/* ---- how long it takes ---- */

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int32_t n) {
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2];
}

static pio_status prefill(const tracer *t, pio_error *error) {
    pio_status status = PIO_OK;
    int32_t n = 0;
    for (int32_t first = 0; first < t->trace->n_prompt && !status; first += n) {
        n = piece(t, first);
        status = body(t, first, n, error);
    }
    return status ? status : head(t, n, error);
}

static pio_status measure(const tracer *t, pio_error *error) {
    pio_trace *trace = t->trace;
    const int32_t n_decodes = trace->n_tokens - 1;
    double prefills[PREFILLS], *decodes = malloc(sizeof *decodes * (size_t)(n_decodes + 1));
    pio_status status = decodes ? PIO_OK : pio_fail_memory(error, "the times", sizeof *decodes * (size_t)n_decodes);
    for (int i = 0; i < PREFILLS && !status; i++) {
        const double start = now_s();
        status = prefill(t, error);
        prefills[i] = now_s() - start;
    }
    for (int32_t i = 0; i < n_decodes && !status; i++) {
        const double start = now_s();
        status = body(t, trace->n_prompt + i, 1, error);
        if (!status) status = head(t, 1, error);
        decodes[i] = now_s() - start;
    }
    if (!status) trace->prefill_tokens_per_s = trace->n_prompt / median(prefills, PREFILLS);
    if (!status && n_decodes) trace->decode_tokens_per_s = 1 / median(decodes, n_decodes);
    free(decodes);
    return status;
}

/* ---- all of it ---- */

static pio_status allocate(tracer *t, pio_error *error) {
    pio_trace *trace = t->trace;
    trace->n_layers = pio_taps_count(t->taps);
    trace->hidden = t->model->config.common.hidden_size;
    trace->vocab = t->model->config.common.vocab_size;
    t->n_pages = PIO_CEIL_DIV(trace->n_rows, t->model->spec.page_tokens);
    const size_t n_residuals = (size_t)trace->n_layers * (size_t)trace->n_rows * (size_t)trace->hidden,
                 n_logits = (size_t)trace->n_tokens * (size_t)trace->vocab;
    trace->residuals = malloc(sizeof *trace->residuals * n_residuals);
    trace->logits = malloc(sizeof *trace->logits * n_logits);
    trace->greedy = malloc(sizeof *trace->greedy * (size_t)trace->n_tokens);
    t->ids = malloc(sizeof *t->ids * ((size_t)trace->n_rows + 1));
    t->pages = malloc(sizeof *t->pages * (size_t)t->n_pages);
    if (!trace->residuals || !trace->logits || !trace->greedy || !t->ids || !t->pages)
        return pio_fail_memory(error, "a trace", sizeof(float) * (n_residuals + n_logits));
    for (int32_t i = 0; i < t->n_pages; i++) t->pages[i] = 1 + i;
    return PIO_OK;
}

pio_status pio_trace_make(pio_model *model, const int32_t *prompt, int32_t n_prompt, const int32_t *forced,
                          int32_t n_tokens, bool (*cancelled)(void), pio_trace *trace, pio_error *error) {
    tracer t = {.model = model, .trace = trace, .cancelled = cancelled};
    *trace = (pio_trace){.n_prompt = n_prompt, .n_tokens = n_tokens, .n_rows = n_prompt + n_tokens - 1};
    pio_status status = pio_check_prompt(model, prompt, n_prompt, error);
    if (!status && n_tokens > model->options.context - n_prompt)
        status =
            pio_fail(error, PIO_LIMIT,
                     "%d ids and %d more are %d tokens and the context holds %d: lower --tokens or raise --context",
                     n_prompt, n_tokens, n_prompt + n_tokens, model->options.context);
    if (!status) status = pio_taps_create(model, &t.taps, error);
    if (!status) status = allocate(&t, error);
    if (!status) memcpy(t.ids, prompt, sizeof *prompt * (size_t)n_prompt);
    if (!status) status = fetch(&t, forced, error);
    if (!status) status = measure(&t, error);
    pio_taps_destroy(t.taps);
    free(t.ids);
    free(t.pages);
    return status;
}

void pio_trace_free(pio_trace *trace) {
    free(trace->residuals);
    free(trace->logits);
    free(trace->greedy);
    *trace = (pio_trace){0};
}
