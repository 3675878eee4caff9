#include "tests/support/engine.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "engine/device.h"
#include "engine/step.h"

enum { MOST_PAGES = 64, MOST_ANSWERS = 128 };

int test_backend(void) {
    const char *name = getenv("PIO_BACKEND");
    pio_error error = {0};
    int backend = PIO_AUTO;
    if (name && pio_backend_parse(name, &backend, &error)) fail_msg("PIO_BACKEND: %s", error.text);
    return backend;
}

bool test_is_cpu(void) {
    return test_backend() == PIO_BACKEND_CPU || test_backend() == PIO_AUTO;
}

bool test_is_slow(void) {
    return TEST_SANITIZED || !test_is_cpu();
}

pio_engine_options test_engine_options(bool compute_f32) {
    return (pio_engine_options){.backend = test_backend(),
                                .device = PIO_AUTO,
                                .n_threads = 2,
                                .weights = PIO_DTYPE_BF16,
                                .compute_f32 = compute_f32};
}

pio_model *test_model_load(const char *directory, const pio_engine_options *options) {
    pio_error error = {0};
    pio_model *model;
    if (pio_model_open(directory, options, &model, &error) || pio_model_load(model, &error)) fail_msg("%s", error.text);
    return model;
}

pio_engine *test_engine_open(const char *directory, const pio_engine_options *options) {
    pio_error error = {0};
    pio_engine *engine;
    if (pio_engine_create(test_model_load(directory, options), &engine, &error)) fail_msg("%s", error.text);
    return engine;
}

static bool is_text(const pio_model_eyes *eyes, int32_t id) {
    return !eyes->merge ||
           (id != eyes->image_token && id != eyes->video_token && id != eyes->start_token && id != eyes->end_token);
}

void test_random_ids(test_random *random, const pio_model *model, int32_t *ids, int32_t n) {
    const pio_model_config *config = &model->config.common;
    for (int32_t i = 0; i < n; i++) do
            ids[i] = (int32_t)test_random_below(random, (uint64_t)config->vocab_size);
        while (!is_text(&config->eyes, ids[i]));
}

/* The logits of the newest body step's n rows. */
static void take_logits(pio_model *model, int32_t n, float *logits) {
    const size_t vocab = (size_t)model->config.common.vocab_size;
    pio_error error = {0};
    for (int32_t at = 0; at < n; at += PIO_HEAD_ROWS) {
        pio_step_out outs[PIO_HEAD_ROWS];
        const int32_t n_outs = PIO_MIN(PIO_HEAD_ROWS, n - at);
        uint64_t number;
        for (int32_t i = 0; i < n_outs; i++) outs[i] = (pio_step_out){.row = at + i, .slot = -1};
        if (pio_step_head(model, outs, n_outs, &number, &error) || pio_step_wait(model, number, &error) ||
            pio_step_fetch_logits(model, n_outs, &error))
            fail_msg("%s", error.text);
        for (int32_t i = 0; i < n_outs; i++)
            memcpy(logits + vocab * (size_t)(at + i), pio_step_logits(model, i), sizeof *logits * vocab);
    }
}

void test_model_logits(pio_model *model, const int32_t *ids, int32_t n, int32_t step, float *logits) {
    test_model_logits_seen(model, ids, n, step, &(const test_pictures){.n = 0}, logits);
}

