/* The lines of `tokenize` and `detokenize`: a JSON string against a JSON array of ids. */
#ifndef PIO_TEXT_TOKEN_LINES_H
#define PIO_TEXT_TOKEN_LINES_H

#include "text/tokenizer.h"

/* `line` (without its line end) is one JSON string; appends the array of its ids and a line end to *out.
 * PIO_INVALID_ARGUMENT: no JSON string, or not UTF-8. On failure *out is as before. */
pio_status pio_token_line_encode(const pio_tokenizer *tokenizer, const char *line, size_t n_bytes, pio_text *out,
                                 pio_error *error);

/* `line` is a JSON array of ids; appends the JSON string of their text and a line end to *out. */
pio_status pio_token_line_decode(const pio_tokenizer *tokenizer, const char *line, size_t n_bytes, pio_text *out,
                                 pio_error *error);

#endif
