/* usage: model_accuracy MODEL. The numbers agree with the reference implementation: the small checkpoints of
 * tests/data/golden, made together with their logits and greedy continuations by transformers in float32
 * (tools/make_golden.py), on every path through the cache and with every kind of weights. And the bundled checkpoint
 * answers a sample of the questions that it was made for (tools/tiny/ask asks more). */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "engine/prompt.h"
#include "io/safetensors.h"
#include "tests/support/engine.h"
#include "tests/support/family.h"

enum { MOST_IDS = 1024 };

typedef struct golden {
    char directory[TEST_PATH_BYTES - 32];
    pio_safetensors *file;
    const float *logits; /* [n, vocab] */
    int32_t ids[MOST_IDS], greedy[MOST_IDS];
    test_pictures pictures;
    int32_t n, n_greedy, vocab; /* n_greedy: ids and their continuation */
} golden;

static const pio_stored_tensor *tensor_of(const golden *g, const char *name, pio_stored_dtype dtype, int rank) {
    const pio_stored_tensor *tensor = pio_safetensors_find(g->file, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, dtype);
    assert_int_equal(tensor->rank, rank);
    return tensor;
}

static golden *open_golden(const char *directory) {
    golden *g = calloc(1, sizeof *g);
    char path[TEST_PATH_BYTES];
    pio_error error;
    assert_non_null(g);
    snprintf(g->directory, sizeof g->directory, "%s", directory);
    snprintf(path, sizeof path, "%s/golden.safetensors", g->directory);
    if (pio_safetensors_open(path, &g->file, &error)) fail_msg("%s", error.text);
    const pio_stored_tensor *logits = tensor_of(g, "logits", PIO_STORED_F32, 2);
    const pio_stored_tensor *ids = tensor_of(g, "input_ids", PIO_STORED_I32, 1);
    const pio_stored_tensor *greedy = tensor_of(g, "greedy_ids", PIO_STORED_I32, 1);
    assert_true(ids->dims[0] == logits->dims[0] && ids->dims[0] < greedy->dims[0] && greedy->dims[0] <= MOST_IDS);
    assert_int_equal((uintptr_t)logits->data % sizeof(float), 0);
    g->logits = logits->data;
    g->n = (int32_t)ids->dims[0];
    g->n_greedy = (int32_t)greedy->dims[0];
    g->vocab = (int32_t)logits->dims[1];
    memcpy(g->ids, ids->data, ids->bytes);
    memcpy(g->greedy, greedy->data, greedy->bytes);
    return g;
}

