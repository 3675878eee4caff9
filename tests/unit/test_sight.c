/* Pictures among tokens: which tokens stand for which picture, rotary positions, what is refused, what the prefix cache
 * knows of pictures, and that pictures never see each other. Each test names what goes wrong where it is got wrong. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "engine/sight.h"
#include "engine/vision.h"
#include "io/safetensors.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/support/engine.h"

#define GOLDEN PIO_TEST_DATA "/golden/qwen3_vl_odd"

enum { IMAGE = 250, VIDEO = 251, START = 252, END = 253, MERGE = 2, PATCH_VALUES = 384, MOST = 512 };

/* A prompt that is put together piece by piece. */
typedef struct prompt {
    int32_t ids[MOST], n;
    test_pictures pictures;
} prompt;

static void add_text(prompt *p, test_random *random, int32_t n) {
    while (n--) p->ids[p->n++] = 3 + (int32_t)test_random_below(random, 200);
}

static void add_picture(prompt *p, test_random *random, int32_t rows, int32_t cols, int32_t token) {
    const int32_t i = p->pictures.n++;
    p->pictures.items[i] = test_picture_random(random, rows, cols, MERGE, PATCH_VALUES);
    p->pictures.list[i] = &p->pictures.items[i];
    p->ids[p->n++] = START;
    for (int32_t k = 0; k < rows * cols / 4; k++) p->ids[p->n++] = token;
    p->ids[p->n++] = END;
}

static void free_prompt(prompt *p) {
    for (int32_t i = 0; i < p->pictures.n; i++) free(p->pictures.items[i].patches);
}

static pio_model *load(bool compute_f32) {
    const pio_engine_options options = test_engine_options(compute_f32);
    return test_model_load(GOLDEN, &options);
}

static pio_sight *look_at(pio_model *model, const prompt *p) {
    pio_sight *sight;
    pio_error error;
    if (pio_sight_check(model, p->ids, p->n, p->pictures.list, p->pictures.n, &error) ||
        pio_sight_create(model, p->ids, p->n, p->pictures.list, p->pictures.n, &sight, &error))
        fail_msg("%s", error.text);
    return sight;
}

/* ---- positions ---- */

static void positions_are_the_references(void **state) {
    (void)state;
    pio_model *model = load(true);
    pio_safetensors *file;
    pio_error error;
    prompt p = {.n = 0};
    if (pio_safetensors_open(GOLDEN "/golden.safetensors", &file, &error)) fail_msg("%s", error.text);
    test_pictures_load(file, MERGE, &p.pictures);
    const pio_stored_tensor *ids = pio_safetensors_find(file, "input_ids");
    const pio_stored_tensor *wanted = pio_safetensors_find(file, "position_ids");
    p.n = (int32_t)ids->dims[0];
    memcpy(p.ids, ids->data, ids->bytes);
    pio_sight *sight = look_at(model, &p);
    for (int32_t t = 0; t < p.n; t++) {
        int32_t got[3];
        pio_sight_token(sight, t, got);
        for (int axis = 0; axis < 3; axis++)
            assert_int_equal(got[axis], ((const int32_t *)wanted->data)[axis * p.n + t]);
    }
    pio_sight_destroy(sight);
    pio_safetensors_close(file);
    pio_model_close(model);
}

/* A position is p + row and p + column inside, p + the larger side behind: less than one for each token, so that what
 * is drawn later stands before its place in the cache. Frames of a video have a block of their own each. */
