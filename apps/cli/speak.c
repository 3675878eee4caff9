#include "apps/cli/speak.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

pio_status cli_speaker_open(const cli_options *options, cli_speaker *out, pio_error *error) {
    *out = (cli_speaker){.options = options};
    pio_model *model = NULL;
    const char *prompt = options->prompt;
    if (prompt && pio_utf8_valid_prefix(prompt, strlen(prompt)) != strlen(prompt))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the prompt is not valid UTF-8: give it in UTF-8");
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
    if (status) cli_speaker_close(out);
    return status;
}

void cli_speaker_close(cli_speaker *speaker) {
    pio_speaker_destroy(speaker->speaker);
    pio_config_free(&speaker->config);
    speaker->speaker = NULL;
}

/* ---- speaking ---- */

pio_answer cli_answer(const cli_speaker *speaker) {
    const pio_answer_settings *s = &speaker->settings;
    return (pio_answer){.sampling = s->sampling,
                        .max_tokens = s->max_tokens,
                        .stops = s->stops,
                        .n_stops = s->n_stops,
                        .form = speaker->has_form ? &speaker->form : NULL,
                        .thinking_budget = s->thinking_budget,
                        .inline_reasoning = s->inline_reasoning};
}

/* The answer goes to stdout, reasoning beside it to stderr. */
static bool print_event(void *user, const pio_answer_event *event) {
    const cli_speaker *speaker = user;
    const bool reasoning = event->kind == PIO_ANSWER_REASONING;
    FILE *to = reasoning ? stderr : stdout;
    if (reasoning && speaker->settings.hides_reasoning) return true;
    return fwrite(event->bytes, 1, event->n_bytes, to) == event->n_bytes && !fflush(to);
}

static bool print_text(void *user, const char *text, size_t bytes) {
    return print_event(user, &(pio_answer_event){.kind = PIO_ANSWER_TEXT, .bytes = text, .n_bytes = bytes});
}

static bool interrupted(void *user) {
    (void)user;
    return cli_interrupted();
}

static void print_stats(const pio_answer *answer) {
    const pio_request *r = &answer->request;
    double prompt_s = (double)r->prompt_ns / 1e9, decode_s = (double)r->decode_ns / 1e9;
    fprintf(stderr, "prompt: %d tokens (%d from the cache) in %.3f s; answer: %d tokens, %.1f tokens/s\n", r->n_prompt,
            r->n_reused, prompt_s, r->n_generated, decode_s > 0 ? r->n_generated / decode_s : 0.0);
}

/* Answers the prompt and prints; the answer is taken apart if it has a form. */
static pio_status say(cli_speaker *speaker, const pio_prompt *prompt, pio_answer *answer, pio_error *error) {
    answer->on_text = print_text;
    answer->on_event = answer->form ? print_event : NULL;
    answer->user = speaker;
    pio_prompt_show(prompt, answer);
    pio_status status = pio_speaker_run(speaker->speaker, &prompt->ids, answer, 1, interrupted, NULL, error);
    answer->request.prompt = NULL;
    if (!status && answer->parts.reasoning.n_bytes && !speaker->settings.hides_reasoning) fputc('\n', stderr);
    if (!status && (putchar('\n') == EOF || fflush(stdout)))
        status = pio_fail(error, PIO_IO, "standard output cannot be written: %s", strerror(errno));
    if (!status && speaker->options->stats) print_stats(answer);
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
