/* run --batch-file: conversations, one a line, answered together; a line of the output for each line of the input. What
 * cannot be answered is null there and named on stderr, and the others are answered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/cli/speak.h"
#include "base/array.h"
#include "models/chat/tools.h"

enum { FILE_LIMIT_BYTES = 256 << 20 };

/* One line of the file. */
typedef struct conversation {
    long number;
    bool refused;
    json_t *input; /* holds the tools that the answer borrows */
    pio_prompt prompt;
    pio_answer answer;
} conversation;

typedef struct batch {
    cli_speaker *speaker;
    char name[280]; /* of the file, for people */
    conversation *lines;
    int32_t n_lines, lines_capacity;
    cli_refusals refusals;
} batch;

/* ---- reading ---- */

/* What the template takes: the line's keys over what the options say. */
static pio_status make_input(const batch *b, json_t *line, json_t **out, pio_error *error) {
    json_t *messages = json_object_get(line, "messages"), *tools = json_object_get(line, "tools");
    const bool bare = !messages && json_is_string(json_object_get(line, "prompt"));
    if (!json_is_array(messages) && !bare)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "not an object with a list of \"messages\" or a \"prompt\"");
    pio_status status = tools && !json_is_null(tools) ? pio_tools_check("tools", tools, error) : PIO_OK;
    if (status) return status;
    *out = bare ? json_object() : cli_input(b->speaker, messages);
    if (!*out || json_object_update_missing(*out, line) || (tools && json_object_set(*out, "tools", tools)))
        return pio_fail_memory(error, "the conversations", sizeof(conversation) * (size_t)b->n_lines);
    return PIO_OK;
}

static pio_status prepare(const batch *b, json_t *line, conversation *c, pio_error *error) {
    pio_status status = make_input(b, line, &c->input, error);
    if (!status) status = pio_prompt_make(b->speaker->speaker, c->input, &c->prompt, error);
    c->answer = cli_answer(b->speaker);
    c->answer.tools = NULL; /* without --json a call stays in the text, which is all that is printed */
    if (!status && b->speaker->options->json) c->answer.tools = json_object_get(c->input, "tools");
    if (!status) pio_prompt_show(&c->prompt, &c->answer);
    return status ? status : pio_speaker_check(b->speaker->speaker, &c->prompt.ids, c->answer.max_tokens, error);
}

static pio_status read_line(const batch *b, const char *text, size_t bytes, conversation *c, pio_error *error) {
    json_error_t where;
    json_t *line = json_loadb(text, bytes, 0, &where);
    if (!line) return pio_fail(error, PIO_INVALID_ARGUMENT, "not JSON, column %d: %s", where.column, where.text);
    pio_status status = prepare(b, line, c, error);
    json_decref(line);
    return status;
}

static bool is_fault_of_line(pio_status status) {
    return status != PIO_OK && status != PIO_OUT_OF_MEMORY && status != PIO_CANCELLED && status != PIO_DEVICE_LOST;
}

static pio_status read_lines(batch *b, FILE *file, pio_error *error) {
    char *text;
    size_t bytes;
    pio_status status = cli_read_all(file, b->name, FILE_LIMIT_BYTES, &text, &bytes, error);
    if (status) return status;
    for (char *line = text, *end; line < text + bytes && !status; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + bytes - line));
        if (!end) end = text + bytes;
        conversation *c = PIO_PUSH(b, lines);
        if (!c) {
            status = pio_fail_memory(error, "the conversations", sizeof *c * (size_t)b->n_lines);
            break;
        }
        *c = (conversation){.number = b->n_lines};
        status = read_line(b, line, (size_t)(end - line), c, error);
        if (!is_fault_of_line(status)) continue;
        c->refused = true;
        cli_refuse_line(&b->refusals, b->name, c->number, error);
        status = PIO_OK;
    }
    free(text);
    return status;
}

/* ---- answering ---- */

