/* The parser of text/regex.c. */
#ifndef PIO_TEXT_REGEX_PARSE_H
#define PIO_TEXT_REGEX_PARSE_H

#include "base/status.h"
#include "text/unicode.h"

/* A pattern as PCRE2 shall have it, but for its sets: items below PIO_REGEX_SET are characters of PCRE2's syntax, the
 * others, less PIO_REGEX_SET, indices of sets. */
enum { PIO_REGEX_SET = 256, PIO_REGEX_MAX_SETS = 512, PIO_REGEX_MAX_ITEMS = 1 << 17 };

typedef struct pio_regex_item {
    int32_t value;
} pio_regex_item;

typedef struct pio_regex_program {
    pio_regex_item *items;
    int32_t n_items, items_capacity;
    pio_char_set *sets;
    int32_t n_sets, sets_capacity;
} pio_regex_program;

typedef struct pio_regex_parser {
    const char *begin, *at, *end;
    pio_regex_program *program;
    bool ignore_case, dot_all, extended;
    bool step_names;   /* \p{!name} may be used */
    uint32_t previous; /* the literal character before, in lower case where case is ignored, else 0 */
    int depth;
    pio_error *error;
} pio_regex_parser;

pio_status pio_regex_parse(pio_regex_parser *parser);

/* text/regex_class.c. What follows the "[", up to and with the "]", folded for case where that is asked for. */
pio_status pio_regex_parse_class(pio_regex_parser *parser, pio_char_set *out);

/* After a backslash: a class (\s, \p{..}) into *out and *is_class true, or one character into *code. */
pio_status pio_regex_parse_escape(pio_regex_parser *parser, bool in_class, pio_char_set *out, bool *is_class,
                                  uint32_t *code);

/* "the pattern is wrong at character N: reason" */
pio_status pio_regex_fail(pio_regex_parser *parser, pio_status status, const char *reason);
pio_status pio_regex_fail_memory(pio_regex_parser *parser);

void pio_regex_program_free(pio_regex_program *program);

#endif
