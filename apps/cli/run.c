/* run: one answer to one user turn; or, with --batch-file, many conversations together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli/speak.h"
#include "base/array.h"

enum { PROMPT_LIMIT_BYTES = 64 << 20 };

static pio_status check_options(const cli_options *o, pio_error *error) {
    if (o->n_images && o->batch_file)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "--image goes with a prompt: in a batch file pictures are parts of messages");
    if (!o->prompt == !o->batch_file)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "run wants either a prompt or --batch-file: see --help");
    return PIO_OK;
}

/* The prompt alone, or the pictures and it. */
static json_t *user_content(const cli_options *options) {
    if (!options->n_images) return json_string(options->prompt);
    json_t *parts = json_array();
    for (int i = 0; i < options->n_images; i++)
        json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "image", "image", options->images[i]));
    json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "text", "text", options->prompt));
    return parts;
}

static int run_one(cli_speaker *speaker, pio_error *error) {
    json_t *messages = json_pack("[{s:s, s:o}]", "role", "user", "content", user_content(speaker->options));
    json_t *input = pio_config_chat(&speaker->config, messages);
    const bool completes = pio_config_is_set(&speaker->config, PIO_KEY_SUFFIX);
    pio_answer answer;
    pio_status status = completes ? cli_complete(speaker, speaker->options->prompt, &answer, error)
                                  : cli_say(speaker, input, &answer, error);
    json_decref(input);
    json_decref(messages);
    if (!status) pio_answer_free(&answer);
    if (status) return cli_refuse(error);
    return cli_interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
}

/* ---- many ---- */

typedef struct conversations {
    pio_prompt *prompts;
    int32_t n_prompts, prompts_capacity;
    pio_answer *answers; /* [n_prompts] */
} conversations;

static pio_status add_conversation(const cli_speaker *speaker, conversations *all, json_t *line, long number,
                                   pio_error *error) {
    json_t *messages = json_object_get(line, "messages");
    const bool bare = !messages && json_is_string(json_object_get(line, "prompt"));
    if (!json_is_array(messages) && !bare)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "--batch-file, line %ld: not an object with a list of \"messages\" or a \"prompt\"", number);
    pio_prompt *prompt = PIO_PUSH(all, prompts);
    json_t *input = bare ? json_object() : pio_config_chat(&speaker->config, messages);
    if (!prompt || !input || json_object_update_missing(input, line)) {
        json_decref(input);
        return pio_fail_memory(error, "the conversations", sizeof *prompt * (size_t)all->n_prompts);
    }
    pio_status status = pio_prompt_make(speaker->speaker, input, prompt, error);
    json_decref(input);
    return status ? pio_fail_prefix(error, "--batch-file, line %ld", number) : PIO_OK;
}

static pio_status read_conversations(const cli_speaker *speaker, FILE *file, conversations *all, pio_error *error) {
    char *text;
    size_t bytes;
    pio_status status = cli_read_all(file, "--batch-file", PROMPT_LIMIT_BYTES, &text, &bytes, error);
    if (status) return status;
    long number = 1;
    for (char *line = text, *end; line < text + bytes && !status; line = end + 1, number++) {
        end = memchr(line, '\n', (size_t)(text + bytes - line));
        if (!end) end = text + bytes;
        json_error_t where;
        json_t *json = json_loadb(line, (size_t)(end - line), 0, &where);
        if (json)
            status = add_conversation(speaker, all, json, number, error);
        else
            status = pio_fail(error, PIO_INVALID_ARGUMENT, "--batch-file, line %ld: %s", number, where.text);
        json_decref(json);
    }
    free(text);
    return status;
}

static bool interrupted(void *user) {
    (void)user;
    return cli_interrupted();
}

static pio_status answer_all(cli_speaker *speaker, conversations *all, pio_error *error) {
    all->answers = calloc((size_t)all->n_prompts + 1, sizeof *all->answers);
    if (!all->answers) return pio_fail_memory(error, "the answers", sizeof *all->answers * (size_t)all->n_prompts);
    pio_token_ids *ids = calloc((size_t)all->n_prompts + 1, sizeof *ids);
    if (!ids) return pio_fail_memory(error, "the prompts", sizeof *ids * (size_t)all->n_prompts);
    for (int32_t i = 0; i < all->n_prompts; i++) {
        all->answers[i] = cli_answer(speaker);
        pio_prompt_show(&all->prompts[i], &all->answers[i]);
        ids[i] = all->prompts[i].ids;
    }
    pio_status status = pio_speaker_run(speaker->speaker, ids, all->answers, all->n_prompts, interrupted, NULL, error);
    free(ids);
    for (int32_t i = 0; i < all->n_prompts && !status; i++) {
        json_t *text = json_stringn(all->answers[i].text.bytes, all->answers[i].text.n_bytes);
        json_dumpf(text, stdout, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        putchar('\n');
        json_decref(text);
    }
    return status;
}

static int run_many(cli_speaker *speaker, pio_error *error) {
    const char *path = speaker->options->batch_file;
    FILE *file = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    conversations all = {0};
    pio_status status =
        file ? PIO_OK : pio_fail(error, PIO_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
    if (!status) status = read_conversations(speaker, file, &all, error);
    if (!status) status = answer_all(speaker, &all, error);
    for (int32_t i = 0; i < all.n_prompts; i++) {
        pio_prompt_free(&all.prompts[i]);
        if (all.answers) pio_answer_free(&all.answers[i]);
    }
    free(all.prompts);
    free(all.answers);
    if (file && file != stdin) fclose(file);
    if (status) return cli_refuse(error);
    return cli_interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
}

int cli_run(const cli_options *options) {
    enum { TOGETHER = 16, TOGETHER_CONTEXT = 2048 };
    pio_error error = {0};
    cli_speaker speaker = {0};
    cli_options adjusted = *options;
    if (options->batch_file) { /* conversations run side by side */
        if (!pio_config_is_set(&options->config, PIO_KEY_MAX_SEQUENCES)) adjusted.engine.max_sequences = TOGETHER;
        if (!adjusted.engine.context) adjusted.engine.most_context = TOGETHER_CONTEXT;
    }
    cli_catch_interrupt();
    if (check_options(options, &error)) return cli_refuse_usage(&error);
    pio_status status = cli_speaker_open(&adjusted, &speaker, &error);
    if (status) return cli_refuse(&error);
    int code = options->batch_file ? run_many(&speaker, &error) : run_one(&speaker, &error);
    cli_speaker_close(&speaker);
    return code;
}
