/* bench: prefill and decode as fractions of ceilings that are measured before and after each of them, in the same run.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli/cli.h"
#include "engine/bench.h"
#include "engine/profile.h"

enum {
    DEFAULT_TOKENS = 512,
    DEFAULT_CONTEXT = 512,
    DEFAULT_REPEATS = 5,
    DECODE_REPEATS = 15,
    DEFAULT_SIDE = 64 /* patches: of a picture of 1024 x 1024 pixels */
};

/* A result and the ceilings that it counts against: a vision tower computes in 16 bits, whatever the text's weights. */
typedef struct measured {
    pio_bench_result result;
    pio_profile profile;
    pio_ceilings *ceilings; /* the largest of the run */
    pio_ceilings around[2]; /* right before and right behind the test */
} measured;

static json_t *ceilings_json(const pio_ceilings *c) {
    return json_pack("{s:f, s:f}", "read_bytes_per_s", c->read_bytes_per_s, "ops_per_s", c->ops_per_s);
}

static json_t *profile_json(const pio_profile *profile) {
    json_t *lines = json_array();
    for (int32_t i = 0; i < profile->n_lines; i++)
        json_array_append_new(lines, json_pack("{s:s, s:i, s:f}", "kernel", profile->lines[i].kernel, "uses",
                                               profile->lines[i].n, "seconds", profile->lines[i].seconds));
    return lines;
}

static json_t *result_json(const measured *m) {
    const pio_bench_test *test = &m->result.test;
    json_t *runs = json_array();
    for (int i = 0; i < test->repeats; i++) json_array_append_new(runs, json_real(m->result.runs_s[i]));
    return json_pack("{s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:o, s:I, s:I, s:[o, o], s:o}", "test", test->name, "tokens",
                     test->tokens, "context", test->context, "batch", test->batch, "tokens_per_s",
                     m->result.tokens_per_s, "ops_per_s", m->ceilings->ops_per_s, "fraction",
                     pio_bench_fraction(&m->result, m->ceilings), "runs_s", runs, "bytes",
                     (json_int_t)m->result.cost.bytes, "ops", (json_int_t)m->result.cost.ops, "ceilings",
                     ceilings_json(&m->around[0]), ceilings_json(&m->around[1]), "profile", profile_json(&m->profile));
}

/* How the weights came from the checkpoint or the cache of quantised weights. */
static json_t *load_json(const pio_model *model) {
    return json_pack("{s:I, s:f, s:f}", "bytes", (json_int_t)model->read_bytes, "seconds", model->fill_s, "bytes_per_s",
                     (double)model->read_bytes / model->fill_s);
}

static json_t *as_json(const pio_model *model, const pio_ceilings *ceilings, const measured *results, int n) {
    const pio_chosen_device *chosen = &model->chosen;
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, result_json(&results[i]));
    json_t *json = json_pack(
        "{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "version", PIO_VERSION, "backend",
        pio_backend_name(chosen->caps.backend), "index", chosen->index, "device", chosen->caps.name, "detail",
        chosen->caps.detail, "model", model->directory, "family", pio_model_family_name(model->family), "weights",
        pio_dtype_name(model->options.weights), "compute", model->options.compute_f32 ? "f32" : "fast", "weight_bytes",
        (json_int_t)model->memory_plan.weights, "ceilings", ceilings_json(ceilings), "results", list);
    if (json && model->read_bytes) json_object_set_new(json, "load", load_json(model)); /* not of dummies */
    return json;
}

static void print_text(const pio_model *model, const pio_ceilings *ceilings, const measured *results, int n) {
    if (model->read_bytes)
        printf("load: %.3f GB in %.3f s, %.2f GB/s\n", (double)model->read_bytes / 1e9, model->fill_s,
               (double)model->read_bytes / 1e9 / model->fill_s);
    printf("ceilings: reads %.1f GB/s, computes %.3f Top/s\n", ceilings->read_bytes_per_s / 1e9,
           ceilings->ops_per_s / 1e12);
    for (int i = 0; i < n; i++) {
        const pio_bench_test *test = &results[i].result.test;
        printf("%-8s %d x %d tokens at context %d: %.2f tokens/s, %.1f%% of the ceiling\n", test->name, test->batch,
               test->tokens, test->context, results[i].result.tokens_per_s,
               100 * pio_bench_fraction(&results[i].result, results[i].ceilings));
        for (int32_t j = 0; j < results[i].profile.n_lines; j++) {
            const pio_profile_line *line = &results[i].profile.lines[j];
            printf("  %8.1f us %5d x %8.2f us  %s\n", line->seconds * 1e6, line->n, line->seconds * 1e6 / line->n,
                   line->kernel);
        }
    }
}

