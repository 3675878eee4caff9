/* chat: a conversation, a user turn a line. Ctrl-C stops the answer; at a person's prompt it throws the line away, and
 * a second one ends the chat. What was said so far stays in the cache, whose whole pages each turn uses again. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "apps/cli/lines.h"
#include "apps/cli/speak.h"

typedef struct chat {
    cli_speaker speaker;
    cli_lines lines;
    json_t *messages;
    json_t *pictures;  /* paths, for the next turn */
    int32_t n_awaited; /* results of the calls that the last answer made */
    bool person;       /* at a terminal */
    bool leaving;      /* Ctrl-C was pressed at the prompt: another one leaves */
    long line;         /* number of the newest */
    cli_refusals refusals;
} chat;

/* ---- turns ---- */

static pio_status add_message(chat *c, json_t *message, pio_error *error) {
    if (message && !json_array_append_new(c->messages, message)) return PIO_OK;
    return pio_fail_memory(error, "the conversation", sizeof *message);
}

/* The answer as the template wants to see it in the next turn. */
static pio_status add_answer(chat *c, const pio_answer *answer, pio_error *error) {
    json_t *text = json_stringn(answer->text.n_bytes ? answer->text.bytes : "", answer->text.n_bytes);
    json_t *message = json_pack("{s:s, s:o}", "role", "assistant", "content", text);
    c->n_awaited = answer->parts.n_calls;
    if (message && c->n_awaited) json_object_set_new(message, "tool_calls", cli_tool_calls(answer));
    return add_message(c, message, error);
}

static pio_status answer(chat *c, pio_error *error) {
    pio_answer made;
    json_t *input = cli_input(&c->speaker, c->messages);
    if (!input) return pio_fail_memory(error, "the conversation", sizeof *input);
    pio_status status = cli_say(&c->speaker, input, &made, error);
    json_decref(input);
    if (status) return status;
    status = add_answer(c, &made, error);
    pio_answer_free(&made);
    return status;
}

static pio_status say(chat *c, json_t *text, pio_error *error) {
    json_t *message = json_pack("{s:s, s:o}", "role", "user", "content", cli_content(c->pictures, text));
    json_array_clear(c->pictures);
    c->n_awaited = 0;
    pio_status status = add_message(c, message, error);
    return status ? status : answer(c, error);
}

/* ---- commands ---- */

static pio_status show_picture(chat *c, json_t *path, pio_error *error) {
    const char *text = json_string_value(path);
    const pio_model *model = pio_engine_model(c->speaker.speaker->engine);
    if (!model->config.common.eyes.merge)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s' is a model without eyes: it cannot be shown '%.200s'",
                        model->directory, text);
    if (!strchr(text, ':') && access(text, R_OK))
        return pio_fail(error, PIO_NOT_FOUND, "'%.300s' cannot be read: %s", text, strerror(errno));
    return json_array_append(c->pictures, path) ? pio_fail_memory(error, "the pictures", sizeof *path) : PIO_OK;
}

/* The model goes on when all its calls have their results. */
static pio_status give_result(chat *c, json_t *text, pio_error *error) {
    if (!c->n_awaited)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "/tool gives the result of a tool call, and the last answer made none that waits for one");
    pio_status status = add_message(c, json_pack("{s:s, s:O}", "role", "tool", "content", text), error);
    if (status || --c->n_awaited) return status;
    return answer(c, error);
}

static const struct {
    const char *name; /* with the blank behind it */
    pio_status (*run)(chat *c, json_t *rest, pio_error *error);
} commands[] = {{"/image ", show_picture}, {"/tool ", give_result}};

static pio_status take_line(chat *c, const char *line, size_t bytes, pio_error *error) {
    const char *rest = line;
    pio_status (*run)(chat *, json_t *, pio_error *) = say;
    for (size_t i = 0; i < PIO_COUNT(commands); i++) {
        const size_t n = strlen(commands[i].name);
        if (bytes + 1 < n || memcmp(line, commands[i].name, PIO_MIN(bytes, n))) continue;
        if (bytes <= n)
            return pio_fail(error, PIO_INVALID_ARGUMENT, "'%.*s' stands alone: write behind it what it is given",
                            (int)n - 1, commands[i].name);
        rest = line + n;
        run = commands[i].run;
    }
    json_t *text = json_stringn(rest, bytes - (size_t)(rest - line));
    if (!text) return pio_fail(error, PIO_INVALID_ARGUMENT, "the line is not valid UTF-8: give it in UTF-8");
    pio_status status = run(c, text, error);
    json_decref(text);
    return status;
}

