/* A streaming reader of JSON (RFC 8259) for large machine-written files: no tree, no allocation. Functions return false
 * at the first error and leave its reason in the cursor; `at` then stands where it was found. Strings are checked to be
 * UTF-8. */
#ifndef PIO_IO_JSON_SCAN_H
#define PIO_IO_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pio_json_cursor {
    const char *begin, *at, *end;
    const char *reason; /* "a comma or '}' is missing"; NULL while all is well */
} pio_json_cursor;

void pio_json_scan_begin(pio_json_cursor *cursor, const char *text, size_t n_bytes);

/* Skips white space; the next character, or 0 at the end. */
char pio_json_scan_peek(pio_json_cursor *cursor);

/* Skips white space and takes exactly this character; `reason` is for when another stands there. */
bool pio_json_scan_take(pio_json_cursor *cursor, char expected, const char *reason);

/* For `for (bool first = true; pio_json_scan_more(&c, ']', &first);)` after the opening bracket: takes the comma before
 * each item but the first; false after taking `close`, and on an error (look at the reason). */
bool pio_json_scan_more(pio_json_cursor *cursor, char close, bool *first);

/* Takes a string, decodes it to *pool, puts a NUL behind it and moves *pool past that. The decoded form and its NUL are
 * shorter than the string in its quotes, so a pool of the size of the text holds all its strings. *out is the string;
 * it may contain NUL only where the text has \u0000 (compare *n_bytes). */
bool pio_json_scan_string(pio_json_cursor *cursor, char **pool, const char **out, size_t *n_bytes);

/* Takes a string, colon included, as the key of a member. */
bool pio_json_scan_key(pio_json_cursor *cursor, char **pool, const char **out, size_t *n_bytes);

/* Takes a whole number in 0..2^64-1; fractions, exponents and signs are refused. */
bool pio_json_scan_u64(pio_json_cursor *cursor, uint64_t *out);

/* Takes any value and forgets it; at most 64 levels deep. */
bool pio_json_scan_skip(pio_json_cursor *cursor);

#endif
