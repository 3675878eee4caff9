/* Drawing the next token: what is drawn has the distribution that the settings ask for, on every row of SAMPLE. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "kernels/kernel.h"
#include "kernels/sample/sample.h"
#include "tests/support/random.h"
#include "tests/support/rows.h"
#include "tests/support/shared.h"

enum { MOST_VOCAB = 1000, N_DRAWS = 20000, N_BIASES = 3 };

/* A device may be a thousand times slower than this CPU: it gets one in so many of the draws and rounds. */
static int fewer(const pio_row *row) {
    return row && row->backend != PIO_BACKEND_CPU ? 50 : 1;
}

/* ---- the op, called directly ---- */

/* Everything that the draws of one call read and write. */
typedef struct draws {
    int32_t n, vocab, stride;
    float *logits; /* [n or 1, vocab] */
    pio_sample_slot *slots;
    pio_step_draw *draws;
    int32_t *ring;
} draws;

/* n draws from `logits` (row by row, or all from the one row with stride 0), each with a slot of its own. */
static draws draws_make(const pio_sample_slot *slot, int32_t n, int32_t vocab, float *logits, int32_t stride) {
    draws d = {n,
               vocab,
               stride,
               logits,
               test_shared((size_t)n * sizeof *d.slots),
               test_shared((size_t)n * sizeof *d.draws),
               test_shared(sizeof *d.ring * (size_t)n)};
    memset(d.ring, 0x55, sizeof *d.ring * (size_t)n);
    for (int32_t i = 0; i < n; i++) {
        d.slots[i] = *slot;
        d.draws[i] = (pio_step_draw){i, i, i, 0};
    }
    return d;
}

/* NULL: the reference. */
static void draws_run(const pio_row *row, const draws *d) {
    pio_call call = {.op = PIO_OP_SAMPLE, .n_in = 2, .n_out = 1, .n_workers = 2};
    call.in[0] = (pio_operand){(pio_addr)(uintptr_t)d->logits, d->n, d->vocab, d->stride, PIO_ENC_F32};
    call.in[1].address = (pio_addr)(uintptr_t)d->slots;
    call.out[0].address = (pio_addr)(uintptr_t)d->ring;
    call.step.draws = (pio_addr)(uintptr_t)d->draws;
    if (!row)
        test_reference_run(&call);
    else if (row->backend == PIO_BACKEND_CPU)
        test_row_run(row, &call);
    else
        test_shared_run(row, &call);
}

/* Calls `check` with the reference and every row of the op that this machine can run, on whatever device. */
static void on_every_row(void (*check)(const pio_row *row, void *user), void *user) {
    int n_rows, n_tested = 0;
    const pio_row *const *rows = pio_rows(&n_rows);
    test_shared_reset();
    check(NULL, user);
    for (int i = 0; i < n_rows; i++) {
        if (rows[i]->op != PIO_OP_SAMPLE || !(test_row_runs_here(rows[i]) || test_shared_runs(rows[i]))) continue;
        test_shared_reset();
        check(rows[i], user);
        n_tested++;
    }
    assert_true(n_tested > 0);
}

/* ---- distributions ---- */

typedef struct setting {
    const char *name;
    int32_t vocab;
    pio_sample_slot slot;
    bool counted, biased;
} setting;

static const setting settings[] = {
    {"temperature 1", 60, {.temperature = 1, .top_p = 1}, false, false},
    {"temperature 0.5", 60, {.temperature = 0.5f, .top_p = 1}, false, false},
    {"temperature 3", 33, {.temperature = 3, .top_p = 1}, false, false},
    {"top-k 7", MOST_VOCAB, {.temperature = 1.2f, .top_k = 7, .top_p = 1}, false, false},
    {"top-k beyond the vocabulary", 20, {.temperature = 1, .top_k = 500, .top_p = 1}, false, false},
    {"top-p 0.7", MOST_VOCAB, {.temperature = 1, .top_p = 0.7f}, false, false},
    {"min-p 0.1", 200, {.temperature = 1, .top_p = 1, .min_p = 0.1f}, false, false},
    {"top-k, top-p and min-p", 500, {.temperature = 1.5f, .top_k = 40, .top_p = 0.9f, .min_p = 0.15f}, false, false},
    {"repetition", 40, {.temperature = 1, .top_p = 1, .repetition_penalty = 1.5f}, true, false},
    {"presence and frequency",
     40,
     {.temperature = 1, .top_p = 1, .presence_penalty = 0.7f, .frequency_penalty = 0.4f},
     true,
     false},
    {"negative presence", 40, {.temperature = 1, .top_p = 1, .presence_penalty = -1}, true, false},
    {"biases", 40, {.temperature = 1, .top_p = 1}, false, true},
    {"all of them",
     300,
     {.temperature = 1.1f,
      .top_k = 60,
      .top_p = 0.95f,
      .min_p = 0.02f,
      .repetition_penalty = 1.2f,
      .presence_penalty = 0.3f,
      .frequency_penalty = 0.2f},
     true,
     true},
};

