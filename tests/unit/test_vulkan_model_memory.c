/* Models on the Vulkan driver when things go wrong, and what a step costs when they do not: one submission and no
 * allocation. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/request.h"
#include "engine/step.h"
#include "tests/support/failing_memory.h"
#include "tests/support/hal.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"
#include "tests/vulkan_faults/vulkan_faults.h"

#define SMALL PIO_TEST_DATA "/golden/qwen3_tied" /* two layers: steps on a software device are slow */

enum { PROMPT = 3 };

static const int32_t prompt[PROMPT] = {3, 1, 4};

/* What was noted, newest first. */
typedef struct notes {
    char text[4096];
    int n_warnings;
} notes;

static void keep_note(void *user, bool warning, const char *line) {
    notes *n = user;
    char before[sizeof n->text];
    memcpy(before, n->text, sizeof before);
    snprintf(n->text, sizeof n->text, "%s\n%.2000s", line, before);
    n->n_warnings += warning;
}

static pio_engine_options options_of(int backend, notes *n) {
    memset(n, 0, sizeof *n);
    return (pio_engine_options){.backend = backend,
                                .device = PIO_AUTO,
                                .n_threads = 1,
                                .weights = PIO_DTYPE_BF16,
                                .context = 128,
                                .chunk = 4,
                                .note = keep_note,
                                .user = n};
}

/* As a program does it: the model moves on while it is opened and loaded. */
static pio_status open_engine(const pio_engine_options *options, pio_engine **out, pio_error *error) {
    pio_model *model;
    *out = NULL;
    pio_status status = pio_model_open(SMALL, options, &model, error);
    if (!status) status = pio_model_load(model, error);
    while (status && model && pio_model_move(&model, error)) status = pio_model_load(model, error);
    if (!status) pio_model_note_device(model);
    if (!status) status = pio_engine_create(model, out, error);
    if (status) pio_model_close(model);
    return status;
}

/* ---- what a step costs ---- */

typedef struct watch {
    long submits[2], allocations[2]; /* at the first token, and at the newest */
    int n_tokens;
    int32_t tokens[32];
} watch;

static bool note_token(void *user, int32_t token) {
    watch *w = user;
    w->submits[1] = vulkan_faults_count(VULKAN_FAULTS_SUBMIT);
    w->allocations[1] = atomic_load(&failing_memory_calls);
    if (!w->n_tokens) {
        w->submits[0] = w->submits[1];
        w->allocations[0] = w->allocations[1];
    }
    w->tokens[w->n_tokens++] = token;
    return true;
}

static pio_status answer(pio_engine *engine, int max_tokens, watch *w, pio_error *error) {
    pio_request request = {.prompt = prompt,
                           .n_prompt = PROMPT,
                           .sampling = pio_sampling_greedy(),
                           .max_tokens = max_tokens,
                           .on_token = note_token,
                           .user = w};
    pio_request *const requests[] = {&request};
    memset(w, 0, sizeof *w);
    return pio_engine_run(engine, requests, 1, NULL, NULL, error);
}

static void a_token_is_one_submission_and_allocates_nothing(void **state) {
    (void)state;
    enum { TOKENS = 20 };
    notes n;
    const pio_engine_options options = options_of(PIO_BACKEND_VULKAN, &n);
    pio_error error = {0};
    pio_engine *engine;
    watch w;
    vulkan_faults_order("");
    if (open_engine(&options, &engine, &error) || answer(engine, TOKENS, &w, &error)) fail_msg("%s", error.text);
    assert_int_equal(w.n_tokens, TOKENS);
    /* The device runs a step ahead, so that the last token comes without one. */
    assert_in_range(w.submits[1] - w.submits[0], TOKENS - 2, TOKENS - 1);
    assert_int_equal(w.allocations[1] - w.allocations[0], 0);
    test_hal_check_messages(pio_engine_model(engine)->chosen.device);
    pio_engine_destroy(engine);
    assert_int_equal(vulkan_faults_live(), 0);
}

/* ---- faults ---- */

/* The CPU's tokens, and the calls of a kind until the model is loaded and until the first token. */
static void count_calls(vulkan_faults_kind kind, long *loaded, long *first, long *all) {
    notes n;
    const pio_engine_options options = options_of(PIO_BACKEND_VULKAN, &n);
    pio_error error = {0};
    pio_engine *engine;
    watch w;
    vulkan_faults_order("devices=discrete");
    if (open_engine(&options, &engine, &error)) fail_msg("%s", error.text);
    *loaded = vulkan_faults_count(kind);
    if (answer(engine, 1, &w, &error)) fail_msg("%s", error.text);
    *first = vulkan_faults_count(kind);
    if (answer(engine, 6, &w, &error)) fail_msg("%s", error.text);
    *all = vulkan_faults_count(kind);
    pio_engine_destroy(engine);
}

