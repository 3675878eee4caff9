#include "engine/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/threads.h"
#include "engine/compiled.h"
#include "engine/selftest.h"
#include "engine/source.h"
#include "engine/step.h"
#include "engine/vision.h"
#include "graph/passes.h"
#include "kernels/kv_cache/kv_cache.h"

enum { CONFIG_LIMIT_BYTES = 16 << 20, DEFAULT_CHUNK = 512, GPU_CHUNK = 2048 };

void pio_model_note(const pio_model *model, bool warning, const char *format, ...) {
    if (!model->options.note) return;
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    model->options.note(model->options.user, warning, line);
}

static pio_status read_config(pio_model *model, pio_error *error) {
    char path[4096];
    snprintf(path, sizeof path, "%s/config.json", model->directory);
    pio_json *json = NULL;
    pio_status status = pio_json_load(path, CONFIG_LIMIT_BYTES, &json, error);
    if (status) return status;
    pio_json_object root = pio_json_root(json);
    status = pio_model_family_find(&root, &model->family, error);
    if (!status) status = model->family->read_config(&root, &model->config, error);
    pio_json_free(json);
    return status;
}

/* The cache layouts of the data type that was asked for. */
static uint32_t cache_layouts(pio_kv_type type) {
    uint32_t bits = 0;
    for (int i = PIO_LAYOUT_NONE + 1; i < PIO_LAYOUT_COUNT; i++) {
        const pio_layout_info *info = pio_layout_get((pio_layout)i);
        if (info->panel_rows == 0 && info->dtype == (type == PIO_KV_TYPE_F32 ? PIO_DTYPE_F32 : PIO_DTYPE_BF16))
            bits |= 1u << i;
    }
    return type == PIO_KV_TYPE_AUTO ? 0 : bits;
}

static pio_status choose_kernels(pio_model *model, int n_disabled, pio_error *error) {
    model->selector = (pio_selector){.backend = model->chosen.caps.backend,
                                     .features = model->chosen.caps.features,
                                     .portable = model->options.compute_f32,
                                     .n_workers = model->chosen.caps.n_workers,
                                     .subgroup_size = model->chosen.caps.subgroup_size,
                                     .cache_layouts = cache_layouts(model->options.kv_type),
                                     .disabled = model->disabled,
                                     .n_disabled = n_disabled};
    /* A driver that does not compute runs the graphs of the CPU's kernels. */
    if (!model->chosen.caps.computes) model->selector.backend = PIO_BACKEND_CPU;
    return pio_selector_force(&model->selector, model->options.kernels, error);
}

/* Tables keep 8 bits where matrices have 4: an embedding's error reaches every layer, and its bytes are few. */
pio_dtype pio_model_table_dtype(pio_dtype matrices) {
    return matrices == PIO_DTYPE_Q4 ? PIO_DTYPE_Q8 : matrices;
}

/* A plan needs no weights, and dummies replace them. */
static pio_status open_checkpoint(pio_model *model, pio_error *error) {
    if (model->options.dummy_weights) return PIO_OK;
    pio_status status = pio_checkpoint_open(model->directory, &model->checkpoint, error);
    if (status == PIO_NOT_FOUND && model->options.config_only) return PIO_OK;
    return status ? status : pio_source_check(model, error);
}

static pio_status build_graphs(pio_model *model, pio_error *error) {
    model->spec.page_tokens = model->options.page_tokens;
    model->family->build(&model->config, &model->spec);
    pio_status status = pio_verify(&model->spec, error);
    if (status) return status;
    model->states = (pio_states){pio_spec_state(&model->spec, "hidden"), pio_spec_state(&model->spec, "logits"),
                                 pio_spec_state(&model->spec, "slots"), pio_spec_state(&model->spec, "ring")};
    pio_spec_set_dtypes(&model->spec, model->options.weights, pio_model_table_dtype(model->options.weights));
    status = open_checkpoint(model, error);
    if (status) return status;
    status = pio_fuse(&model->spec, &model->selector, error);
    if (!status) status = pio_verify(&model->spec, error);
    if (!status) status = pio_choose_layouts(&model->spec, &model->selector, error);
    return status;
}

/* Numbers that no device could serve. */
static pio_status check_options(const pio_engine_options *o, pio_error *error) {
    const struct {
        const char *name;
        int value, most;
    } values[] = {
        {"the context (--context)", o->context, INT32_MAX},
        {"the chunk", o->chunk, 1 << 20},
        {"the number of tokens of a cache page", o->page_tokens, 1 << 16},
        {"the number of sequences at once", o->max_sequences, PIO_MAX_SLOTS},
        {"the number of threads (--threads)", o->n_threads, PIO_MAX_THREADS},
    };
    for (size_t i = 0; i < PIO_COUNT(values); i++)
        if (values[i].value < 0 || values[i].value > values[i].most)
            return pio_fail(error, PIO_INVALID_ARGUMENT, "%s is %d, but must be 0 (automatic) to %d", values[i].name,
                            values[i].value, values[i].most);
    if (o->page_tokens % PIO_KV_PAGE_STEP)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "a cache page of %d tokens is no multiple of %d", o->page_tokens,
                        PIO_KV_PAGE_STEP);
    return PIO_OK;
}

