/* UTF-8 (Unicode 16.0, table 3-7: well-formed byte sequences): decoding, checking, and the gate through which all
 * output text leaves. Nothing here keeps state outside its arguments. */
#ifndef PIO_TEXT_UTF8_H
#define PIO_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define PIO_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, three bytes */

/* A growing string of bytes; begin with {0}, end with pio_text_free. Not NUL-terminated. */
typedef struct pio_text {
    char *bytes;
    size_t n_bytes, capacity;
} pio_text;

/* Frees the bytes and empties the text. */
void pio_text_free(pio_text *text);

/* Makes room for `more` bytes behind the n_bytes that are there; false: no memory, nothing changed. */
bool pio_text_reserve(pio_text *text, size_t more);

/* Appends; false: no memory, nothing changed. */
bool pio_text_append(pio_text *text, const char *bytes, size_t n_bytes);

/* The character that begins at `at` (at < end): its length, 1 to 4, and its code point; 0 when it is ill-formed or cut
 * off by the end. */
int pio_utf8_decode(const char *at, const char *end, uint32_t *code);

/* Where pio_utf8_decode gave 0: the length of the bytes that one U+FFFD stands for (the maximal subpart of an
 * ill-formed sequence), at least 1. *cut is true if more bytes after the end could still complete a character. */
int pio_utf8_bad_length(const char *at, const char *end, bool *cut);

/* Writes a code point (at most 0x10ffff) and returns its length. */
int pio_utf8_encode(uint32_t code, char out[4]);

/* The length of the longest well-formed prefix: n_bytes if all is well. */
size_t pio_utf8_valid_prefix(const char *bytes, size_t n_bytes);

/* Appends `bytes` to `out` with every ill-formed part turned into U+FFFD. False: no memory. */
bool pio_utf8_append_lossy(pio_text *out, const char *bytes, size_t n_bytes);

/* The gate: bytes go in as tokens bring them, whole characters come out. Begin with {0}; one thread. */
typedef struct pio_utf8_gate {
    char held[4]; /* the beginning of a character, not yet complete */
    int n_held;   /* 0..3 */
} pio_utf8_gate;

/* Appends to `out` the characters that the bytes complete; what is ill-formed becomes U+FFFD as soon as that is
 * certain. PIO_OUT_OF_MEMORY leaves gate and `out` as they were. */
pio_status pio_utf8_gate_push(pio_utf8_gate *gate, const char *bytes, size_t n_bytes, pio_text *out, pio_error *error);

/* The end of the text: half a character that is still held becomes one U+FFFD. The gate is empty again afterwards. */
pio_status pio_utf8_gate_finish(pio_utf8_gate *gate, pio_text *out, pio_error *error);

/* The length of a character by its first byte, in text that is known to be well-formed. */
static inline unsigned pio_utf8_length(unsigned char lead) {
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* The first byte of the character that ends before `at` (at > begin), in text that is known to be well-formed. */
static inline const char *pio_utf8_back(const char *begin, const char *at) {
    do at--;
    while (at > begin && (*at & 0xc0) == 0x80);
    return at;
}

/* The value of a hexadecimal digit, or -1. */
static inline int pio_hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* The character at *at in text that is known to be well-formed; *at moves behind it. */
static inline uint32_t pio_utf8_next(const char **at) {
    const unsigned char *p = (const unsigned char *)*at;
    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xe0) {
        *at += 2;
        return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    }
    if (p[0] < 0xf0) {
        *at += 3;
        return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    }
    *at += 4;
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

#endif
