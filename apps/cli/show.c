/* Showing answers: text while it comes, tool calls, JSON, and what a person should know beside them. */
#include <errno.h>
#include <string.h>

#include "apps/cli/speak.h"

/* ---- while it comes ---- */

static bool put(cli_printer *printer, const char *bytes, size_t n) {
    if (n) printer->in_line = bytes[n - 1] != '\n';
    return fwrite(bytes, 1, n, stdout) == n;
}

/* A call stands on a line of its own: name({"key": "value"}) */
static bool put_call(cli_printer *printer, const pio_answer_event *event) {
    switch (event->kind) {
    case PIO_ANSWER_CALL:
        return (!printer->in_line || put(printer, "\n", 1)) && put(printer, event->name, strlen(event->name)) &&
               put(printer, "(", 1);
    case PIO_ANSWER_CALL_END:
        return put(printer, ")\n", 2);
    case PIO_ANSWER_ARGUMENTS:
    case PIO_ANSWER_TEXT:
    case PIO_ANSWER_REASONING:
        break;
    }
    return put(printer, event->bytes, event->n_bytes);
}

bool cli_print_event(void *user, const pio_answer_event *event) {
    cli_printer *printer = user;
    if (event->kind != PIO_ANSWER_REASONING) return put_call(printer, event) && !fflush(stdout);
    if (printer->hides_reasoning) return true;
    if (event->n_bytes) printer->in_thought = event->bytes[event->n_bytes - 1] != '\n';
    return fwrite(event->bytes, 1, event->n_bytes, stderr) == event->n_bytes;
}

bool cli_print_text(void *user, const char *text, size_t bytes) {
    return cli_print_event(user, &(pio_answer_event){.kind = PIO_ANSWER_TEXT, .bytes = text, .n_bytes = bytes});
}

/* ---- as JSON ---- */

json_t *cli_tool_calls(const pio_answer *answer) {
    json_t *list = json_array();
    for (int32_t i = 0; i < answer->parts.n_calls; i++) {
        const pio_tool_call *call = &answer->parts.calls[i];
        json_t *arguments = json_loadb(call->arguments.bytes, call->arguments.n_bytes, 0, NULL);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", call->id, "type", "function", "function",
                                        "name", call->name, "arguments", arguments ? arguments : json_object()));
    }
    return list;
}

static json_t *text_of(const pio_text *text) {
    return json_stringn(text->n_bytes ? text->bytes : "", text->n_bytes);
}

json_t *cli_answer_json(const cli_speaker *speaker, const pio_answer *answer) {
    const pio_request *r = &answer->request;
    json_t *json = json_pack("{s:o}", "text", text_of(&answer->text));
    if (answer->parts.reasoning.n_bytes && !speaker->settings.hides_reasoning)
        json_object_set_new(json, "reasoning", text_of(&answer->parts.reasoning));
    if (answer->parts.n_calls) json_object_set_new(json, "tool_calls", cli_tool_calls(answer));
    json_t *rest =
        json_pack("{s:s, s:i, s:i, s:i, s:f, s:f}", "finish", pio_answer_finish(answer), "prompt_tokens", r->n_prompt,
                  "cached_tokens", r->n_reused, "answer_tokens", r->n_generated, "prompt_seconds",
                  (double)r->prompt_ns / 1e9, "answer_seconds", (double)r->decode_ns / 1e9);
    json_object_update(json, rest);
    json_decref(rest);
    return json;
}

pio_status cli_print_line(json_t *json, pio_error *error) {
    errno = 0;
    const bool printed =
        json &&
        !json_dumpf(json, stdout, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_COMPACT | JSON_REAL_PRECISION(6)) &&
        putchar('\n') != EOF && !fflush(stdout);
    const bool made = json != NULL;
    json_decref(json);
    if (printed) return PIO_OK;
    return made ? pio_fail(error, PIO_IO, "standard output cannot be written: %s", strerror(errno))
                : pio_fail_memory(error, "the answer", sizeof *json);
}

/* ---- beside the answer ---- */

void cli_note_cut(const cli_speaker *speaker, const pio_answer *answer, const char *of) {
    const pio_model *model = pio_engine_model(speaker->speaker->engine);
    const pio_request *r = &answer->request;
    const int32_t context = model->options.context;
    if (!pio_answer_was_cut(answer)) return;
    if (r->n_prompt + r->n_generated < context)
        fprintf(stderr,
                "note: %sthe answer is cut: generation_config.json allows %d tokens with the prompt (max_length); "
                "--max-tokens goes before it\n",
                of, speaker->speaker->generation.max_length);
    else
        fprintf(stderr, "note: %sthe answer is cut: the context of %d tokens is full%s\n", of, context,
                context < model->config.common.max_positions ? "; --context makes it larger"
                                                             : ", and it is all that the model knows");
}

void cli_print_stats(const pio_answer *answer) {
    const pio_request *r = &answer->request;
    double prompt_s = (double)r->prompt_ns / 1e9, decode_s = (double)r->decode_ns / 1e9;
    fprintf(stderr, "prompt: %d tokens (%d from the cache) in %.3f s; answer: %d tokens, %.1f tokens/s\n", r->n_prompt,
            r->n_reused, prompt_s, r->n_generated, decode_s > 0 ? r->n_generated / decode_s : 0.0);
}