static void close_golden(golden *g) {
    pio_safetensors_close(g->file);
    free(g);
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the tokens' errors, each a NMSE over its row, the median; and the NMSE over all. */
static void token_errors(const golden *g, const float *logits, double *median, double *all) {
    double errors[MOST_IDS];
    for (int32_t t = 0; t < g->n; t++)
        errors[t] = test_nmse(logits + (size_t)t * (size_t)g->vocab, g->logits + (size_t)t * (size_t)g->vocab,
                              (size_t)g->vocab);
    qsort(errors, (size_t)g->n, sizeof *errors, compare_doubles);
    *median = errors[g->n / 2];
    *all = test_nmse(logits, g->logits, (size_t)g->n * (size_t)g->vocab);
}

typedef struct tolerance {
    const char *name;
    pio_dtype weights;
    bool compute_f32;
    double median, all; /* most NMSE */
} tolerance;

/* float32 arithmetic differs by the order of sums alone. Random weights of small matrices are the hardest for 8 and 4
 * bits: nothing averages out. Rounding sends a few tokens
 * to other experts, which the median does not see. */
static const tolerance tolerances[] = {
    {"float32", PIO_DTYPE_BF16, true, 1e-9, 1e-9},
    {"default", PIO_DTYPE_BF16, false, 1e-3, 2e-2},
    {"q8", PIO_DTYPE_Q8, false, 5e-3, 2e-2},
    {"q4", PIO_DTYPE_Q4, false, 0.1, 0.2},
};

/* Those of a model with eyes. */
static void load_pictures(golden *g, const pio_model *model) {
    if (model->config.common.eyes.merge) test_pictures_load(g->file, model->config.common.eyes.merge, &g->pictures);
}

static void check_logits(golden *g, const tolerance *limit) {
    static const int32_t steps[] = {MOST_IDS, 1, 7};
    float *logits = malloc(sizeof *logits * (size_t)g->n * (size_t)g->vocab);
    pio_engine_options options = test_engine_options(limit->compute_f32);
    options.weights = limit->weights;
    options.context = g->n_greedy;
    options.chunk = g->n;
    pio_model *model = test_model_load(g->directory, &options);
    assert_non_null(logits);
    assert_int_equal(model->config.common.vocab_size, g->vocab);
    for (size_t i = 0; i < PIO_COUNT(steps); i++) {
        double median, all;
        load_pictures(g, model);
        test_model_logits_seen(model, g->ids, g->n, PIO_MIN(steps[i], g->n), &g->pictures, logits);
        token_errors(g, logits, &median, &all);
        print_message("%s, steps of %d: NMSE of the median token %.2g, over all %.2g\n", limit->name,
                      PIO_MIN(steps[i], g->n), median, all);
        if (!(median <= limit->median && all <= limit->all)) fail_msg("over %.2g and %.2g", limit->median, limit->all);
    }
    pio_model_close(model);
    free(logits);
}

static void check_greedy(golden *g, bool compute_f32) {
    static test_answer answer;
    const int32_t n_new = g->n_greedy - g->n;
    pio_engine_options options = test_engine_options(compute_f32);
    options.context = g->n_greedy;
    pio_engine *engine = test_engine_open(g->directory, &options);
    assert_memory_equal(g->greedy, g->ids, sizeof *g->ids * (size_t)g->n);
    load_pictures(g, pio_engine_model(engine));
    test_answer_begin(&answer, g->ids, g->n, n_new);
    answer.request.pictures = g->pictures.list;
    answer.request.n_pictures = g->pictures.n;
    test_answers_run(engine, &answer, 1);
    assert_int_equal(answer.n_tokens, n_new);
    for (int32_t i = 0; i < n_new; i++)
        if (answer.tokens[i] != g->greedy[g->n + i])
            fail_msg("token %d of the continuation is %d and should be %d", i, answer.tokens[i], g->greedy[g->n + i]);
    pio_engine_destroy(engine);
}

/* Where all is slow, quantised weights are loaded for one checkpoint of the family, and of the greedy continuations,
 * which are as exact as the logits, the default arithmetic's are made. */
static void logits_agree(void **state) {
    golden *g = open_golden(*state);
    const bool all = !test_is_slow() || *state == (void *)the_family.golden[0];
    for (size_t i = 0; i < PIO_COUNT(tolerances); i++)
        if (all || tolerances[i].weights == PIO_DTYPE_BF16) check_logits(g, &tolerances[i]);
    close_golden(g);
}

static void greedy_continuations_agree(void **state) {
    golden *g = open_golden(*state);
    if (!test_is_slow()) check_greedy(g, true);
    check_greedy(g, false);
    close_golden(g);
}

/* ---- questions of the bundled checkpoint's world ---- */

enum { MOST_QUESTIONS = 512 };

typedef struct question {
    json_t *line; /* {"task", "messages", "answer", ...}: what the template reads, and the only right answer */
    pio_prompt prompt;
} question;

/* Every `stride`-th from `first` on. */
static int32_t read_questions(const pio_speaker *speaker, int32_t first, int32_t stride, question *questions) {
    test_lines lines = test_lines_begin("questions.jsonl");
    int32_t n = 0;
    for (json_t *line; (line = test_lines_next(&lines));) {
        pio_error error = {0};
        assert_true(n < MOST_QUESTIONS);
        if (lines.line % stride != first) {
            json_decref(line);
            continue;
        }
        questions[n] = (question){.line = line};
        json_object_set_new(line, "add_generation_prompt", json_true());
        if (pio_prompt_make(speaker, line, &questions[n].prompt, &error))
            fail_msg("questions.jsonl, line %d: %s", lines.line, error.text);
        n++;
    }
    assert_true(lines.line >= 100 && n >= lines.line / stride);
    return n;
}

/* How many of the questions are answered exactly. */
static int32_t n_right(const question *questions, const pio_answer *answers, int32_t n) {
    int32_t right = 0;
    for (int32_t i = 0; i < n; i++) {
        const char *wanted = json_string_value(json_object_get(questions[i].line, "answer"));
        assert_non_null(wanted);
        const bool exact = answers[i].text.n_bytes == strlen(wanted) &&
                           !memcmp(answers[i].text.bytes, wanted, answers[i].text.n_bytes);
        if (!exact)
            print_message("wanted %s\ngot    %.*s\n", wanted, (int)answers[i].text.n_bytes, answers[i].text.bytes);
        right += exact;
    }
    return right;
}

/* How many of every `stride`-th question from `first` on are answered exactly; *share: per cent of them. */
static int32_t ask(int backend, pio_dtype weights, int32_t first, int32_t stride, double *share) {
    static question questions[MOST_QUESTIONS];
    static pio_token_ids prompts[MOST_QUESTIONS];
    static pio_answer answers[MOST_QUESTIONS];
    pio_engine_options options = test_engine_options(false);
    pio_error error = {0};
    pio_speaker *speaker;
    options.backend = backend;
    options.weights = weights;
    options.max_sequences = 8;
    if (pio_speaker_create(test_model_load(the_family.tiny, &options), &speaker, &error)) fail_msg("%s", error.text);
    const int32_t n = read_questions(speaker, first, stride, questions);
    for (int32_t i = 0; i < n; i++) {
        prompts[i] = questions[i].prompt.ids;
        answers[i] = (pio_answer){.sampling = pio_sampling_greedy()};
        pio_prompt_show(&questions[i].prompt, &answers[i]);
    }
    if (pio_speaker_run(speaker, prompts, answers, n, NULL, NULL, &error)) fail_msg("%s", error.text);
    const int32_t right = n_right(questions, answers, n);
    *share = 100.0 * right / n;
    print_message("%s: %.1f%% of %d questions\n", pio_dtype_name(weights), *share, n);
    for (int32_t i = 0; i < n; i++) {
        pio_answer_free(&answers[i]);
        pio_prompt_free(&questions[i].prompt);
        json_decref(questions[i].line);
    }
    pio_speaker_destroy(speaker);
    return right;
}

static void the_bundled_checkpoint_answers(void **state) {
    (void)state;
    double exact, quantised;
    if (!the_family.has_tiny || !test_is_cpu() || TEST_SANITIZED) skip();
    ask(test_backend(), PIO_DTYPE_BF16, 0, 1, &exact);
    assert_true(exact >= 95);
    for (int i = 0; i < 2; i++) {
        ask(test_backend(), i ? PIO_DTYPE_Q4 : PIO_DTYPE_Q8, 0, 1, &quantised);
        assert_true(quantised >= exact - 2);
    }
}

/* A few, the same in every run, where an answer takes seconds. Quantised weights are held by the logits above. */
static void a_slow_backend_answers_as_the_cpu(void **state) {
    (void)state;
    enum { STRIDE = 37 };
    double share;
    if (!the_family.has_tiny || !test_is_slow()) skip();
    if (test_is_cpu()) { /* sanitizers: that it answers at all */
        ask(test_backend(), PIO_DTYPE_Q4, 0, STRIDE, &share);
        assert_true(share >= 75);
        return;
    }
    const int32_t right = ask(test_backend(), PIO_DTYPE_BF16, 0, STRIDE, &share);
    assert_true(right >= ask(PIO_BACKEND_CPU, PIO_DTYPE_BF16, 0, STRIDE, &share));
}

int main(int argc, char **argv) {
    static char titles[2 * TEST_MOST_GOLDEN][TEST_PATH_BYTES];
    struct CMUnitTest tests[2 * TEST_MOST_GOLDEN + 2];
    size_t n = 0;
    if (!test_family_begin(argc, argv)) return 2;
    for (int i = 0; i < the_family.n_golden; i++) {
        const char *name = strrchr(the_family.golden[i], '/') + 1;
        snprintf(titles[n], sizeof titles[n], "%s: logits_agree", name);
        tests[n] = (struct CMUnitTest){titles[n], logits_agree, NULL, NULL, the_family.golden[i]};
        n++;
        snprintf(titles[n], sizeof titles[n], "%s: greedy_continuations_agree", name);
        tests[n] = (struct CMUnitTest){titles[n], greedy_continuations_agree, NULL, NULL, the_family.golden[i]};
        n++;
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(the_bundled_checkpoint_answers);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_slow_backend_answers_as_the_cpu);
    return _cmocka_run_group_tests("accuracy", tests, n, NULL, NULL);
}
