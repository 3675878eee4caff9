/* The normalizers of a tokenizer file: steps from text to text. */
#ifndef PIO_TEXT_NORMALIZER_H
#define PIO_TEXT_NORMALIZER_H

#include "text/normal_form.h"
#include "text/regex.h"
#include "text/unicode.h"

typedef enum pio_normalizer_kind {
    PIO_NORMALIZE_FORM,    /* form */
    PIO_NORMALIZE_LOWER,   /* each character to lower case, without regard to its neighbours */
    PIO_NORMALIZE_STRIP,   /* white space at the ends (left, right) */
    PIO_NORMALIZE_DROP,    /* characters of `set` */
    PIO_NORMALIZE_REPLACE, /* what `regex` matches by `text` */
    PIO_NORMALIZE_PREPEND, /* `text`, unless there is nothing to put it before */
    PIO_NORMALIZE_BYTES,   /* each byte to its character in GPT-2's alphabet */
    PIO_NORMALIZE_NMT,     /* what sentencepiece's "nmt" rules do: controls out, odd spaces to ' ' */
} pio_normalizer_kind;

typedef struct pio_normalizer_step {
    pio_normalizer_kind kind;
    pio_normal_form *form;
    pio_regex *regex;
    pio_char_set set; /* DROP, and the white space of STRIP */
    pio_text text;
    bool left, right;
} pio_normalizer_step;

typedef struct pio_normalizer {
    pio_normalizer_step *steps;
    int32_t n_steps, steps_capacity;
} pio_normalizer;

void pio_normalizer_free(pio_normalizer *normalizer);

/* What running writes to; begin with {0}; one thread. */
typedef struct pio_normalizer_scratch {
    pio_text buffers[2];
    pio_spans matches;
    pio_regex_scratch *regex; /* the caller's */
} pio_normalizer_scratch;

void pio_normalizer_scratch_free(pio_normalizer_scratch *scratch);

/* Runs all steps over *text; afterwards *text and *n_bytes are the result: the text itself where nothing changed, else
 * in the scratch until its next use. */
pio_status pio_normalizer_run(const pio_normalizer *normalizer, pio_normalizer_scratch *scratch, const char **text,
                              size_t *n_bytes, pio_error *error);

#endif