/* What a setting is tried on. */
typedef struct trial {
    setting of;
    float logits[MOST_VOCAB];
    uint16_t counts[MOST_VOCAB];
    pio_sample_bias biases[N_BIASES];
    double p[MOST_VOCAB]; /* the exact distribution */
} trial;

static void adjust(const trial *t, double x[MOST_VOCAB]) {
    for (int32_t i = 0; i < t->of.vocab; i++) x[i] = t->logits[i];
    for (int i = 0; i < N_BIASES && t->of.biased; i++) x[t->biases[i].id] += (double)t->biases[i].bias;
    for (int32_t i = 0; i < t->of.vocab && t->of.counted; i++) {
        const int n = t->counts[i] & 0x7fff;
        const double r = t->counts[i] ? (double)t->of.slot.repetition_penalty : 1;
        x[i] = x[i] < 0 ? x[i] * r : x[i] / r;
        x[i] -= (n > 0 ? (double)t->of.slot.presence_penalty : 0) + (double)t->of.slot.frequency_penalty * n;
    }
}

static const double *likelihood; /* of the ids that are being sorted; qsort has no argument for it */

static int likelier_first(const void *a, const void *b) {
    const double x = likelihood[*(const int *)a], y = likelihood[*(const int *)b];
    return (x < y) - (x > y);
}

/* The distribution by its definition: of the ids in falling order top_k, of these the fewest with top_p of their mass,
 * of these the ones with min_p of the best. */
static void exact_distribution(trial *t) {
    double x[MOST_VOCAB], mass = 0, kept_mass = 0, sum = 0;
    int order[MOST_VOCAB], n = t->of.vocab, kept = 0;
    adjust(t, x);
    likelihood = x;
    for (int i = 0; i < n; i++) order[i] = i;
    qsort(order, (size_t)n, sizeof *order, likelier_first);
    const double best = x[order[0]];
    if (t->of.slot.top_k > 0) n = PIO_MIN(n, t->of.slot.top_k);
    for (int i = 0; i < n; i++) mass += exp((x[order[i]] - best) / (double)t->of.slot.temperature);
    memset(t->p, 0, sizeof t->p);
    while (kept < n && (kept == 0 || kept_mass < (double)t->of.slot.top_p * mass)) {
        const double p = exp((x[order[kept]] - best) / (double)t->of.slot.temperature);
        kept_mass += p;
        if (p >= (double)t->of.slot.min_p) t->p[order[kept]] = p;
        kept++;
    }
    for (int i = 0; i < t->of.vocab; i++) sum += t->p[i];
    for (int i = 0; i < t->of.vocab; i++) t->p[i] /= sum;
}

/* How many standard deviations chi-square lies above what its degrees of freedom lead one to expect (Wilson and
 * Hilferty 1931: its cube root is nearly normal). Cells that expect fewer than 8 are put together, and left out where
 * that expects no more: few counts are far from normal. */
static double chi_square(const int32_t *counts, const double *p, int32_t n_cells, int32_t n) {
    double sum = 0, rest_p = 0, rest = 0;
    int free_cells = -1;
    for (int32_t i = 0; i < n_cells; i++) {
        if (p[i] == 0 && counts[i]) return INFINITY;
        if (p[i] * n < 8) {
            rest_p += p[i];
            rest += counts[i];
            continue;
        }
        sum += (counts[i] - p[i] * n) * (counts[i] - p[i] * n) / (p[i] * n);
        free_cells++;
    }
    if (rest_p * n >= 8) {
        sum += (rest - rest_p * n) * (rest - rest_p * n) / (rest_p * n);
        free_cells++;
    }
    if (free_cells < 1) return 0;
    const double spread = 2.0 / (9.0 * free_cells);
    return (cbrt(sum / free_cells) - (1 - spread)) / sqrt(spread);
}

/* One chance in ten million, so that a run of all of these fails by chance once in ten thousand years of daily runs. */
static const double MOST_DEVIATIONS = 5.2;

