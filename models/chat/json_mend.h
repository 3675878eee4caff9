/* Mending JSON while it comes: a model's JSON goes in byte by byte, well-formed JSON comes out, and what came out is
 * never taken back. Mended are commas too many, line breaks and wrong escapes in strings, strings in single quotes,
 * Python's True, False and None, words without quotes, numbers that are none (they become strings), and what is missing
 * at the end. Separators are written as ", " and ": ". */
#ifndef PIO_MODELS_CHAT_JSON_MEND_H
#define PIO_MODELS_CHAT_JSON_MEND_H

#include "models/chat/json_text.h"

enum { PIO_MEND_DEPTH = 64 };

typedef enum pio_mend {
    PIO_MEND_MORE,   /* taken; the value goes on */
    PIO_MEND_DONE,   /* taken; the value is whole */
    PIO_MEND_BEFORE, /* not taken: the value was whole before this byte */
    PIO_MEND_WRONG,  /* not taken: cannot stand here; finish makes the value whole */
    PIO_MEND_MEMORY,
} pio_mend;

typedef struct pio_json_mender {
    int state;
    char quote;      /* of the open string */
    bool key, comma; /* the open string or word is a key; a comma waits for what follows it */
    int depth;
    uint64_t objects; /* a bit a level: 1 an object, 0 an array */
    pio_json_unescape escapes;
    pio_text word, piece; /* a word so far; scratch */
} pio_json_mender;

/* Begin with {0}. Appends to *out what the byte made certain. Nothing may come after DONE, BEFORE and WRONG. */
pio_mend pio_json_mend_byte(pio_json_mender *m, char c, pio_text *out);

/* Whether a string is open. */
bool pio_json_mend_in_string(const pio_json_mender *m);

/* Appends what is missing; where nothing came at all, null. False: no memory. */
bool pio_json_mend_finish(pio_json_mender *m, pio_text *out);

void pio_json_mend_free(pio_json_mender *m);

/* Appends the text as a value, mended; *whole: it was one value and nothing more. False: no memory. */
bool pio_json_mend_text(const char *text, size_t n_bytes, pio_text *out, bool *whole);

#endif