static void text_goes_on_from_the_larger_side(void **state) {
    (void)state;
    test_random random = test_random_begin("text_goes_on_from_the_larger_side");
    pio_model *model = load(true);
    prompt p = {.n = 0};
    add_text(&p, &random, 3);
    add_picture(&p, &random, 4, 10, IMAGE); /* 2 x 5 rows at tokens 4 .. 13 */
    add_text(&p, &random, 2);
    add_picture(&p, &random, 6, 4, VIDEO); /* 3 x 2 rows at tokens 18 .. 23 */
    add_picture(&p, &random, 6, 4, VIDEO); /* the next frame, at tokens 26 .. 31 */
    add_text(&p, &random, 1);
    static const struct {
        int32_t token, at[3];
    } wanted[] = {{0, {0, 0, 0}},     {3, {3, 3, 3}},     {4, {4, 4, 4}},     {8, {4, 4, 8}},     {9, {4, 5, 4}},
                  {13, {4, 5, 8}},    {14, {9, 9, 9}},    {17, {12, 12, 12}}, {18, {13, 13, 13}}, {23, {13, 15, 14}},
                  {24, {16, 16, 16}}, {25, {17, 17, 17}}, {26, {18, 18, 18}}, {31, {18, 20, 19}}, {32, {21, 21, 21}},
                  {33, {22, 22, 22}}, {90, {79, 79, 79}}};
    pio_sight *sight = look_at(model, &p);
    for (size_t i = 0; i < PIO_COUNT(wanted); i++) {
        int32_t got[3];
        assert_int_equal(pio_sight_token(sight, wanted[i].token, got), 0); /* nothing was seen yet */
        if (memcmp(got, wanted[i].at, sizeof got))
            fail_msg("token %d is at (%d, %d, %d)", wanted[i].token, got[0], got[1], got[2]);
    }
    pio_sight_destroy(sight);
    free_prompt(&p);
    pio_model_close(model);
}

/* ---- what is refused ---- */

static void expect_refusal(const pio_model *model, const prompt *p, pio_status status, const char *one,
                           const char *two) {
    pio_error error = {0};
    assert_int_equal(pio_sight_check(model, p->ids, p->n, p->pictures.list, p->pictures.n, &error), status);
    assert_null(strchr(error.text, '\n'));
    if (!strstr(error.text, one) || !strstr(error.text, two)) fail_msg("'%s' lacks '%s' or '%s'", error.text, one, two);
}

static void tokens_that_do_not_match_are_named(void **state) {
    (void)state;
    test_random random = test_random_begin("tokens_that_do_not_match_are_named");
    pio_model *model = load(true);
    prompt p = {.n = 0};
    add_text(&p, &random, 4);
    add_picture(&p, &random, 4, 6, IMAGE); /* tokens 5 .. 10 */
    add_text(&p, &random, 4);
    add_picture(&p, &random, 4, 4, IMAGE); /* tokens 17 .. 20 */
    assert_int_equal(pio_sight_check(model, p.ids, p.n, p.pictures.list, 2, NULL), PIO_OK);
    prompt q = p;
    q.ids[8] = 7; /* a picture's tokens are together */
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "picture 1", "has 3");
    q = p;
    q.ids[18] = VIDEO; /* and of one kind */
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "picture 2", "position 17");
    q = p;
    q.n -= 3; /* cut */
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "picture 2", "has 2");
    q = p;
    q.ids[21] = IMAGE; /* one too many */
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "token 250", "position 21");
    q = p;
    q.pictures.n = 1;
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "position 17", "1 pictures");
    q.pictures.n = 0;
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "position 5", "0 pictures");
    q = p;
    q.n = 14; /* no place for the second */
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "for 1 pictures", "2");
    q = p;
    q.pictures.items[1].rows = 3;
    q.pictures.list[1] = &q.pictures.items[1];
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "3 x 4", "multiples of 2");
    q.pictures.items[1].rows = 1 << 20;
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "1048576 x 4", "at most");
    q.pictures.items[1] = p.pictures.items[1];
    q.pictures.items[1].patch_values = 1536;
    expect_refusal(model, &q, PIO_INVALID_ARGUMENT, "1536", "384");
    free_prompt(&p);
    pio_model_close(model);
}

static void a_model_without_eyes_says_so(void **state) {
    (void)state;
    test_random random = test_random_begin("a_model_without_eyes_says_so");
    const pio_engine_options options = test_engine_options(true);
    pio_engine *engine = test_engine_open(TEST_TINY, &options);
    prompt p = {.n = 0};
    add_picture(&p, &random, 4, 6, IMAGE);
    expect_refusal(pio_engine_model(engine), &p, PIO_UNSUPPORTED, "without eyes", TEST_TINY);
    test_answer answer;
    pio_error error = {0};
    test_answer_begin(&answer, p.ids, p.n, 1);
    answer.request.pictures = p.pictures.list;
    answer.request.n_pictures = p.pictures.n;
    pio_request *requests[] = {&answer.request};
    assert_int_equal(pio_engine_run(engine, requests, 1, NULL, NULL, &error), PIO_UNSUPPORTED);
    free_prompt(&p);
    pio_engine_destroy(engine);
}

/* ---- what pages know ---- */