static void check_trial(const pio_row *row, void *user) {
    trial *t = user;
    const size_t vocab = (size_t)t->of.vocab;
    const int32_t n = N_DRAWS / fewer(row);
    char name[PIO_ROW_NAME_BYTES];
    int32_t counts[MOST_VOCAB] = {0};
    float *logits = test_shared(sizeof *logits * vocab);
    uint16_t *own = test_shared(sizeof *own * vocab * (size_t)n);
    pio_sample_bias *biases = test_shared(sizeof t->biases);
    draws d = draws_make(&t->of.slot, n, t->of.vocab, logits, 0);
    memcpy(logits, t->logits, sizeof *logits * vocab);
    memcpy(biases, t->biases, sizeof t->biases);
    for (size_t i = 0; i < (size_t)n; i++) {
        memcpy(own + vocab * i, t->counts, sizeof *own * vocab);
        if (t->of.counted) d.slots[i].counts = test_shared_address(row, own + vocab * i);
        if (t->of.biased) d.slots[i].biases = test_shared_address(row, biases), d.slots[i].n_biases = N_BIASES;
        if (i % 2) d.slots[i].seed += i, d.draws[i].position = 0; /* half of them are other seeds' first draws */
    }
    draws_run(row, &d);
    for (int32_t i = 0; i < n; i++) {
        assert_in_range(d.ring[i], 0, vocab - 1);
        assert_int_equal(d.slots[i].last_token, d.ring[i]);
        counts[d.ring[i]]++;
        if (t->of.counted) assert_int_equal(own[vocab * (size_t)i + (size_t)d.ring[i]], t->counts[d.ring[i]] + 1);
    }
    const double deviations = chi_square(counts, t->p, t->of.vocab, n);
    if (deviations > MOST_DEVIATIONS)
        fail_msg("%s, %s: chi-square is %.1f standard deviations too large", t->of.name,
                 row ? pio_row_name(row, name) : "reference", deviations);
}

static void draws_have_the_exact_distribution(void **state) {
    (void)state;
    static trial t;
    test_random random = test_random_begin("draws_have_the_exact_distribution");
    for (size_t k = 0; k < PIO_COUNT(settings); k++) {
        t.of = settings[k];
        t.of.slot.seed = test_random_u64(&random);
        if (t.of.slot.repetition_penalty == 0) t.of.slot.repetition_penalty = 1;
        for (int32_t i = 0; i < t.of.vocab; i++) {
            t.logits[i] = 2 * test_random_gaussian(&random);
            t.counts[i] = (uint16_t)(test_random_below(&random, 4) * test_random_below(&random, 2) |
                                     test_random_below(&random, 2) * PIO_COUNT_IN_PROMPT);
        }
        for (int i = 0; i < N_BIASES; i++)
            t.biases[i] =
                (pio_sample_bias){(int32_t)test_random_below(&random, (uint64_t)t.of.vocab), 3.0f * (float)(i - 1)};
        exact_distribution(&t);
        on_every_row(check_trial, &t);
    }
}

/* The test of the test: a distribution that is a little off is found. */
static void a_wrong_distribution_is_found(void **state) {
    (void)state;
    enum { N = 16 };
    test_random random = test_random_begin("a_wrong_distribution_is_found");
    double p[N];
    int32_t right[N] = {0}, wrong[N] = {0};
    for (int i = 0; i < N; i++) p[i] = 1.0 / N;
    for (int i = 0; i < N_DRAWS; i++) {
        right[test_random_below(&random, N)]++;
        wrong[test_random_below(&random, 4) ? test_random_below(&random, N) : test_random_below(&random, N / 2)]++;
    }
    assert_true(chi_square(right, p, N, N_DRAWS) < MOST_DEVIATIONS);
    assert_true(chi_square(wrong, p, N, N_DRAWS) > MOST_DEVIATIONS);
    p[0] = 0;
    assert_true(isinf(chi_square(right, p, N, N_DRAWS)));
}

/* ---- edges ---- */

static const pio_sample_slot greedy_slot = {.top_p = 1, .repetition_penalty = 1};
static const pio_sample_slot drawing_slot = {.temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 77};

/* The token of one row of logits. */
static int32_t one(const pio_row *row, pio_sample_slot slot, float *logits, int32_t vocab) {
    draws d = draws_make(&slot, 1, vocab, logits, 0);
    draws_run(row, &d);
    const int32_t token = d.ring[0];
    assert_int_equal(d.slots[0].last_token, PIO_MAX(0, token));
    return token;
}

