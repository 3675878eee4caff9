/* How far two made-up traces are apart: known errors, tokens within and beyond what is excused, numbers that are none.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/drift.h"
#include "tests/support/random.h"
#include "tests/support/test.h"

enum { N_LAYERS = 5, N_PROMPT = 30, N_TOKENS = 100, HIDDEN = 64, VOCAB = 80 };

static size_t n_residuals(const pio_trace *t) {
    return (size_t)t->n_layers * (size_t)t->n_rows * (size_t)t->hidden;
}

/* The most likely tokens of its logits. */
static void choose(pio_trace *t) {
    for (int32_t place = 0; place < t->n_tokens; place++) {
        const float *logits = pio_trace_logits(t, place);
        t->greedy[place] = 0;
        for (int32_t i = 1; i < t->vocab; i++)
            if (logits[i] > logits[t->greedy[place]]) t->greedy[place] = i;
    }
}

static pio_trace random_trace(test_random *random) {
    pio_trace t = {.n_prompt = N_PROMPT,
                   .n_tokens = N_TOKENS,
                   .n_rows = N_PROMPT + N_TOKENS - 1,
                   .n_layers = N_LAYERS,
                   .hidden = HIDDEN,
                   .vocab = VOCAB};
    t.residuals = malloc(sizeof *t.residuals * n_residuals(&t));
    t.logits = malloc(sizeof *t.logits * N_TOKENS * VOCAB);
    t.greedy = malloc(sizeof *t.greedy * N_TOKENS);
    assert_true(t.residuals && t.logits && t.greedy);
    for (size_t i = 0; i < n_residuals(&t); i++) t.residuals[i] = test_random_gaussian(random);
    for (size_t i = 0; i < N_TOKENS * VOCAB; i++) t.logits[i] = test_random_gaussian(random);
    for (int32_t place = 0; place < N_TOKENS; place++) /* a clear choice: far above the others */
        t.logits[place * VOCAB + (int32_t)test_random_below(random, VOCAB)] = 20;
    choose(&t);
    return t;
}

static pio_trace copy_of(const pio_trace *from) {
    pio_trace t = *from;
    t.residuals = malloc(sizeof *t.residuals * n_residuals(from));
    t.logits = malloc(sizeof *t.logits * N_TOKENS * VOCAB);
    t.greedy = malloc(sizeof *t.greedy * N_TOKENS);
    assert_true(t.residuals && t.logits && t.greedy);
    memcpy(t.residuals, from->residuals, sizeof *t.residuals * n_residuals(from));
    memcpy(t.logits, from->logits, sizeof *t.logits * N_TOKENS * VOCAB);
    memcpy(t.greedy, from->greedy, sizeof *t.greedy * N_TOKENS);
    return t;
}

typedef struct pair {
    pio_trace reference, other;
    pio_drift drift;
} pair;

static pair make(const char *name) {
    test_random random = test_random_begin(name);
    pair p = {.reference = random_trace(&random)};
    p.other = copy_of(&p.reference);
    return p;
}

static const pio_drift *measure(pair *p, double bound) {
    pio_error error = {0};
    pio_drift_free(&p->drift);
    if (pio_drift_measure(&p->reference, &p->other, bound, &p->drift, &error)) fail_msg("%s", error.text);
    return &p->drift;
}

static void end(pair *p) {
    pio_trace_free(&p->reference);
    pio_trace_free(&p->other);
    pio_drift_free(&p->drift);
}

static float *residual(pio_trace *t, int32_t layer, int32_t row) {
    return (float *)pio_trace_residual(t, layer, row);
}
static float *logits(pio_trace *t, int32_t place) {
    return (float *)pio_trace_logits(t, place);
}

static void equal_traces_have_none(void **state) {
    (void)state;
    pair p = make("equal_traces_have_none");
    const pio_drift *d = measure(&p, 1e-12);
    assert_true(d->agrees && d->n_layers == N_LAYERS && d->first == -1 && d->n_differing == 0);
    for (int32_t i = 0; i < N_LAYERS; i++) assert_true(d->layers[i].median == 0 && d->layers[i].worst == 0);
    assert_true(d->logits.median == 0 && d->logits.worst == 0);
    end(&p);
}

/* A row times 1 + e drifts by e squared; the layer's median is that of its rows. */
static void known_errors_are_measured(void **state) {
    (void)state;
    pair p = make("known_errors_are_measured");
    for (int32_t layer = 0; layer < N_LAYERS; layer++)
        for (int32_t row = 0; row < p.other.n_rows; row++)
            for (int i = 0; i < HIDDEN; i++)
                residual(&p.other, layer, row)[i] *= 1 + 0.01f * (float)(layer + 1) * (row == 7 ? 10 : 1);
    const pio_drift *d = measure(&p, 2.6e-3);
    for (int32_t layer = 0; layer < N_LAYERS; layer++) {
        const double e = 0.01 * (layer + 1);
        assert_true(fabs(d->layers[layer].median / (e * e) - 1) < 1e-3);
        assert_true(fabs(d->layers[layer].worst / (100 * e * e) - 1) < 1e-3);
        assert_int_equal(d->layers[layer].worst_row, 7);
    }
    assert_true(d->agrees && d->logits.worst == 0);
    assert_false(measure(&p, 2.4e-3)->agrees); /* the last layer decides: 0.05 squared */
    end(&p);
}