/* Answers with 6 tokens under orders; returns the status and the tokens. */
static pio_status answer_under(const char *orders, int backend, notes *n, watch *w, pio_error *error) {
    const pio_engine_options options = options_of(backend, n);
    pio_engine *engine;
    *error = (pio_error){0};
    vulkan_faults_order(orders);
    memset(w, 0, sizeof *w);
    pio_status status = open_engine(&options, &engine, error);
    if (!status) status = answer(engine, 6, w, error);
    if (status == PIO_DEVICE_LOST && engine) { /* for good */
        watch again;
        pio_error late;
        assert_int_equal(answer(engine, 6, &again, &late), PIO_DEVICE_LOST);
        assert_int_equal(again.n_tokens, 0);
    }
    pio_engine_destroy(engine);
    if (vulkan_faults_live()) fail_msg("%s: %ld objects are left", orders, vulkan_faults_live());
    if (status && (strlen(error->text) < 20 || strchr(error->text, '\n'))) fail_msg("%s: '%s'", orders, error->text);
    return status;
}

/* Every `stride`-th call of a kind fails until an answer is done: a named device's failure is told; under automatic
 * choice another device answers, if no token was handed out. */
static void walk(vulkan_faults_kind kind, const char *name, pio_status expected, long first, long last, long stride) {
    notes n;
    watch right, w;
    pio_error error;
    int n_moved = 0, n_ended = 0;
    assert_int_equal(answer_under("devices=none", PIO_AUTO, &n, &right, &error), PIO_OK);
    for (long i = first; i < last; i += stride) {
        char orders[64];
        snprintf(orders, sizeof orders, "devices=discrete %s=%ld", name, i);
        pio_status status = answer_under(orders, PIO_BACKEND_VULKAN, &n, &w, &error);
        if (status != expected) fail_msg("%s: status %d: %s", orders, (int)status, error.text);
        status = answer_under(orders, PIO_AUTO, &n, &w, &error);
        if (status) {
            if (status != expected || !w.n_tokens) fail_msg("%s: status %d: %s", orders, (int)status, error.text);
            n_ended++;
            continue;
        }
        const char *line = strstr(n.text, "device: cpu:0 ");
        if (line != n.text || !strstr(line, "; not vulkan:0 llvmpipe")) fail_msg("%s: %s", orders, n.text);
        assert_int_equal(w.n_tokens, right.n_tokens);
        assert_memory_equal(w.tokens, right.tokens, sizeof *w.tokens * (size_t)w.n_tokens);
        n_moved++;
    }
    print_message("%ld to %ld: %d moved, %d ended\n", first, last, n_moved, n_ended);
    assert_true(n_moved > 0);
    if (kind != VULKAN_FAULTS_MAKE) assert_true(n_ended > 0);
}

static void out_of_memory_moves_on(void **state) {
    (void)state;
    test_random random = test_random_begin("out_of_memory_moves_on");
    long loaded, first, all;
    count_calls(VULKAN_FAULTS_MAKE, &loaded, &first, &all);
    const long stride = loaded / 6;
    walk(VULKAN_FAULTS_MAKE, "make", PIO_OUT_OF_MEMORY, (long)test_random_below(&random, (uint64_t)stride), loaded,
         stride);
}

/* The project's own allocations fail from one on: at places of the whole way to an answer. */
static void host_memory_runs_out(void **state) {
    (void)state;
    enum { PLACES = 12 };
    test_random random = test_random_begin("host_memory_runs_out");
    notes n;
    watch w;
    pio_error error;
    const long before = atomic_load(&failing_memory_calls);
    assert_int_equal(answer_under("", PIO_BACKEND_VULKAN, &n, &w, &error), PIO_OK);
    const long all = atomic_load(&failing_memory_calls) - before;
    for (long i = 0; i < PLACES; i++) {
        const long left = (long)test_random_below(&random, (uint64_t)all - 1);
        failing_memory_left = left;
        const pio_status status = answer_under("", PIO_BACKEND_VULKAN, &n, &w, &error);
        failing_memory_left = -1;
        if (status != PIO_OUT_OF_MEMORY)
            fail_msg("allocation %ld of %ld: status %d: %s", left, all, status, error.text);
    }
}

