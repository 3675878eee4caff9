/* The pre-tokenizers of a tokenizer file: steps that cut a text into the pieces within which tokens are merged. */
#ifndef PIO_TEXT_SPLITTER_H
#define PIO_TEXT_SPLITTER_H

#include "text/regex.h"
#include "text/utf8.h"

typedef enum pio_split_behavior { /* what becomes of a match */
                                  PIO_SPLIT_REMOVED,
                                  PIO_SPLIT_ISOLATED,
                                  PIO_SPLIT_MERGED_WITH_PREVIOUS,
                                  PIO_SPLIT_MERGED_WITH_NEXT,
                                  PIO_SPLIT_CONTIGUOUS,
} pio_split_behavior;

typedef enum pio_splitter_kind {
    PIO_SPLITTER_REGEX,  /* cuts at what `regex` matches or, with `invert`, at what it does not */
    PIO_SPLITTER_PREFIX, /* puts `text` before each piece that does not begin with it; `first_only`: the first one */
    PIO_SPLITTER_SPACES, /* replaces each ' ' by `text` */
    PIO_SPLITTER_BYTES,  /* each byte to its character in GPT-2's alphabet */
    PIO_SPLITTER_LENGTH, /* cuts into pieces of n_characters */
} pio_splitter_kind;

typedef struct pio_splitter_step {
    pio_splitter_kind kind;
    pio_regex *regex;
    pio_split_behavior behavior;
    bool invert, first_only;
    int32_t n_characters;
    pio_text text;
} pio_splitter_step;

typedef struct pio_splitter {
    pio_splitter_step *steps;
    int32_t n_steps, steps_capacity;
} pio_splitter;

void pio_splitter_free(pio_splitter *splitter);

/* What running writes to; begin with {0}; one thread. */
typedef struct pio_splitter_scratch {
    pio_text buffers[2];
    pio_spans pieces, next, matches, parts;
    pio_regex_scratch *regex; /* the caller's */
} pio_splitter_scratch;

void pio_splitter_scratch_free(pio_splitter_scratch *scratch);

/* Cuts a text: afterwards scratch->pieces are spans of *text, none of them empty; *text stays or lies in the scratch
 * until its next use. `at_start`: the text begins where the whole input begins. */
pio_status pio_splitter_run(const pio_splitter *splitter, pio_splitter_scratch *scratch, const char **text,
                            size_t n_bytes, bool at_start, pio_error *error);

#endif
