/* bench: prefill and decode as fractions of ceilings that are measured before and after each of them, in the same run.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli/cli.h"
#include "engine/bench.h"

enum { DEFAULT_TOKENS = 512, DEFAULT_CONTEXT = 512, DEFAULT_REPEATS = 3, DECODE_REPEATS = 15 };

static json_t *as_json(const pio_model *model, const pio_ceilings *ceilings, const pio_bench_result *results, int n) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:i, s:f, s:f}", "test", results[i].test.name, "tokens",
                                              results[i].test.tokens, "context", results[i].test.context, "batch",
                                              results[i].test.batch, "tokens_per_s", results[i].tokens_per_s,
                                              "fraction", pio_bench_fraction(&results[i], ceilings)));
    return json_pack("{s:s, s:s, s:s, s:{s:f, s:f}, s:o}", "backend", pio_backend_name(model->chosen.caps.backend),
                     "device", model->chosen.caps.name, "weights", pio_dtype_name(model->options.weights), "ceilings",
                     "read_bytes_per_s", ceilings->read_bytes_per_s, "ops_per_s", ceilings->ops_per_s, "results", list);
}

static void print_text(const pio_ceilings *ceilings, const pio_bench_result *results, int n) {
    printf("ceilings: reads %.1f GB/s, computes %.3f Top/s\n", ceilings->read_bytes_per_s / 1e9,
           ceilings->ops_per_s / 1e12);
    for (int i = 0; i < n; i++)
        printf("%-8s %d x %d tokens at context %d: %.2f tokens/s, %.1f%% of the ceiling\n", results[i].test.name,
               results[i].test.batch, results[i].test.tokens, results[i].test.context, results[i].tokens_per_s,
               100 * pio_bench_fraction(&results[i], ceilings));
}

static int run_tests(const cli_options *options, pio_model *model, pio_error *error) {
    const int batch = options->batch ? options->batch : 1,
              context = options->engine.context ? options->engine.context : DEFAULT_CONTEXT;
    const pio_bench_test tests[] = {
        {"prefill", 1, options->tokens ? options->tokens : DEFAULT_TOKENS, 0,
         options->repeats ? options->repeats : DEFAULT_REPEATS},
        {"decode", batch, 1, context, options->repeats ? options->repeats : DECODE_REPEATS},
    };
    pio_bench_result results[PIO_COUNT(tests)];
    pio_ceilings ceilings = {0};
    pio_probe *probe = NULL;
    pio_status status = pio_probe_create(model, &probe, error);
    if (!status) status = pio_probe_measure(probe, &ceilings, error);
    for (size_t i = 0; i < PIO_COUNT(tests) && !status; i++) {
        status = pio_bench_run(model, &tests[i], cli_interrupted, &results[i], error);
        if (!status) status = pio_probe_measure(probe, &ceilings, error);
    }
    pio_probe_destroy(probe);
    if (status) return cli_refuse(error);
    if (options->json) return cli_print_json(as_json(model, &ceilings, results, (int)PIO_COUNT(tests)));
    print_text(&ceilings, results, (int)PIO_COUNT(tests));
    return EXIT_DONE;
}

int cli_bench(const cli_options *options) {
    pio_error error = {0};
    pio_model *model = NULL;
    cli_options adjusted = *options;
    const int tokens = options->tokens ? options->tokens : DEFAULT_TOKENS,
              context = options->engine.context ? options->engine.context : DEFAULT_CONTEXT;
    adjusted.engine.context = PIO_MAX(tokens, context + 1);
    adjusted.engine.max_sequences = options->batch ? options->batch : 1;
    cli_catch_interrupt();
    if (cli_open_model(&adjusted, false, &model, &error)) return cli_refuse(&error);
    int code = run_tests(options, model, &error);
    pio_model_close(model);
    return code;
}