/* Answers to two prompts of the same tokens, whose pictures are equal or not. */
static void pages_know_pictures_by_their_content(void **state) {
    (void)state;
    test_random random = test_random_begin("pages_know_pictures_by_their_content");
    const pio_engine_options options = test_engine_options(true);
    pio_engine *engine = test_engine_open(GOLDEN, &options);
    prompt p = {.n = 0};
    add_text(&p, &random, 60);
    add_picture(&p, &random, 16, 24, IMAGE); /* tokens 61 .. 156: pages 0 to 2 */
    add_text(&p, &random, 100);
    test_answer *answers = calloc(3, sizeof *answers);
    assert_non_null(answers);
    static const int32_t reused[] = {0, 256, 0};
    for (int i = 0; i < 3; i++) {
        if (i == 2) /* the same tokens and the same size, another picture */
            for (int k = 0; k < 384; k++) p.pictures.items[0].patches[k] = -p.pictures.items[0].patches[k];
        if (i == 2) p.pictures.items[0].hash[1] ^= 1;
        test_answer_begin(&answers[i], p.ids, p.n, 8);
        answers[i].request.pictures = p.pictures.list;
        answers[i].request.n_pictures = 1;
        test_answers_run(engine, &answers[i], 1);
        assert_int_equal(answers[i].request.n_reused, reused[i]);
    }
    test_answers_equal(&answers[0], &answers[1]);
    free(answers);
    free_prompt(&p);
    pio_engine_destroy(engine);
}

/* A page that text fills up behind a picture's last tokens is the picture's too. */
static void a_last_page_that_text_fills_is_the_pictures(void **state) {
    (void)state;
    test_random random = test_random_begin("a_last_page_that_text_fills_is_the_pictures");
    const pio_engine_options options = test_engine_options(true);
    pio_engine *engine = test_engine_open(GOLDEN, &options);
    prompt p = {.n = 0};
    add_picture(&p, &random, 8, 8, IMAGE); /* tokens 1 .. 16 of page 0 */
    add_text(&p, &random, 4);
    test_answer *answer = calloc(1, sizeof *answer), *again = calloc(1, sizeof *again);
    assert_true(answer && again);
    test_answer_begin(answer, p.ids, p.n, 60); /* page 0 is full, and of this picture */
    answer->request.pictures = p.pictures.list;
    answer->request.n_pictures = 1;
    test_answers_run(engine, answer, 1);
    for (int32_t i = 0; i < 59; i++) p.ids[p.n++] = answer->tokens[i];
    for (int i = 0; i < 2; i++) {
        p.pictures.items[0].hash[0] += (uint64_t)i;
        test_answer_begin(again, p.ids, p.n, 1);
        again->request.pictures = p.pictures.list;
        again->request.n_pictures = 1;
        test_answers_run(engine, again, 1);
        assert_int_equal(again->request.n_reused, i ? 0 : 64);
    }
    free(answer);
    free(again);
    free_prompt(&p);
    pio_engine_destroy(engine);
}

/* ---- the vision graph ---- */

/* Rows of picture i, seen with the others or alone. */
static float *see(pio_model *model, const pio_picture *const *pictures, int32_t n, int32_t i, size_t *n_values) {
    const int64_t stride = model->spec.states[pio_spec_state(&model->spec, "pictures")].row_bytes;
    pio_buffer *rows;
    pio_error error;
    int32_t first = 0;
    if (pio_vision_run(model, pictures, n, &rows, &error)) fail_msg("%s", error.text);
    char *host = test_buffer_read(model, rows);
    for (int32_t k = 0; k < i; k++) first += pio_picture_tokens(pictures[k]);
    const size_t bytes = (size_t)pio_picture_tokens(pictures[i]) * (size_t)stride;
    float *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, host + stride * first, bytes);
    free(host);
    pio_buffer_destroy(rows);
    *n_values = bytes / sizeof *copy;
    return copy;
}

static void pictures_do_not_see_each_other(void **state) {
    (void)state;
    test_random random = test_random_begin("pictures_do_not_see_each_other");
    pio_model *model = load(true);
    prompt p = {.n = 0};
    add_picture(&p, &random, 6, 10, IMAGE);
    add_picture(&p, &random, 18, 8, IMAGE);
    add_picture(&p, &random, 2, 2, IMAGE);
    for (int32_t i = 0; i < 3; i++) {
        size_t n;
        float *together = see(model, p.pictures.list, 3, i, &n), *alone = see(model, p.pictures.list + i, 1, 0, &n);
        const double nmse = test_nmse(together, alone, n);
        if (!(nmse <= 1e-12)) fail_msg("picture %d: NMSE %g", i, nmse);
        free(together);
        free(alone);
    }
    free_prompt(&p);
    pio_model_close(model);
}