static void logits_that_drift_are_no_agreement(void **state) {
    (void)state;
    pair p = make("logits_that_drift_are_no_agreement");
    for (int32_t place = 0; place < N_TOKENS; place++)
        for (int i = 0; i < VOCAB; i++) logits(&p.other, place)[i] *= 1.05f;
    assert_true(fabs(measure(&p, 3e-3)->logits.median / 2.5e-3 - 1) < 1e-3);
    assert_true(p.drift.agrees && p.drift.n_differing == 0);
    assert_false(measure(&p, 2e-3)->agrees);
    end(&p);
}

/* Makes the tokens of place differ; the reference has the other one `behind` its best. */
static void differ(pair *p, int32_t place, float behind) {
    const int32_t best = p->reference.greedy[place], got = (best + 1) % VOCAB;
    logits(&p->reference, place)[got] = logits(&p->reference, place)[best] - behind;
    logits(&p->other, place)[got] = logits(&p->other, place)[best] + behind / 16;
    choose(&p->other);
    assert_int_equal(p->other.greedy[place], got);
}

static void near_tokens_are_excused(void **state) {
    (void)state;
    pair p = make("near_tokens_are_excused");
    for (int32_t place = 40; place < 60; place++) differ(&p, place, 0.125f);
    const pio_drift *d = measure(&p, 2e-3);
    assert_true(d->n_differing == 20 && d->n_clear == 0 && d->agrees);
    assert_int_equal(d->first, 40);
    assert_int_equal(d->reference_token, p.reference.greedy[40]);
    assert_int_equal(d->token, p.other.greedy[40]);
    assert_true(d->margin == 0.125 && d->excused > 0.125);
    assert_true(measure(&p, 1e-9)->n_clear == 20 && !p.drift.agrees);
    end(&p);
}

/* One clear difference in 50 places is what a router may do; more are a fault. */
static void clear_tokens_are_not(void **state) {
    (void)state;
    for (int n = 1; n < 4; n++) {
        pair p = make("clear_tokens_are_not");
        for (int i = 0; i < n; i++) differ(&p, 10 * i + 9, 8);
        const pio_drift *d = measure(&p, 2e-3);
        assert_int_equal(d->n_differing, n);
        assert_int_equal(d->n_clear, n);
        assert_int_equal(d->first, 9);
        assert_int_equal(d->agrees, n <= N_TOKENS / 50);
        end(&p);
    }
}

static void numbers_that_are_none_are_infinitely_far(void **state) {
    (void)state;
    const float none[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        pair p = make("numbers_that_are_none_are_infinitely_far");
        residual(&p.other, 2, 11)[5] = none[i];
        assert_true(isinf(measure(&p, 1e-3)->layers[2].worst) && p.drift.layers[2].worst_row == 11);
        assert_true(p.drift.layers[2].median == 0 && p.drift.agrees); /* a single token of a layer on the way */
        for (int32_t row = 0; row < p.other.n_rows; row++) residual(&p.other, N_LAYERS - 1, row)[0] = none[i];
        assert_true(isinf(measure(&p, 1e-3)->layers[N_LAYERS - 1].median) && !p.drift.agrees);
        end(&p);
    }
}

static void bounds_follow_arithmetic_and_weights(void **state) {
    (void)state;
    static const struct {
        pio_dtype a, b;
        bool a_f32, b_f32;
        double bound;
    } rows[] = {{PIO_DTYPE_BF16, PIO_DTYPE_BF16, true, true, 1e-9}, {PIO_DTYPE_BF16, PIO_DTYPE_BF16, true, false, 2e-3},
                {PIO_DTYPE_Q4, PIO_DTYPE_Q4, true, true, 1e-9},     {PIO_DTYPE_Q4, PIO_DTYPE_Q4, false, false, 2e-3},
                {PIO_DTYPE_BF16, PIO_DTYPE_Q8, true, true, 5e-3},   {PIO_DTYPE_Q8, PIO_DTYPE_BF16, false, true, 5e-3},
                {PIO_DTYPE_BF16, PIO_DTYPE_Q4, true, false, 0.1},   {PIO_DTYPE_Q4, PIO_DTYPE_Q8, true, true, 0.1}};
    for (size_t i = 0; i < PIO_COUNT(rows); i++) {
        const pio_engine_options a = {.weights = rows[i].a, .compute_f32 = rows[i].a_f32},
                                 b = {.weights = rows[i].b, .compute_f32 = rows[i].b_f32};
        assert_true(pio_drift_bound(&a, &b) == rows[i].bound);
    }
}

static void other_shapes_are_refused(void **state) {
    (void)state;
    pair p = make("other_shapes_are_refused");
    pio_error error = {0};
    p.other.n_layers--;
    assert_int_equal(pio_drift_measure(&p.reference, &p.other, 1, &p.drift, &error), PIO_INTERNAL);
    end(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_traces_have_none),
        cmocka_unit_test(known_errors_are_measured),
        cmocka_unit_test(logits_that_drift_are_no_agreement),
        cmocka_unit_test(near_tokens_are_excused),
        cmocka_unit_test(clear_tokens_are_not),
        cmocka_unit_test(numbers_that_are_none_are_infinitely_far),
        cmocka_unit_test(bounds_follow_arithmetic_and_weights),
        cmocka_unit_test(other_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
