/* Pieces of JSON text: what writes arguments while an answer is still coming. */
#ifndef PIO_MODELS_CHAT_JSON_TEXT_H
#define PIO_MODELS_CHAT_JSON_TEXT_H

#include "text/utf8.h"

/* Appends the inside of a JSON string. The text is well-formed UTF-8; false: no memory. */
bool pio_json_escape(pio_text *out, const char *text, size_t n_bytes);

/* The same in quotes, for a key: NUL, which readers refuse in keys, becomes U+FFFD. */
bool pio_json_key(pio_text *out, const char *text, size_t n_bytes);

/* Whether the text is one JSON value and nothing else, white space around it aside. */
bool pio_json_is_value(const char *text, size_t n_bytes);

/* Whether it is a JSON number that a double holds, and if whole, 64 bits. */
bool pio_json_is_number(const char *text, size_t n_bytes);

/* White space as JSON has it. */
static inline bool pio_json_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The text of `n_bytes` without the white space around it. */
static inline const char *pio_json_trim(const char *text, size_t *n_bytes) {
    while (*n_bytes && pio_json_blank(text[*n_bytes - 1])) --*n_bytes;
    while (*n_bytes && pio_json_blank(*text)) text++, --*n_bytes;
    return text;
}

/* ---- strings, as JSON writes them, byte by byte ---- */

/* Begin with {0}. Wrong escapes stand for themselves, halves of surrogate pairs become U+FFFD. */
enum { PIO_JSON_ESCAPE = 1 };
typedef struct pio_json_unescape {
    int state;
    uint32_t code, high; /* of \uXXXX; the first half of a pair */
} pio_json_unescape;

/* Takes the next byte between the quotes and appends what it completes. */
bool pio_json_unescape_byte(pio_json_unescape *u, char c, pio_text *out);

/* Whether a backslash came before, so that a quote does not end the string. */
static inline bool pio_json_unescape_escaped(const pio_json_unescape *u) {
    return u->state == PIO_JSON_ESCAPE;
}

/* The string has ended: what was waited with comes out as it stands. */
bool pio_json_unescape_end(pio_json_unescape *u, pio_text *out);

#endif