/* What a model is opened with. */
typedef struct opening {
    const char *directory;
    const pio_engine_options *options;
    pio_passed *passed;
    pio_self_test test; /* its failed rows are left out */
} opening;

static pio_status create_model(const opening *o, int n_disabled, pio_model **out, pio_error *error) {
    pio_model *model = *out = calloc(1, sizeof *model);
    if (!model || !(model->directory = strdup(o->directory))) {
        free(model);
        *out = NULL;
        return pio_fail_memory(error, "the model", sizeof *model);
    }
    model->options = model->asked = *o->options;
    if (!model->options.max_sequences) model->options.max_sequences = 1;
    if (!model->options.page_tokens) model->options.page_tokens = PIO_KV_PAGE_TOKENS;
    memcpy(model->disabled, o->test.failed, sizeof *model->disabled * (size_t)n_disabled);
    return PIO_OK;
}

/* The model as planned; it is there after a failure too, once a device is chosen. */
static pio_status open_planned(opening *o, int n_disabled, pio_model **out, pio_error *error) {
    pio_status status = check_options(o->options, error);
    if (!status) status = create_model(o, n_disabled, out, error);
    if (status) return status;
    pio_model *model = *out;
    status = read_config(model, error);
    if (!status) status = pio_choose_next_device(&model->options, o->passed, &model->chosen, error);
    if (!model->options.chunk) model->options.chunk = model->chosen.caps.asynchronous ? GPU_CHUNK : DEFAULT_CHUNK;
    if (!status) pio_compiled_restore(model->chosen.device, model->options.kernel_cache_directory);
    if (!status) status = choose_kernels(model, n_disabled, error);
    if (!status) status = build_graphs(model, error);
    if (!status) status = pio_model_make_buckets(model, error);
    if (!status) status = pio_vision_make_buckets(model, error);
    if (!status) status = pio_model_plan_memory(model, error);
    return status;
}

pio_status pio_model_open_without(const char *directory, const pio_engine_options *options,
                                  const pio_row *const *disabled, int n_disabled, pio_model **out, pio_error *error) {
    pio_passed passed = {.n = 0};
    opening o = {directory, options, &passed, {.n_failed = n_disabled}};
    *out = NULL;
    memcpy(o.test.failed, disabled, sizeof *disabled * (size_t)n_disabled);
    pio_status status = open_planned(&o, n_disabled, out, error);
    if (status) {
        pio_model_close(*out);
        *out = NULL;
    }
    return status;
}

/* What is under way ends first. */
static void destroy_lists(pio_model *model) {
    if (model->queue) pio_queue_wait(model->queue, atomic_load(&model->queue->last_number), UINT64_MAX, NULL);
    pio_buckets *const all[] = {&model->body, &model->head, &model->vision};
    for (size_t g = 0; g < PIO_COUNT(all); g++)
        for (int i = 0; i < all[g]->n; i++) {
            pio_list_destroy(all[g]->items[i].list);
            all[g]->items[i].list = NULL;
        }
}

/* ---- the self-test ---- */

static void note_failure(void *user, const pio_row *row, const char *what) {
    char name[PIO_ROW_NAME_BYTES];
    pio_model_note(user, true, "the kernel %s fails its self-test on this machine and is not used: %.300s",
                   pio_row_name(row, name), what);
}

/* Tests what the plans chose and this test has not tried yet. */
static pio_status test_kernels(pio_model *model, pio_self_test *test, pio_error *error) {
    const pio_case_device device = {model->chosen.device, model->queue, model->kernels};
    const pio_buckets *const all[] = {&model->body, &model->head, &model->vision};
    test->device = model->chosen.caps.backend == PIO_BACKEND_CPU ? NULL : &device;
    test->on_failure = note_failure;
    test->user = model;
    for (size_t k = 0; k < PIO_COUNT(all); k++)
        for (int i = 0; i < all[k]->n; i++) pio_self_test_add(test, &all[k]->items[i].plan);
    return pio_self_test_run(test, error);
}

static pio_status prepare_device(pio_model *model, pio_error *error) {
    pio_status status = pio_kernels_create(model->chosen.device, &model->kernels, error);
    return status ? status : pio_queue_create(model->chosen.device, PIO_QUEUE_COMPUTE, &model->queue, error);
}

/* ---- opening and moving ---- */

/* A plan runs nothing: it does not wait for a device to compile what it would try. */
static bool is_worth_testing(const pio_model *model) {
    const bool compiles = pio_device_extension(model->chosen.device, "compiled") != NULL;
    return model->chosen.caps.computes && !(model->options.config_only && compiles);
}

