#include "apps/cli/speak.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "models/chat/tools.h"

enum { TOOLS_LIMIT_BYTES = 16 << 20 };

static pio_status read_tools(cli_speaker *speaker, pio_error *error) {
    const char *path = speaker->options->tools;
    char source[280], *text;
    size_t bytes;
    if (!path) return PIO_OK;
    snprintf(source, sizeof source, "--tools '%.260s'", path);
    pio_status status = pio_file_read_text(path, TOOLS_LIMIT_BYTES, &text, &bytes, error);
    if (status) return pio_fail_prefix(error, "--tools");
    status = pio_tools_parse(source, text, bytes, &speaker->tools, error);
    free(text);
    return status;
}

static pio_status open_model(const cli_options *options, cli_speaker *out, pio_error *error) {
    pio_model *model;
    pio_status status = cli_open_model(options, false, &model, error);
    if (status) return status;
    status = pio_speaker_create(model, &out->speaker, error);
    if (status) {
        pio_model_close(model);
        return status;
    }
    status = pio_config_copy(&options->config, &out->config, error);
    if (!status) status = pio_config_read_checkpoint(&out->config, model->directory, error);
    pio_config_answer(&out->config, &out->settings);
    out->has_form = pio_config_form(&out->config, model->family, &out->form);
    if (!status) status = pio_sampling_check(&out->settings.sampling, model->config.common.vocab_size, error);
    if (!status && options->n_images && !model->config.common.eyes.merge)
        status = pio_fail(error, PIO_UNSUPPORTED, "'%s' is a model without eyes: leave --image out", options->model);
    return status;
}

pio_status cli_speaker_open(const cli_options *options, cli_speaker *out, pio_error *error) {
    *out = (cli_speaker){.options = options};
    const char *prompt = options->prompt;
    if (prompt && pio_utf8_valid_prefix(prompt, strlen(prompt)) != strlen(prompt))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the prompt is not valid UTF-8: give it in UTF-8");
    pio_status status = read_tools(out, error);
    if (!status) status = open_model(options, out, error);
    if (status) cli_speaker_close(out);
    return status;
}

void cli_speaker_close(cli_speaker *speaker) {
    pio_speaker_destroy(speaker->speaker);
    pio_config_free(&speaker->config);
    json_decref(speaker->tools);
    speaker->speaker = NULL;
    speaker->tools = NULL;
}

/* ---- what is said to the model ---- */

json_t *cli_input(const cli_speaker *speaker, json_t *messages) {
    json_t *input = pio_config_chat(&speaker->config, messages);
    if (!input || !speaker->tools || !json_object_set(input, "tools", speaker->tools)) return input;
    json_decref(input);
    return NULL;
}

json_t *cli_content(const json_t *pictures, json_t *text) {
    json_t *parts, *path;
    size_t i;
    if (!json_array_size(pictures)) return json_incref(text);
    parts = json_array();
    json_array_foreach(pictures, i, path)
        json_array_append_new(parts, json_pack("{s:s, s:O}", "type", "image", "image", path));
    json_array_append_new(parts, json_pack("{s:s, s:O}", "type", "text", "text", text));
    return parts;
}

/* ---- answers ---- */

pio_answer cli_answer(const cli_speaker *speaker) {
    const pio_answer_settings *s = &speaker->settings;
    return (pio_answer){.sampling = s->sampling,
                        .max_tokens = s->max_tokens,
                        .stops = s->stops,
                        .n_stops = s->n_stops,
                        .form = speaker->has_form ? &speaker->form : NULL,
                        .thinking_budget = s->thinking_budget,
                        .inline_reasoning = s->inline_reasoning,
                        .tools = speaker->tools};
}

static bool interrupted(void *user) {
    (void)user;
    return cli_interrupted();
}

/* Ends what was printed while it came. */
static pio_status finish_printing(const cli_printer *printer, const pio_answer *answer, pio_error *error) {
    if (answer->parts.reasoning.n_bytes && !printer->hides_reasoning) fputc('\n', stderr);
    const bool ends = answer->parts.n_calls && !printer->in_line; /* a call's line has ended itself */
    if ((ends || putchar('\n') != EOF) && !fflush(stdout)) return PIO_OK;
    return pio_fail(error, PIO_IO, "standard output cannot be written: %s", strerror(errno));
}

/* What is said of a failure stands on a line of its own. */
static void break_off(const cli_printer *printer) {
    if (printer->in_thought) fputc('\n', stderr);
    if (printer->in_line) putchar('\n');
    fflush(stdout);
}

/* Answers the prompt and shows it; the answer is taken apart if it has a form. */
static pio_status say(cli_speaker *speaker, const pio_prompt *prompt, pio_answer *answer, pio_error *error) {
    const bool json = speaker->options->json;
    cli_printer printer = {.hides_reasoning = speaker->settings.hides_reasoning};
    if (!json) answer->on_text = cli_print_text;
    if (!json) answer->on_event = answer->form ? cli_print_event : NULL;
    answer->user = &printer;
    pio_prompt_show(prompt, answer);
    pio_status status = pio_speaker_run(speaker->speaker, &prompt->ids, answer, 1, interrupted, NULL, error);
    answer->request.prompt = NULL;
    if (status) break_off(&printer);
    if (!status && json)
        status = cli_print_line(cli_answer_json(speaker, answer), error);
    else if (!status)
        status = finish_printing(&printer, answer, error);
    if (!status) cli_note_cut(speaker, answer, "");
    if (!status && speaker->options->stats) cli_print_stats(answer);
    if (status) pio_answer_free(answer);
    return status;
}

pio_status cli_say(cli_speaker *speaker, json_t *input, pio_answer *answer, pio_error *error) {
    pio_prompt prompt;
    *answer = cli_answer(speaker);
    pio_status status = pio_prompt_make(speaker->speaker, input, &prompt, error);
    if (!status) status = say(speaker, &prompt, answer, error);
    pio_prompt_free(&prompt);
    return status;
}

pio_status cli_complete(cli_speaker *speaker, const char *prefix, pio_answer *answer, pio_error *error) {
    pio_prompt prompt = {0};
    pio_text text = {0};
    *answer = cli_answer(speaker);
    answer->form = NULL;
    pio_status status = PIO_OK;
    if (!pio_config_completion(&speaker->config, prefix, &text))
        status = pio_fail_memory(error, "the prompt", strlen(prefix));
    if (!status)
        status = pio_tokenizer_encode(speaker->speaker->tokenizer, text.bytes, text.n_bytes, &prompt.ids, error);
    if (!status) status = say(speaker, &prompt, answer, error);
    pio_prompt_free(&prompt);
    pio_text_free(&text);
    return status;
}