/* The submissions of the answer, each, and some before. */
static void a_loss_moves_on_until_the_first_token(void **state) {
    (void)state;
    static const struct {
        vulkan_faults_kind kind;
        const char *name;
    } kinds[] = {{VULKAN_FAULTS_SUBMIT, "submit"}, {VULKAN_FAULTS_WAIT, "wait"}};
    for (size_t i = 0; i < PIO_COUNT(kinds); i++) {
        long loaded, first, all;
        count_calls(kinds[i].kind, &loaded, &first, &all);
        print_message("%s: %ld while loading, %ld until the first token\n", kinds[i].name, loaded, first);
        walk(kinds[i].kind, kinds[i].name, PIO_DEVICE_LOST, loaded - 1, first + 3, 2);
    }
}

/* ---- kernels that answer wrongly ---- */

static bool uses(const pio_model *model, const char *name) {
    const pio_buckets *const all[] = {&model->body, &model->head};
    char row[PIO_ROW_NAME_BYTES];
    for (size_t g = 0; g < PIO_COUNT(all); g++)
        for (int i = 0; i < all[g]->n; i++)
            for (int32_t k = 0; k < all[g]->items[i].plan.n_nodes; k++)
                if (!strcmp(pio_row_name(all[g]->items[i].plan.nodes[k].row, row), name)) return true;
    return false;
}

/* Leaves the work of one kernel out after the other: it is found and named, and the model does with another row or,
 * where there is none, without the device. */
static void a_wrong_kernel_is_replaced(void **state) {
    (void)state;
    enum { KERNELS = 8 };
    int n_replaced = 0;
    for (int i = 0; i < KERNELS; i++) {
        notes n;
        const pio_engine_options options = options_of(PIO_BACKEND_VULKAN, &n);
        pio_error error = {0};
        pio_model *model;
        char orders[32], name[PIO_ROW_NAME_BYTES];
        snprintf(orders, sizeof orders, "drop=%d", i);
        vulkan_faults_order(orders);
        const pio_status status = pio_model_open(SMALL, &options, &model, &error);
        if (!n.n_warnings || sscanf(n.text, "the kernel %95s fails its self-test", name) != 1)
            fail_msg("%s: %s%s", orders, n.text, error.text);
        if (status) {
            assert_int_equal(status, PIO_UNSUPPORTED);
            assert_non_null(strstr(error.text, "has no kernel for"));
            continue;
        }
        if (uses(model, name)) fail_msg("%s is used", name);
        pio_model_close(model);
        n_replaced++;
    }
    print_message("%d of %d kernels had another behind them\n", n_replaced, KERNELS);
    assert_true(n_replaced > 0);
    assert_int_equal(vulkan_faults_live(), 0);
}

/* A plan needs no kernel, and waits for none to be compiled. */
static void a_plan_compiles_nothing(void **state) {
    (void)state;
    for (int plan = 0; plan < 2; plan++) {
        notes n;
        pio_engine_options options = options_of(PIO_BACKEND_VULKAN, &n);
        pio_error error = {0};
        pio_model *model;
        options.config_only = plan;
        vulkan_faults_order("devices=discrete");
        if (pio_model_open(SMALL, &options, &model, &error)) fail_msg("%s", error.text);
        assert_int_equal(vulkan_faults_pipelines() == 0, plan);
        pio_model_close(model);
    }
}

/* No device is left: the sentence names each. */
static void the_last_device_names_them_all(void **state) {
    (void)state;
    notes n;
    pio_engine_options options = options_of(PIO_AUTO, &n);
    pio_error error = {0};
    pio_engine *engine;
    vulkan_faults_order("devices=discrete submit=0");
    options.memory_limit_bytes = 4096;
    assert_int_equal(open_engine(&options, &engine, &error), PIO_OUT_OF_MEMORY);
    if (!strstr(error.text, "not vulkan:0") || !strstr(error.text, "not cpu:0")) fail_msg("%s", error.text);
    assert_int_equal(vulkan_faults_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_one_submission_and_allocates_nothing),
        cmocka_unit_test(out_of_memory_moves_on),
        cmocka_unit_test(host_memory_runs_out),
        cmocka_unit_test(a_loss_moves_on_until_the_first_token),
        cmocka_unit_test(a_wrong_kernel_is_replaced),
        cmocka_unit_test(a_plan_compiles_nothing),
        cmocka_unit_test(the_last_device_names_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