static pio_status measure_ceilings(pio_probe *probe, pio_ceilings *now, pio_ceilings *largest, pio_error *error) {
    pio_status status = pio_probe_measure(probe, now, error);
    largest->read_bytes_per_s = PIO_MAX(largest->read_bytes_per_s, now->read_bytes_per_s);
    largest->ops_per_s = PIO_MAX(largest->ops_per_s, now->ops_per_s);
    return status;
}

/* Runs one test between two measurements of its ceilings; then its kernels one by one, where that is wanted. */
static pio_status run_test(pio_model *model, pio_dtype weights, const pio_bench_test *test, const cli_options *options,
                           measured *out, pio_error *error) {
    const int32_t side =
        PIO_ROUND_UP(options->picture ? options->picture : DEFAULT_SIDE, PIO_MAX(model->config.common.eyes.merge, 1));
    pio_probe *probe = NULL;
    pio_status status = pio_probe_create(model, weights, &probe, error);
    if (!status) status = measure_ceilings(probe, &out->around[0], out->ceilings, error);
    if (!status)
        status = strcmp(test->name, "vision")
                     ? pio_bench_run(model, test, cli_interrupted, &out->result, error)
                     : pio_bench_vision(model, test, side, cli_interrupted, &out->result, error);
    if (!status) status = measure_ceilings(probe, &out->around[1], out->ceilings, error);
    if (!status && options->profile && strcmp(test->name, "vision"))
        status =
            pio_profile_step(model, PIO_MIN(test->batch * test->tokens, model->options.chunk), &out->profile, error);
    pio_probe_destroy(probe);
    return status;
}

static int run_tests(const cli_options *options, pio_model *model, pio_error *error) {
    const int batch = options->batch ? options->batch : 1,
              context = options->engine.context ? options->engine.context : DEFAULT_CONTEXT;
    const pio_bench_test tests[] = {
        {"prefill", 1, options->tokens ? options->tokens : DEFAULT_TOKENS, 0,
         options->repeats ? options->repeats : DEFAULT_REPEATS},
        {"decode", batch, 1, context, options->repeats ? options->repeats : DECODE_REPEATS},
        {"vision", 1, 0, 0, options->repeats ? options->repeats : DEFAULT_REPEATS},
    };
    const int n_tests = model->config.common.eyes.merge ? 3 : 2;
    pio_ceilings ceilings = {0}, of_vision = {0};
    measured results[PIO_COUNT(tests)] = {0};
    pio_status status = PIO_OK;
    for (int i = 0; i < n_tests && !status; i++) {
        const pio_dtype weights = strcmp(tests[i].name, "vision") ? model->options.weights : PIO_DTYPE_BF16;
        results[i].ceilings = weights == model->options.weights ? &ceilings : &of_vision;
        status = run_test(model, weights, &tests[i], options, &results[i], error);
    }
    int code = EXIT_DONE;
    if (status)
        code = cli_refuse(error);
    else if (options->json)
        code = cli_print_json(as_json(model, &ceilings, results, n_tests));
    else
        print_text(model, &ceilings, results, n_tests);
    for (int i = 0; i < n_tests; i++) {
        pio_bench_result_free(&results[i].result);
        pio_profile_free(&results[i].profile);
    }
    return code;
}

int cli_bench(const cli_options *options) {
    pio_error error = {0};
    pio_model *model = NULL;
    cli_options adjusted = *options;
    const int tokens = options->tokens ? options->tokens : DEFAULT_TOKENS,
              context = options->engine.context ? options->engine.context : DEFAULT_CONTEXT;
    char asked[80];
    if (tokens > context)
        snprintf(asked, sizeof asked, "a prefill of %d tokens (--tokens)", tokens);
    else
        snprintf(asked, sizeof asked, "a decode behind %d tokens (--context)", context);
    adjusted.engine.context = PIO_MAX(tokens, context + 1);
    adjusted.engine.context_of = asked;
    adjusted.engine.max_sequences = options->batch ? options->batch : 1;
    cli_catch_interrupt();
    if (cli_open_model(&adjusted, false, &model, &error)) return cli_refuse(&error);
    int code = run_tests(options, model, &error);
    pio_model_close(model);
    return code;
}