void test_model_logits_seen(pio_model *model, const int32_t *ids, int32_t n, int32_t step,
                            const test_pictures *pictures, float *logits) {
    pio_sight *sight = NULL;
    const size_t vocab = (size_t)model->config.common.vocab_size;
    const int32_t n_pages = PIO_CEIL_DIV(n, model->spec.page_tokens);
    int32_t pages[MOST_PAGES];
    pio_error error = {0};
    assert_in_range(n_pages, 1, MOST_PAGES);
    for (int32_t i = 0; i < n_pages; i++) pages[i] = n_pages - i; /* not in the order of the tokens */
    memset(logits, 0xff, sizeof *logits * vocab * (size_t)n);     /* NaN */
    if (pio_sight_check(model, ids, n, pictures->list, pictures->n, &error) ||
        (pictures->n && pio_sight_create(model, ids, n, pictures->list, pictures->n, &sight, &error)))
        fail_msg("%s", error.text);
    for (int32_t at = 0; at < n; at += step) {
        const int32_t n_now = PIO_MIN(step, n - at);
        const pio_step_item item = {ids + at, n_now, at, pages, n_pages, sight};
        if (sight && pio_sight_look(sight, at, n_now, &error)) fail_msg("%s", error.text);
        if (pio_step_body(model, &item, 1, &error)) fail_msg("%s", error.text);
        take_logits(model, n_now, logits + vocab * (size_t)at);
    }
    pio_sight_destroy(sight);
}

void *test_buffer_read(const pio_model *model, const pio_buffer *buffer) {
    pio_buffer *readback;
    pio_list *list;
    pio_error error = {0};
    void *host, *copy = malloc(buffer->bytes);
    uint64_t number;
    assert_non_null(copy);
    if (pio_buffer_create(model->chosen.device, buffer->bytes, PIO_BUFFER_READBACK, "a copy", &readback, &error) ||
        pio_buffer_map(readback, &host, &error) || pio_list_create(model->chosen.device, false, &list, &error) ||
        pio_list_copy(list, readback->address, buffer->address, buffer->bytes, &error) || pio_list_end(list, &error) ||
        pio_queue_submit(model->queue, &list, 1, &number, &error) ||
        pio_queue_wait(model->queue, number, UINT64_MAX, &error) ||
        pio_buffer_invalidate(readback, 0, buffer->bytes, &error))
        fail_msg("%s", error.text);
    memcpy(copy, host, buffer->bytes);
    pio_list_destroy(list);
    pio_buffer_destroy(readback);
    return copy;
}

double test_nmse(const float *got, const float *wanted, size_t n) {
    double wrong = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(got[i])) return INFINITY;
        wrong += ((double)got[i] - wanted[i]) * ((double)got[i] - wanted[i]);
        all += (double)wanted[i] * wanted[i];
    }
    return wrong / all;
}

static bool keep_token(void *user, int32_t token) {
    test_answer *answer = user;
    assert_in_range(answer->n_tokens, 0, TEST_MOST_TOKENS - 1);
    answer->tokens[answer->n_tokens++] = token;
    return answer->n_tokens != answer->stop_after;
}

void test_answer_begin(test_answer *answer, const int32_t *prompt, int32_t n_prompt, int32_t max_tokens) {
    *answer = (test_answer){.request = {.prompt = prompt,
                                        .n_prompt = n_prompt,
                                        .sampling = pio_sampling_greedy(),
                                        .max_tokens = max_tokens,
                                        .on_token = keep_token,
                                        .user = answer}};
}

void test_answers_run(pio_engine *engine, test_answer *answers, int32_t n) {
    pio_request *requests[MOST_ANSWERS];
    pio_error error = {0};
    assert_in_range(n, 1, MOST_ANSWERS);
    for (int32_t i = 0; i < n; i++) requests[i] = &answers[i].request;
    if (pio_engine_run(engine, requests, n, NULL, NULL, &error)) fail_msg("%s", error.text);
    for (int32_t i = 0; i < n; i++) assert_int_equal(answers[i].request.n_generated, answers[i].n_tokens);
}

bool test_answers_alike(const test_answer *a, const test_answer *b) {
    return a->n_tokens == b->n_tokens && !memcmp(a->tokens, b->tokens, sizeof *a->tokens * (size_t)a->n_tokens);
}

void test_answers_equal(const test_answer *a, const test_answer *b) {
    assert_int_equal(a->n_tokens, b->n_tokens);
    for (int32_t i = 0; i < a->n_tokens; i++)
        if (a->tokens[i] != b->tokens[i])
            fail_msg("token %d of %d is %d and %d", i, a->n_tokens, a->tokens[i], b->tokens[i]);
    assert_int_equal(a->request.finish, b->request.finish);
}
