/* tokenize and detokenize: lines of JSON through the tokenizer. */
#include <stdlib.h>
#include <string.h>

#include "apps/cli/cli.h"
#include "text/token_lines.h"

typedef pio_status (*line_function)(const pio_tokenizer *, const char *, size_t, pio_text *, pio_error *);

typedef struct lines {
    pio_tokenizer *tokenizer;
    line_function convert;
} lines;

static pio_status convert_line(void *user, const char *text, size_t bytes, pio_text *out, pio_error *error) {
    const lines *l = user;
    return l->convert(l->tokenizer, text, bytes, out, error);
}

static int run(const cli_options *options, line_function convert) {
    pio_error error = {0};
    char path[4096];
    lines l = {.convert = convert};
    pio_status status = cli_find_model(options, path, sizeof path, &error);
    if (!status) status = pio_tokenizer_open(path, &l.tokenizer, &error);
    if (status) return cli_refuse(&error);
    int code = cli_each_line(convert_line, &l);
    pio_tokenizer_close(l.tokenizer);
    return code;
}

int cli_tokenize(const cli_options *options) {
    return run(options, pio_token_line_encode);
}
int cli_detokenize(const cli_options *options) {
    return run(options, pio_token_line_decode);
}
