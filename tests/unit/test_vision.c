/* Qwen3-VL against the reference: a small checkpoint with random weights, three pictures of odd sizes, and what
 * transformers computes of them (tests/data/golden/qwen3_vl_odd, tools/make_golden_vl.py, seed 7). */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "engine/vision.h"
#include "io/safetensors.h"
#include "tests/support/engine.h"

#define GOLDEN PIO_TEST_DATA "/golden/qwen3_vl_odd"

enum { MOST_IDS = 1024 };

typedef struct golden {
    pio_safetensors *file;
    test_pictures pictures;
    int32_t ids[MOST_IDS], n, n_greedy;
} golden;

static const pio_stored_tensor *tensor_of(const golden *g, const char *name) {
    const pio_stored_tensor *tensor = pio_safetensors_find(g->file, name);
    if (!tensor) fail_msg("the golden file lacks %s", name);
    return tensor;
}

static golden *open_golden(const pio_model *model) {
    golden *g = calloc(1, sizeof *g);
    pio_error error;
    assert_non_null(g);
    if (pio_safetensors_open(GOLDEN "/golden.safetensors", &g->file, &error)) fail_msg("%s", error.text);
    test_pictures_load(g->file, model->config.common.eyes.merge, &g->pictures);
    assert_int_equal(g->pictures.n, 3);
    g->n = (int32_t)tensor_of(g, "input_ids")->dims[0];
    g->n_greedy = (int32_t)tensor_of(g, "greedy_ids")->dims[0];
    assert_in_range(g->n_greedy, g->n + 1, MOST_IDS);
    memcpy(g->ids, tensor_of(g, "greedy_ids")->data, sizeof *g->ids * (size_t)g->n_greedy);
    return g;
}

static void close_golden(golden *g) {
    pio_safetensors_close(g->file);
    free(g);
}

/* ---- the tower ---- */

/* Merged rows and DeepStack rows of all pictures together, against the reference's. */
static void compare_rows(const pio_model *model, const golden *g, const pio_buffer *rows, double most) {
    const int32_t hidden = model->config.common.hidden_size, width = model->config.common.eyes.row_values;
    const int64_t stride = model->spec.states[pio_spec_state(&model->spec, "pictures")].row_bytes;
    const int32_t n = (int32_t)tensor_of(g, "visual.merged")->dims[0];
    float *part = malloc(sizeof *part * (size_t)(n * hidden));
    void *host = test_buffer_read(model, rows);
    assert_non_null(part);
    for (int32_t k = 0; k < width / hidden; k++) {
        char name[32];
        snprintf(name, sizeof name, k ? "visual.deepstack.%d" : "visual.merged", k - 1);
        for (int32_t r = 0; r < n; r++)
            memcpy(part + r * hidden, (const float *)((const char *)host + stride * r) + k * hidden,
                   sizeof *part * (size_t)hidden);
        const double nmse = test_nmse(part, tensor_of(g, name)->data, (size_t)(n * hidden));
        if (!(nmse <= most)) fail_msg("%s: NMSE %g, at most %g", name, nmse, most);
    }
    free(host);
    free(part);
}

static void picture_rows_are_the_references(void **state) {
    (void)state;
    for (int compute_f32 = 0; compute_f32 < 2; compute_f32++) {
        const pio_engine_options options = test_engine_options(compute_f32);
        pio_model *model = test_model_load(GOLDEN, &options);
        golden *g = open_golden(model);
        pio_buffer *rows;
        pio_error error;
        if (pio_vision_run(model, g->pictures.list, g->pictures.n, &rows, &error)) fail_msg("%s", error.text);
        compare_rows(model, g, rows, compute_f32 ? 1e-10 : 1e-3);
        pio_buffer_destroy(rows);
        close_golden(g);
        pio_model_close(model);
    }
}

/* ---- logits ---- */

static void logits_are_the_references(void **state) {
    (void)state;
    static const int32_t steps[] = {512, 7, 1};
    for (int compute_f32 = 0; compute_f32 < 2; compute_f32++) {
        const pio_engine_options options = test_engine_options(compute_f32);
        pio_model *model = test_model_load(GOLDEN, &options);
        golden *g = open_golden(model);
        const size_t n = (size_t)g->n * (size_t)model->config.common.vocab_size;
        float *logits = malloc(sizeof *logits * n);
        assert_non_null(logits);
        for (size_t i = 0; i < PIO_COUNT(steps); i++) {
            test_model_logits_seen(model, g->ids, g->n, steps[i], &g->pictures, logits);
            const double nmse = test_nmse(logits, tensor_of(g, "logits")->data, n), most = compute_f32 ? 1e-9 : 2e-2;
            print_message("%s, %d tokens a step: NMSE %.2e\n", compute_f32 ? "float32" : "default", steps[i], nmse);
            if (!(nmse <= most)) fail_msg("%d tokens a step: NMSE %g, at most %g", steps[i], nmse, most);
        }
        free(logits);
        close_golden(g);
        pio_model_close(model);
    }
}

static void greedy_answers_are_the_references(void **state) {
    (void)state;
    pio_engine_options options = test_engine_options(true);
    for (int32_t chunk = 5; chunk < 600; chunk *= 10) {
        options.chunk = chunk;
        pio_engine *engine = test_engine_open(GOLDEN, &options);
        golden *g = open_golden(pio_engine_model(engine));
        test_answer *answer = calloc(1, sizeof *answer);
        assert_non_null(answer);
        test_answer_begin(answer, g->ids, g->n, g->n_greedy - g->n);
        answer->request.pictures = g->pictures.list;
        answer->request.n_pictures = g->pictures.n;
        test_answers_run(engine, answer, 1);
        assert_int_equal(answer->n_tokens, g->n_greedy - g->n);
        assert_memory_equal(answer->tokens, g->ids + g->n, sizeof *g->ids * (size_t)answer->n_tokens);
        free(answer);
        close_golden(g);
        pio_engine_destroy(engine);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picture_rows_are_the_references),
        cmocka_unit_test(logits_are_the_references),
        cmocka_unit_test(greedy_answers_are_the_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
