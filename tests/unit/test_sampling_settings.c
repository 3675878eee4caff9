/* The settings of a request go to the device as they were given; those of a checkpoint come from its
 * generation_config.json; and what is out of range is named. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "tests/support/engine.h"
#include "tests/support/temp_dir.h"

/* The best id after biases and penalties, as a request's settings say. `generated`: how often each was drawn. */
static int32_t expected_token(const float *logits, int32_t vocab, const pio_request *r, const int *generated) {
    int32_t best = -1;
    double most = -INFINITY;
    for (int32_t i = 0; i < vocab; i++) {
        double x = logits[i];
        bool seen = generated[i] > 0;
        for (int32_t k = 0; k < r->sampling.n_biases; k++)
            if (r->sampling.biases[k].id == i) x += (double)r->sampling.biases[k].bias;
        for (int32_t k = 0; k < r->n_prompt; k++) seen |= r->prompt[k] == i;
        if (seen) x = x > 0 ? x / (double)r->sampling.repetition_penalty : x * (double)r->sampling.repetition_penalty;
        if (generated[i]) x -= (double)r->sampling.presence_penalty;
        x -= generated[i] * (double)r->sampling.frequency_penalty;
        if (x > most) most = x, best = i;
    }
    return best;
}

static void settings_reach_the_device(void **state) {
    (void)state;
    enum { N_PROMPT = 30, N_NEW = 40, VOCAB = 512, N = 5 };
    static float logits[(N_PROMPT + N_NEW) * VOCAB];
    static test_answer answers[N];
    test_random random = test_random_begin("settings_reach_the_device");
    pio_engine_options options = test_engine_options(true);
    options.context = 128;
    options.max_sequences = 3; /* slots are used again, by settings that must not remain */
    pio_engine *engine = test_engine_open(TEST_TINY, &options);
    pio_model *model = test_model_load(TEST_TINY, &options);
    int32_t ids[N_PROMPT + N_NEW];
    test_random_ids(&random, model, ids, N_PROMPT);
    const pio_logit_bias biases[] = {{(int32_t)test_random_below(&random, VOCAB), 16}, {ids[0], -50}, {ids[1], 2.5f}};
    for (int k = 0; k < N; k++) test_answer_begin(&answers[k], ids, N_PROMPT, N_NEW);
    answers[0].request.sampling.repetition_penalty = 3;
    answers[1].request.sampling.presence_penalty = 9;
    answers[2].request.sampling.frequency_penalty = 4;
    answers[3].request.sampling.biases = biases;
    answers[3].request.sampling.n_biases = PIO_COUNT(biases);
    test_answers_run(engine, answers, N);
    for (int k = 0; k < N; k++) {
        int generated[VOCAB] = {0};
        memcpy(ids + N_PROMPT, answers[k].tokens, sizeof *ids * N_NEW);
        test_model_logits(model, ids, N_PROMPT + N_NEW - 1, 64, logits);
        for (int32_t t = 0; t < N_NEW; t++) {
            const float *row = logits + (size_t)VOCAB * (size_t)(N_PROMPT + t - 1);
            const int32_t token = answers[k].tokens[t];
            if (token != expected_token(row, VOCAB, &answers[k].request, generated))
                fail_msg("setting %d: token %d is %d, not %d", k, t, token,
                         expected_token(row, VOCAB, &answers[k].request, generated));
            generated[token]++;
        }
    }
    int changed = 0; /* one may leave an answer as it was: a penalty, where nothing was repeated */
    for (int k = 0; k < N - 1; k++) changed += memcmp(answers[k].tokens, answers[N - 1].tokens, 4 * N_NEW) != 0;
    assert_true(changed >= 2);
    pio_model_close(model);
    pio_engine_destroy(engine);
}

static void values_out_of_range_are_named(void **state) {
    (void)state;
    const pio_logit_bias bad[] = {{600, 1}}, nan[] = {{5, NAN}};
    pio_sampling s[16];
    const char *const words[] = {"temperature is -1",
                                 "temperature is nan",
                                 "top_p is 1.5",
                                 "min_p is -0.1",
                                 "repetition_penalty is 0",
                                 "presence_penalty is 101",
                                 "frequency_penalty is inf",
                                 "top_k is -3",
                                 "logit biases is -1",
                                 "token 600",
                                 "vocabulary of 512 or not a"};
    for (size_t i = 0; i < PIO_COUNT(s); i++) s[i] = pio_sampling_greedy();
    s[0].temperature = -1, s[1].temperature = NAN, s[2].top_p = 1.5f, s[3].min_p = -0.1f, s[4].repetition_penalty = 0;
    s[5].presence_penalty = 101, s[6].frequency_penalty = INFINITY, s[7].top_k = -3, s[8].n_biases = -1;
    s[9].biases = bad, s[9].n_biases = 1, s[10].biases = nan, s[10].n_biases = 1;
    for (size_t i = 0; i < PIO_COUNT(words); i++) {
        pio_error error = {0};
        assert_int_equal(pio_sampling_check(&s[i], 512, &error), PIO_INVALID_ARGUMENT);
        if (!strstr(error.text, words[i])) fail_msg("'%s' lacks '%s'", error.text, words[i]);
        assert_null(strchr(error.text, '\n'));
    }
    assert_int_equal(pio_sampling_check(&s[11], 512, NULL), PIO_OK);
    s[11] = (pio_sampling){.temperature = 100, .min_p = 1, .repetition_penalty = 1, .top_k = INT32_MAX};
    assert_int_equal(pio_sampling_check(&s[11], 512, NULL), PIO_OK);
}