static void check_edges(const pio_row *row, void *user) {
    test_random *random = user;
    enum { VOCAB = 71 };
    float *x = test_shared(sizeof *x * VOCAB);
    pio_sample_slot slots[] = {greedy_slot, drawing_slot, drawing_slot, drawing_slot};
    slots[2].top_k = 5;
    slots[3].top_p = 0.9f;
    for (int32_t at = 0; at < VOCAB; at += fewer(row)) { /* the only finite logit, among NaN and minus infinities */
        for (int i = 0; i < VOCAB; i++) x[i] = test_random_below(random, 2) ? NAN : -INFINITY;
        for (size_t k = 0; k < PIO_COUNT(slots); k++) assert_int_equal(one(row, slots[k], x, VOCAB), -1);
        x[at] = -1e30f;
        for (size_t k = 0; k < PIO_COUNT(slots); k++) assert_int_equal(one(row, slots[k], x, VOCAB), at);
    }
    for (int round = 0; round < 50 / fewer(row); round++) { /* the largest, of equals the first */
        int32_t best = 0;
        for (int i = 0; i < VOCAB; i++) x[i] = (float)test_random_below(random, 9) - 20;
        for (int i = 1; i < VOCAB; i++)
            if (x[i] > x[best]) best = i;
        assert_int_equal(one(row, greedy_slot, x, VOCAB), best);
        pio_sample_slot nearly = drawing_slot;
        nearly.top_k = 1;
        assert_int_equal(one(row, nearly, x, VOCAB), best);
        nearly.top_k = 0;
        nearly.top_p = 1e-6f;
        assert_int_equal(one(row, nearly, x, VOCAB), best);
        nearly.top_p = 0;
        assert_int_equal(one(row, nearly, x, VOCAB), best);
        nearly.top_p = 1;
        nearly.temperature = 1e-4f;
        assert_true(x[one(row, nearly, x, VOCAB)] == x[best]);
    }
    x[0] = -3;
    assert_int_equal(one(row, greedy_slot, x, 1), 0);
    assert_int_equal(one(row, drawing_slot, x, 1), 0);
}

static void odd_logits_are_handled(void **state) {
    (void)state;
    test_random random = test_random_begin("odd_logits_are_handled");
    on_every_row(check_edges, &random);
}

/* Rows without a slot leave everything alone, and a draw depends on seed and position alone, not on its row. */
static void check_independence(const pio_row *row, void *user) {
    test_random *random = user;
    enum { N = 40, VOCAB = 100 };
    float *x = test_shared(sizeof *x * VOCAB);
    for (int i = 0; i < VOCAB; i++) x[i] = test_random_gaussian(random);
    pio_sample_slot slot = drawing_slot;
    slot.seed = test_random_u64(random);
    draws d = draws_make(&slot, N, VOCAB, x, 0), other = draws_make(&slot, N, VOCAB, x, 0);
    for (int i = 0; i < N; i++) other.draws[i].position = N - 1 - i;
    other.draws[3].slot = -1;
    other.slots[3].last_token = 1234;
    draws_run(row, &d);
    draws_run(row, &other);
    int n_changed = 0;
    for (int i = 0; i < N; i++) {
        assert_int_equal(other.ring[i], i == 3 ? 0x55555555 : d.ring[N - 1 - i]);
        n_changed += d.ring[i] != d.ring[0];
    }
    assert_int_equal(other.slots[3].last_token, 1234);
    assert_true(n_changed > N / 2);
}

static void draws_depend_on_seed_and_position_alone(void **state) {
    (void)state;
    test_random random = test_random_begin("draws_depend_on_seed_and_position_alone");
    on_every_row(check_independence, &random);
}

/* The generator's published test vectors (Random123, kat_vectors: philox4x32 10, counters and keys of 0). */
static void the_generator_is_philox(void **state) {
    (void)state;
    const double expected = (double)((UINT64_C(0x6627e8d5) << 32 | UINT64_C(0xe169c58d)) >> 11) * 0x1p-53;
    assert_true(pio_sample_uniform(0, 0) == expected);
    assert_true(pio_sample_uniform(1, 0) != expected && pio_sample_uniform(UINT64_C(1) << 32, 0) != expected &&
                pio_sample_uniform(0, 1) != expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_have_the_exact_distribution),
        cmocka_unit_test(a_wrong_distribution_is_found),
        cmocka_unit_test(odd_logits_are_handled),
        cmocka_unit_test(draws_depend_on_seed_and_position_alone),
        cmocka_unit_test(the_generator_is_philox),
    };
    return cmocka_run_group_tests(tests, NULL, test_shared_close);
}