static bool interrupted(void *user) {
    (void)user;
    return cli_interrupted();
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_stats(const batch *b, double seconds) {
    long long n = 0, n_prompt = 0, n_reused = 0, n_generated = 0;
    for (int32_t i = 0; i < b->n_lines; i++) {
        const pio_request *r = &b->lines[i].answer.request;
        if (b->lines[i].refused) continue;
        n++;
        n_prompt += r->n_prompt;
        n_reused += r->n_reused;
        n_generated += r->n_generated;
    }
    fprintf(stderr,
            "%lld answers in %.3f s; prompts: %lld tokens (%lld from the cache); answers: %lld tokens, %.1f tokens/s\n",
            n, seconds, n_prompt, n_reused, n_generated, seconds > 0 ? (double)n_generated / seconds : 0.0);
}

/* Runs all that were not refused; the answers come back to their lines. */
static pio_status run_lines(batch *b, pio_error *error) {
    pio_answer *answers = calloc((size_t)b->n_lines + 1, sizeof *answers);
    pio_token_ids *ids = calloc((size_t)b->n_lines + 1, sizeof *ids);
    pio_status status =
        answers && ids ? PIO_OK : pio_fail_memory(error, "the answers", sizeof *answers * (size_t)b->n_lines);
    int32_t n = 0;
    for (int32_t i = 0; i < b->n_lines && !status; i++) {
        if (b->lines[i].refused) continue;
        answers[n] = b->lines[i].answer;
        ids[n++] = b->lines[i].prompt.ids;
    }
    const double start = now_s();
    if (!status && n) status = pio_speaker_run(b->speaker->speaker, ids, answers, n, interrupted, NULL, error);
    for (int32_t i = 0, k = 0; i < b->n_lines && k < n; i++)
        if (!b->lines[i].refused) b->lines[i].answer = answers[k++];
    if (!status && b->speaker->options->stats) print_stats(b, now_s() - start);
    free(answers);
    free(ids);
    return status;
}

static json_t *shown(const batch *b, const conversation *c) {
    if (c->refused) return json_null();
    if (b->speaker->options->json) return cli_answer_json(b->speaker, &c->answer);
    return json_stringn(c->answer.text.n_bytes ? c->answer.text.bytes : "", c->answer.text.n_bytes);
}

static pio_status print_lines(const batch *b, pio_error *error) {
    char of[320];
    pio_status status = PIO_OK;
    for (int32_t i = 0; i < b->n_lines && !status; i++) {
        const conversation *c = &b->lines[i];
        snprintf(of, sizeof of, "%s, line %ld: ", b->name, c->number);
        if (!c->refused) cli_note_cut(b->speaker, &c->answer, of);
        status = cli_print_line(shown(b, c), error);
    }
    return status;
}

static int run_file(batch *b, FILE *file) {
    pio_error error = {0};
    pio_status status = read_lines(b, file, &error);
    if (!status) status = run_lines(b, &error);
    if (!status) status = print_lines(b, &error);
    if (status) return cli_refuse(&error);
    return cli_interrupted() ? EXIT_INTERRUPTED : cli_end_lines(&b->refusals);
}

int cli_run_batch(cli_speaker *speaker) {
    const char *path = speaker->options->batch_file;
    const bool is_stdin = !strcmp(path, "-");
    FILE *file = is_stdin ? stdin : fopen(path, "rb");
    batch b = {.speaker = speaker};
    pio_error error = {0};
    snprintf(b.name, sizeof b.name, is_stdin ? "standard input" : "'%.270s'", path);
    if (!file) {
        pio_fail(&error, PIO_NOT_FOUND, "%s cannot be opened: %s", b.name, strerror(errno));
        return cli_refuse(&error);
    }
    int code = run_file(&b, file);
    for (int32_t i = 0; i < b.n_lines; i++) {
        pio_prompt_free(&b.lines[i].prompt);
        pio_answer_free(&b.lines[i].answer);
        json_decref(b.lines[i].input);
    }
    free(b.lines);
    if (!is_stdin) fclose(file);
    return code;
}