/* ---- lines ---- */

static bool is_fault_of_line(pio_status status) {
    return status != PIO_OK && status != PIO_OUT_OF_MEMORY && status != PIO_DEVICE_LOST && status != PIO_INTERNAL;
}

/* Says what was wrong, takes the turn back, and goes on. */
static void refuse_line(chat *c, size_t n_before, pio_error *error) {
    if (c->person)
        cli_refuse(error);
    else
        cli_refuse_line(&c->refusals, "standard input", c->line, error);
    while (json_array_size(c->messages) > n_before) json_array_remove(c->messages, n_before);
}

/* A person's Ctrl-C at the prompt. The terminal has thrown away what was typed. */
static bool stays(chat *c) {
    if (!c->person || c->leaving) return false;
    c->leaving = true;
    cli_lines_forget(&c->lines);
    cli_forget_interrupt();
    fprintf(stderr, "\n(Ctrl-C again or Ctrl-D ends the chat)\n");
    return true;
}

/* Takes the line and answers. */
static pio_status turn(chat *c, cli_line_kind kind, const char *text, size_t bytes, pio_error *error) {
    const size_t n_before = json_array_size(c->messages);
    pio_status status = PIO_OK;
    c->line++;
    c->leaving = false;
    if (kind == CLI_LINE_TOO_LONG)
        status = pio_fail(error, PIO_LIMIT, "the line is longer than %d bytes: shorten it", CLI_LINE_LIMIT_BYTES);
    else if (bytes)
        status = take_line(c, text, bytes, error);
    if (is_fault_of_line(status) && !ferror(stdout)) {
        refuse_line(c, n_before, error);
        status = PIO_OK;
    }
    cli_forget_interrupt(); /* it stopped the answer, and that is all */
    return status;
}

static pio_status converse(chat *c, pio_error *error) {
    const char *text;
    size_t bytes;
    for (;;) {
        if (c->person) fprintf(stderr, "> ");
        const cli_line_kind kind = cli_lines_next(&c->lines, &text, &bytes);
        if (kind == CLI_LINE_INTERRUPTED && stays(c)) continue;
        if (kind == CLI_LINE_FAILED)
            return pio_fail(error, PIO_IO, "standard input cannot be read: %s", strerror(errno));
        if (kind != CLI_LINE && kind != CLI_LINE_TOO_LONG) return PIO_OK;
        pio_status status = turn(c, kind, text, bytes, error);
        if (status) return status;
    }
}

static void greet(const chat *c) {
    const bool eyes = pio_engine_model(c->speaker.speaker->engine)->config.common.eyes.merge;
    if (!c->person) return;
    fprintf(stderr, "a line is a turn; Ctrl-C stops an answer; at the prompt Ctrl-D, or Ctrl-C twice, ends the chat\n");
    if (eyes) fprintf(stderr, "/image FILE shows a picture with the next turn\n");
    if (c->speaker.tools) fprintf(stderr, "/tool RESULT gives the result of a tool call\n");
}

int cli_chat(const cli_options *options) {
    pio_error error = {0};
    chat c = {.messages = json_array(), .pictures = json_array(), .person = isatty(STDIN_FILENO)};
    cli_catch_interrupt();
    pio_status status = cli_speaker_open(options, &c.speaker, &error);
    for (int i = 0; i < options->n_images && !status; i++)
        json_array_append_new(c.pictures, json_string(options->images[i]));
    if (!status) greet(&c);
    if (!status) status = converse(&c, &error);
    int code = status ? cli_refuse(&error) : cli_interrupted() ? EXIT_INTERRUPTED : cli_end_lines(&c.refusals);
    cli_lines_free(&c.lines);
    json_decref(c.messages);
    json_decref(c.pictures);
    cli_speaker_close(&c.speaker);
    return code;
}
