/* render: a conversation on standard input -> the prompt. */
#include <stdlib.h>

#include "apps/cli/cli.h"
#include "text/chat.h"

enum { LARGEST_INPUT_BYTES = 256 << 20 };

static pio_status render(const pio_chat_template *chat, pio_text *out, pio_error *error) {
    char *text = NULL;
    size_t n = 0;
    json_error_t where;
    pio_status status = cli_read_all(stdin, "standard input", LARGEST_INPUT_BYTES, &text, &n, error);
    if (status) return status;
    json_t *input = json_loadb(text, n, JSON_ALLOW_NUL, &where);
    free(text);
    if (!input)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "standard input is not a JSON object, line %d: %s", where.line,
                        where.text);
    status = pio_chat_template_render(chat, input, out, error);
    json_decref(input);
    return status;
}

int cli_render(const cli_options *options) {
    pio_error error = {0};
    char path[4096];
    pio_chat_template *chat = NULL;
    pio_text out = {0};
    pio_status status = cli_find_model(options, path, sizeof path, &error);
    if (!status) status = pio_chat_template_open(path, &chat, &error);
    if (!status) status = render(chat, &out, &error);
    if (!status) fwrite(out.bytes, 1, out.n_bytes, stdout); /* cli_end tells of what could not be written */
    pio_text_free(&out);
    pio_chat_template_free(chat);
    return status ? cli_refuse(&error) : EXIT_DONE;
}
