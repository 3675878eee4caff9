/* The tokenizers of tests/data/tokenizer/ (tools/make_tokenizer_cases.py). Everything fails the test on an error. */
#ifndef PIO_TESTS_TOKENIZER_STYLE_H
#define PIO_TESTS_TOKENIZER_STYLE_H

#include <stddef.h>

#include "text/tokenizer.h"

/* A file of the directory, with a NUL behind it; free it. */
char *tokenizer_style_data(const char *name, size_t *n_bytes);

/* The tokenizer.json of a style: its head and the tables that it shares with others; free it. */
char *tokenizer_style_json(const char *style, const char *tables, size_t *n_bytes);

pio_tokenizer *tokenizer_style_open(const char *style, const char *tables);

#endif
