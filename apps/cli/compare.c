/* compare: one prompt through several backends, one after the other, and how far each is from the first. */
#include "apps/cli/compare.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/taps.h"
#include "text/chat.h"
#include "text/tokenizer.h"

enum { DEFAULT_TOKENS = 64 };

/* ---- the prompt ---- */

/* The turn through the chat template; as it stands where the checkpoint has none. */
static pio_status render(const cli_options *options, const char *directory, pio_text *text, pio_error *error) {
    const char *prompt = options->prompt ? options->prompt : "Why is the sky blue?";
    pio_chat_template *chat = NULL;
    pio_status status = pio_chat_template_open(directory, &chat, error);
    if (status == PIO_NOT_FOUND)
        return pio_text_append(text, prompt, strlen(prompt)) ? PIO_OK
                                                             : pio_fail_memory(error, "the prompt", strlen(prompt));
    json_t *messages = status ? NULL : json_pack("[{s:s, s:s}]", "role", "user", "content", prompt);
    json_t *input = messages ? pio_config_chat(&options->config, messages) : NULL;
    if (!status && !messages)
        status = pio_fail(error, PIO_INVALID_ARGUMENT, "--prompt is not UTF-8: give text in that encoding");
    if (!status && !input) status = pio_fail_memory(error, "the prompt", strlen(prompt));
    if (!status) status = pio_chat_template_render(chat, input, text, error);
    json_decref(messages);
    json_decref(input);
    pio_chat_template_free(chat);
    return status;
}

static pio_status make_prompt(const cli_options *options, const char *directory, pio_token_ids *ids, pio_error *error) {
    if (options->ids) return PIO_OK; /* read with the options */
    if (options->ids_file) return cli_read_ids(options->ids_file, ids, error);
    pio_tokenizer *tokenizer = NULL;
    pio_text text = {0};
    pio_status status = pio_tokenizer_open(directory, &tokenizer, error);
    if (!status) status = render(options, directory, &text, error);
    if (!status) status = pio_tokenizer_encode(tokenizer, text.bytes, text.n_bytes, ids, error);
    pio_text_free(&text);
    pio_tokenizer_close(tokenizer);
    return status;
}

/* ---- the contenders ---- */

/* Opens the model as the entry says, with room for these tokens, and traces it. */
static pio_status run_one(const cli_options *options, cli_comparison *all, cli_contender *c, const pio_token_ids *ids,
                          pio_error *error) {
    const int32_t n_tokens = options->tokens ? options->tokens : DEFAULT_TOKENS;
    const bool first = c == all->contenders;
    cli_options own = *options;
    pio_model *model = NULL;
    char asked[80];
    pio_status status = pio_config_engine(&c->config, &own.engine, error);
    own.engine.keep_taps = true;
    own.engine.max_sequences = 1;
    if (!status && !own.engine.context) {
        snprintf(asked, sizeof asked, "%d token ids and %d behind them (--tokens)", ids->n_items, n_tokens);
        own.engine.context = PIO_MAX(1, ids->n_items + n_tokens);
        own.engine.context_of = asked;
    }
    if (!status) status = cli_open_model(&own, false, &model, error);
    if (!status)
        status = pio_trace_make(model, ids->items, ids->n_items, first ? NULL : all->contenders->trace.greedy, n_tokens,
                                cli_interrupted, &c->trace, error);
    uint64_t workspace = 0;
    if (!status) status = pio_taps_less_workspace(model, &workspace, error);
    if (!status) {
        all->family = pio_model_family_name(model->family);
        c->options = model->options;
        c->caps = model->chosen.caps;
        c->index = model->chosen.index;
        c->memory = model->memory_plan;
        c->memory.total -= c->memory.workspace - workspace;
        c->memory.workspace = workspace;
    }
    pio_model_close(model);
    return status;
}

static pio_status read_bound(const cli_options *options, double *bound, pio_error *error) {
    char *end;
    *bound = 0;
    if (!options->bound) return PIO_OK;
    errno = 0;
    *bound = strtod(options->bound, &end);
    if (end != options->bound && !*end && !errno && *bound > 0 && isfinite(*bound)) return PIO_OK;
    return pio_fail(error, PIO_INVALID_ARGUMENT, "--bound takes a number above 0 such as 1e-3, not '%.60s'",
                    options->bound);
}

static pio_status measure(cli_comparison *all, cli_contender *c, double bound, pio_error *error) {
    const cli_contender *reference = all->contenders;
    if (c == reference) return PIO_OK;
    if (bound == 0) bound = pio_drift_bound(&reference->options, &c->options);
    pio_status status = pio_drift_measure(&reference->trace, &c->trace, bound, &c->drift, error);
    free(c->trace.residuals); /* the largest part; many entries would add up */
    free(c->trace.logits);
    c->trace.residuals = c->trace.logits = NULL;
    return status;
}

static pio_status run_all(const cli_options *options, cli_comparison *all, const pio_token_ids *ids, double bound,
                          pio_error *error) {
    pio_status status = PIO_OK;
    for (int i = 0; i < all->n && !status; i++) {
        cli_contender *c = &all->contenders[i];
        status = run_one(options, all, c, ids, error);
        if (!status) status = measure(all, c, bound, error);
        if (status) pio_fail_prefix(error, "%s", c->name);
    }
    return status;
}

/* ---- the command ---- */

static pio_status check_options(const cli_options *options, cli_comparison *all, pio_token_ids *ids, double *bound,
                                pio_error *error) {
    if (!!options->prompt + !!options->ids + !!options->ids_file > 1)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "compare takes one of --prompt, --ids and --ids-file");
    pio_status status = cli_contenders_read(options, all, error);
    if (!status) status = read_bound(options, bound, error);
    if (!status && options->ids) status = cli_parse_ids(options->ids, ids, error);
    return status;
}

static int finish(const cli_options *options, cli_comparison *all, pio_error *error) {
    const bool agree = cli_compare_judge(all);
    int code = EXIT_DONE;
    if (options->json)
        code = cli_print_json(cli_compare_json(all));
    else
        cli_compare_print(all);
    if (agree || code) return code;
    pio_fail(error, PIO_INVALID_ARGUMENT, "%s", all->verdict);
    return cli_refuse(error);
}

int cli_compare(const cli_options *options) {
    cli_comparison *all = calloc(1, sizeof *all);
    pio_token_ids ids = {0};
    pio_error error = {0};
    double bound = 0;
    int code;
    if (!all) {
        pio_fail_memory(&error, "the comparison", sizeof *all);
        return cli_refuse(&error);
    }
    if (check_options(options, all, &ids, &bound, &error)) {
        code = cli_refuse_usage(&error);
    } else {
        cli_catch_interrupt();
        pio_status status = cli_find_model(options, all->directory, sizeof all->directory, &error);
        if (!status) status = make_prompt(options, all->directory, &ids, &error);
        if (!status) status = run_all(options, all, &ids, bound, &error);
        code = status ? cli_refuse(&error) : finish(options, all, &error);
    }
    for (int i = 0; i < all->n; i++) {
        pio_trace_free(&all->contenders[i].trace);
        pio_drift_free(&all->contenders[i].drift);
        pio_config_free(&all->contenders[i].config);
    }
    free(ids.items);
    free(all);
    return code;
}
