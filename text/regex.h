/* The regular expressions of tokenizer files: the Oniguruma dialect (its Ruby syntax), matched by PCRE2 with its JIT.
 *
 * A pattern knows characters only through its sets (a letter, \p{L}, [^\s\d], ...). These sets cut Unicode into at most
 * 255 kinds of characters. The text is translated to one byte a character, its kind, and PCRE2 runs on these bytes with
 * the sets as byte classes. So the classes are exactly those of the tables, whatever Unicode version PCRE2 knows, and
 * classes of thousands of letters cost no more than [a-z].
 *
 * Not supported, and refused with a sentence: back-references, \K \G \X \y \Y, conditionals, absence operators, look
 * behind of varying length, and folding of one character to several (ss and sharp s) in sequences of letters. */
#ifndef PIO_TEXT_REGEX_H
#define PIO_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/utf8.h"

typedef struct pio_regex pio_regex;

/* Part of a text, in bytes: [begin, end). */
typedef struct pio_span {
    uint32_t begin, end;
} pio_span;

typedef struct pio_spans {
    pio_span *items;
    int32_t n_items, items_capacity;
} pio_spans;

/* What searching writes to; begin with {0}, free with pio_regex_scratch_free; one thread. */
typedef struct pio_regex_scratch {
    uint8_t *kinds; /* one a character */
    size_t kinds_capacity;
    void *match, *context, *stack; /* PCRE2's */
} pio_regex_scratch;

/* Compiles a pattern of well-formed UTF-8; afterwards it may be used by several threads. PIO_CORRUPT: not a regular
 * expression; PIO_UNSUPPORTED: one of the above, or more than 255 kinds of characters. */
pio_status pio_regex_compile(const char *pattern, size_t n_bytes, pio_regex **out, pio_error *error);

/* The same for a literal text (no character of it has a meaning; not empty). */
pio_status pio_regex_compile_literal(const char *literal, size_t n_bytes, pio_regex **out, pio_error *error);

/* The same for a pattern of this project's own, in which \p{!name} is a set of the pre-tokenizer steps. */
pio_status pio_regex_compile_step(const char *pattern, pio_regex **out, pio_error *error);

/* Accepts NULL. */
void pio_regex_free(pio_regex *regex);

/* Replaces `matches` by all matches in the text, from left to right; an empty match is left out where the match before
 * it ends. The text is well-formed UTF-8 of less than 2 GiB. PIO_LIMIT: the pattern tries too many ways to match. */
pio_status pio_regex_find_all(const pio_regex *regex, pio_regex_scratch *scratch, const char *text, size_t n_bytes,
                              pio_spans *matches, pio_error *error);

/* Appends the text to *out with every match replaced by `by`; `matches` is spoilt. Errors as above. */
pio_status pio_regex_replace(const pio_regex *regex, pio_regex_scratch *scratch, pio_spans *matches, const char *text,
                             size_t n_bytes, const pio_text *by, pio_text *out, pio_error *error);

void pio_regex_scratch_free(pio_regex_scratch *scratch);

#endif
