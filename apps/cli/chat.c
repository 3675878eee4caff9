/* chat: a conversation, a user turn a line. Ctrl-C stops the answer, and at the prompt the chat; what was said so far
 * stays in the cache, so that each turn computes only what is new. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/cli/speak.h"

static pio_status add_message(json_t *messages, const char *role, const char *text, size_t bytes, pio_error *error) {
    json_t *content = json_stringn(text, bytes);
    if (!content) return pio_fail(error, PIO_INVALID_ARGUMENT, "standard input: the line is not valid UTF-8");
    json_array_append_new(messages, json_pack("{s:s, s:o}", "role", role, "content", content));
    return PIO_OK;
}

static pio_status turn(cli_speaker *speaker, json_t *messages, const char *line, size_t bytes, pio_error *error) {
    pio_answer answer;
    pio_status status = add_message(messages, "user", line, bytes, error);
    if (status) return status;
    json_t *input = pio_config_chat(&speaker->config, messages);
    status = cli_say(speaker, input, &answer, error);
    json_decref(input);
    if (status) return status;
    status = add_message(messages, "assistant", answer.text.bytes, answer.text.n_bytes, error);
    pio_answer_free(&answer);
    return status;
}

static bool is_fault_of_line(pio_status status) {
    return status == PIO_INVALID_ARGUMENT || status == PIO_LIMIT;
}

int cli_chat(const cli_options *options) {
    pio_error error = {0};
    cli_speaker speaker = {0};
    char *line = NULL;
    size_t capacity = 0;
    cli_catch_interrupt();
    pio_status status = cli_speaker_open(options, &speaker, &error);
    if (status) return cli_refuse(&error);
    json_t *messages = json_array();
    bool person = isatty(STDIN_FILENO);
    if (person) fprintf(stderr, "a line is a turn; Ctrl-C stops an answer, Ctrl-D ends the chat\n");
    while (!status) {
        if (person) fprintf(stderr, "> ");
        ssize_t n = getline(&line, &capacity, stdin);
        if (n < 0 && !feof(stdin) && !cli_interrupted())
            status = pio_fail(&error, PIO_IO, "standard input cannot be read: %s", strerror(errno));
        if (n < 0) break;
        if (n && line[n - 1] == '\n') n--;
        size_t n_before = json_array_size(messages);
        if (n) status = turn(&speaker, messages, line, (size_t)n, &error);
        if (status && person && is_fault_of_line(status) && !ferror(stdout)) { /* a person may try another */
            cli_refuse(&error);
            while (json_array_size(messages) > n_before) json_array_remove(messages, n_before);
            status = PIO_OK;
        }
        if (cli_interrupted() && !person) break;
        cli_forget_interrupt();
    }
    int code = status ? cli_refuse(&error) : cli_interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
    free(line);
    json_decref(messages);
    cli_speaker_close(&speaker);
    return code;
}