/* ---- generation_config.json ---- */

/* Reads a directory with these two files; NULL: without. */
static pio_status read_files(const char *generation, const char *config, pio_generation *out, pio_error *error) {
    char *directory = temp_dir_make();
    if (generation) temp_dir_write(directory, "generation_config.json", generation, strlen(generation));
    if (config) temp_dir_write(directory, "config.json", config, strlen(config));
    memset(out, 0x55, sizeof *out);
    pio_status status = pio_generation_read(directory, out, error);
    temp_dir_remove(directory);
    return status;
}

static void defaults_come_from_the_checkpoint(void **state) {
    (void)state;
    static const char config[] = "{\"eos_token_id\": 9}";
    pio_generation d;
    assert_int_equal(
        read_files("{\"do_sample\": true, \"temperature\": 0.7, \"top_p\": 0.8, \"top_k\": 20, \"min_p\": 0.25, "
                   "\"repetition_penalty\": 1.05, \"eos_token_id\": [7, 3], \"pad_token_id\": 1}",
                   config, &d, NULL),
        PIO_OK);
    assert_true(d.sampling.temperature == 0.7f && d.sampling.top_p == 0.8f && d.sampling.min_p == 0.25f);
    assert_true(d.sampling.repetition_penalty == 1.05f && d.sampling.top_k == 20 && d.sampling.seed == 0);
    assert_true(d.sampling.presence_penalty == 0 && d.sampling.frequency_penalty == 0 && d.sampling.n_biases == 0);
    assert_true(d.n_end_ids == 2 && d.end_ids[0] == 7 && d.end_ids[1] == 3);
    assert_true(d.max_new_tokens == 0 && d.max_length == 0);
    assert_int_equal(read_files("{\"max_new_tokens\": 12, \"max_length\": 99}", config, &d, NULL), PIO_OK);
    assert_true(d.max_new_tokens == 12 && d.max_length == 99);

    assert_int_equal(read_files("{\"do_sample\": true, \"eos_token_id\": 7}", config, &d, NULL), PIO_OK);
    assert_true(d.sampling.temperature == 1 && d.sampling.top_p == 1 && d.sampling.repetition_penalty == 1);
    assert_true(d.n_end_ids == 1 && d.end_ids[0] == 7);

    assert_int_equal(read_files("{\"do_sample\": false, \"temperature\": 0.7}", config, &d, NULL), PIO_OK);
    assert_true(d.sampling.temperature == 0 && d.n_end_ids == 1 && d.end_ids[0] == 9);

    assert_int_equal(read_files("{\"temperature\": 0.7, \"eos_token_id\": null}", config, &d, NULL), PIO_OK);
    assert_true(d.sampling.temperature == 0 && d.n_end_ids == 1 && d.end_ids[0] == 9);

    assert_int_equal(read_files(NULL, "{\"eos_token_id\": [4, 5, 6]}", &d, NULL), PIO_OK);
    assert_true(d.sampling.temperature == 0 && d.sampling.top_p == 1 && d.sampling.repetition_penalty == 1);
    assert_true(d.n_end_ids == 3 && d.end_ids[2] == 6);

    assert_int_equal(read_files(NULL, NULL, &d, NULL), PIO_OK);
    assert_true(d.sampling.temperature == 0 && d.n_end_ids == 0);
}

static void wrong_defaults_are_refused_with_file_and_key(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"{\"temperature\": \"hot\"}", "temperature"},
        {"{\"temperature\": -1}", "temperature"},
        {"{\"top_k\": 1.5}", "top_k"},
        {"{\"top_p\": 7}", "top_p"},
        {"{\"do_sample\": 1}", "do_sample"},
        {"{\"repetition_penalty\": 0}", "repetition_penalty"},
        {"{\"eos_token_id\": \"</s>\"}", "eos_token_id"},
        {"{\"eos_token_id\": [1, -1]}", "eos_token_id"},
        {"{\"eos_token_id\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]}", "eos_token_id"},
        {"{\"max_new_tokens\": 0}", "max_new_tokens"},
        {"{\"max_length\": \"long\"}", "max_length"},
        {"{\"top_k\": 5", "generation_config.json"},
        {"[]", "generation_config.json"},
    };
    for (size_t i = 0; i < PIO_COUNT(bad); i++) {
        pio_error error = {0};
        pio_generation d;
        assert_int_equal(read_files(bad[i][0], "{\"eos_token_id\": 1}", &d, &error), PIO_CORRUPT);
        print_message("%s\n", error.text);
        if (!strstr(error.text, bad[i][1]) || !strstr(error.text, "generation_config.json"))
            fail_msg("'%s' names not both the file and '%s'", error.text, bad[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_reach_the_device),
        cmocka_unit_test(values_out_of_range_are_named),
        cmocka_unit_test(defaults_come_from_the_checkpoint),
        cmocka_unit_test(wrong_defaults_are_refused_with_file_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