/* What is too small to tell in the golden numbers: epsilon, and which GELU is exact. */
static void norms_and_gelus_are_the_towers(void **state) {
    (void)state;
    pio_model *model = load(true);
    const pio_graph *graph = pio_spec_graph(&model->spec, "vision");
    int n_norms = 0, n_tanh = 0, n_erf = 0;
    assert_non_null(graph);
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const pio_node *node = &graph->nodes[i];
        if (node->op == PIO_OP_LAYERNORM) {
            n_norms++;
            assert_true(node->attrs.eps == 1e-6f);
        }
        if (node->op == PIO_OP_GELU) {
            const bool merged = graph->tensors[node->in[0]].rows.symbol == PIO_MERGED;
            n_erf += merged;
            n_tanh += !merged;
            assert_int_equal(node->attrs.flags, merged ? PIO_GELU_ERF : 0);
        }
    }
    assert_int_equal(n_norms, 2 * 5 + 4);
    assert_int_equal(n_tanh, 5);
    assert_int_equal(n_erf, 4);
    pio_model_close(model);
}

/* A picture of 16,384 tokens has 65,536 patches, whose products with each other would be 16 GiB a head. */
static void memory_grows_with_the_patches(void **state) {
    (void)state;
    const pio_engine_options options = {
        .backend = PIO_BACKEND_CPU, .device = PIO_AUTO, .n_threads = 2, .config_only = true, .context = 128};
    pio_model *model;
    pio_error error;
    uint64_t few, many;
    if (pio_model_open(PIO_TEST_DATA "/models/qwen3_vl_2b", &options, &model, &error)) fail_msg("%s", error.text);
    if (pio_vision_bytes(model, 4096, &few, &error) || pio_vision_bytes(model, 65536, &many, &error))
        fail_msg("%s", error.text);
    print_message("%.0f MB and %.0f MB\n", (double)few / 1e6, (double)many / 1e6);
    assert_true(few < 250000000);
    assert_true(many < 16 * few);
    pio_model_close(model);
}

/* Many small pictures and a large one: runs of 4096 patches, rows let go one after the other. */
static void many_pictures_pass_in_runs(void **state) {
    (void)state;
    test_random random = test_random_begin("many_pictures_pass_in_runs");
    const pio_engine_options options = test_engine_options(true);
    pio_model *model = test_model_load(GOLDEN, &options);
    const size_t vocab = (size_t)model->config.common.vocab_size;
    prompt p = {.n = 0};
    for (int i = 0; i < 4; i++) {
        add_text(&p, &random, 1 + i);
        add_picture(&p, &random, 4, 2 + 2 * i, i % 2 ? IMAGE : VIDEO);
    }
    add_text(&p, &random, 5);
    float *whole = malloc(sizeof *whole * vocab * (size_t)p.n), *cut = malloc(sizeof *cut * vocab * (size_t)p.n);
    assert_true(whole && cut);
    test_model_logits_seen(model, p.ids, p.n, 512, &p.pictures, whole);
    for (int32_t step = 1; step < 12; step += 3) {
        test_model_logits_seen(model, p.ids, p.n, step, &p.pictures, cut);
        assert_true(test_nmse(cut, whole, vocab * (size_t)p.n) <= 1e-9);
    }
    free(whole);
    free(cut);
    free_prompt(&p);
    pio_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_are_the_references),
        cmocka_unit_test(text_goes_on_from_the_larger_side),
        cmocka_unit_test(tokens_that_do_not_match_are_named),
        cmocka_unit_test(a_model_without_eyes_says_so),
        cmocka_unit_test(pages_know_pictures_by_their_content),
        cmocka_unit_test(a_last_page_that_text_fills_is_the_pictures),
        cmocka_unit_test(pictures_do_not_see_each_other),
        cmocka_unit_test(norms_and_gelus_are_the_towers),
        cmocka_unit_test(memory_grows_with_the_patches),
        cmocka_unit_test(many_pictures_pass_in_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