/* Opens it as often as kernels turn out to answer wrongly. What cannot be loaded need not be tried. */
static pio_status open_tested(opening *o, pio_model **out, pio_error *error) {
    pio_self_test *test = &o->test;
    for (;;) {
        const int n_disabled = test->n_failed;
        pio_status status = open_planned(o, n_disabled, out, error);
        if (!status && !o->options->config_only) status = pio_model_check_memory(*out, error);
        if (!status) status = prepare_device(*out, error);
        if (!status && is_worth_testing(*out)) status = test_kernels(*out, test, error);
        if (!status && test->n_failed > PIO_MAX_DISABLED)
            status = pio_fail(error, PIO_UNSUPPORTED, "%d kernels fail their self-test: this machine computes wrongly",
                              test->n_failed);
        if (status || test->n_failed == n_disabled) return status;
        pio_model_close(*out);
        *out = NULL;
    }
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

bool pio_model_may_move(const pio_model *model, const pio_error *error) {
    return model->options.backend == PIO_AUTO && model->chosen.device && pio_may_be_the_device(error->status) &&
           model->passed.n < (int)PIO_COUNT(model->passed.items);
}

static bool pass_over(const pio_model *model, pio_passed *passed, const pio_error *error) {
    const pio_chosen_device *chosen = &model->chosen;
    return pio_model_may_move(model, error) &&
           pio_pass_over(passed, chosen->caps.backend, chosen->index, chosen->caps.name, error->text);
}

/* Opens it on the best device that has not been passed over; where nothing else is left, the failure of the only
 * device, which *error holds if it was passed over before, is the answer. */
static pio_status open_best(const char *directory, const pio_engine_options *options, pio_passed *passed,
                            pio_model **out, pio_error *error) {
    pio_error failed = *error;
    pio_status status;
    for (;;) {
        opening o = {directory, options, passed, {.n_failed = 0}};
        status = open_tested(&o, out, error);
        if (!status || !*out || !pass_over(*out, passed, error)) break;
        failed = *error;
        pio_model_close(*out);
        *out = NULL;
    }
    if (!status) {
        (*out)->passed = *passed;
        return PIO_OK;
    }
    if (passed->n && failed.status && !(*out && (*out)->chosen.device)) {
        if (passed->n == 1) *error = failed;
        error->status = status = failed.status;
    }
    pio_model_close(*out);
    *out = NULL;
    return status;
}

pio_status pio_model_open(const char *directory, const pio_engine_options *options, pio_model **out, pio_error *error) {
    pio_passed passed = {.n = 0};
    pio_error own = {0};
    *out = NULL;
    return open_best(directory, options, &passed, out, error ? error : &own);
}

bool pio_model_move(pio_model **model, pio_error *error) {
    pio_model *failed = *model, *next;
    pio_passed passed = failed->passed;
    if (!pass_over(failed, &passed, error)) return false;
    destroy_lists(failed); /* makes room; the rest is small, and says what was there if nothing else will do */
    pio_model_release(failed);
    if (open_best(failed->directory, &failed->asked, &passed, &next, error)) return false;
    pio_model_close(failed);
    *model = next;
    return true;
}

void pio_model_note_device(const pio_model *model) {
    char text[1600];
    pio_chosen_show(&model->chosen, text, sizeof text);
    pio_model_note(model, false, "device: %s", text);
}

pio_status pio_model_load(pio_model *model, pio_error *error) {
    pio_status status = pio_model_allocate(model, error);
    if (!status) status = pio_model_record(model, error);
    if (!status) pio_compiled_keep(model->chosen.device, model->options.kernel_cache_directory);
    const double start = now_s();
    if (!status)
        status =
            model->options.dummy_weights ? pio_model_fill_dummies(model, error) : pio_model_fill_weights(model, error);
    model->fill_s = now_s() - start;
    return status;
}

pio_status pio_model_check_computes(const pio_model *model, pio_error *error) {
    const pio_device_caps *caps = &model->chosen.caps;
    if (caps->computes) return PIO_OK;
    return pio_fail(error, PIO_UNSUPPORTED,
                    "the %s backend computes nothing and has no answers: choose another with --backend or PIO_BACKEND",
                    pio_backend_name(caps->backend));
}

static void free_plans(pio_buckets *buckets) {
    for (int i = 0; i < buckets->n; i++) pio_plan_free(&buckets->items[i].plan);
}

void pio_model_close(pio_model *model) {
    if (!model) return;
    if (model->chosen.device) pio_compiled_keep(model->chosen.device, model->options.kernel_cache_directory);
    destroy_lists(model);
    free_plans(&model->body);
    free_plans(&model->head);
    free_plans(&model->vision);
    pio_queue_destroy(model->queue);
    pio_kernels_destroy(model->kernels);
    pio_model_release(model);
    pio_spec_free(&model->spec);
    pio_device_destroy(model->chosen.device);
    pio_checkpoint_close(model->checkpoint);
    free(model->directory);
    free(model);
}
