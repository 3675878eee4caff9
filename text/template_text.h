/* Work on text that filters and methods share. All results are in the run's memory. */
#ifndef PIO_TEXT_TEMPLATE_TEXT_H
#define PIO_TEXT_TEMPLATE_TEXT_H

#include "text/template_run.h"

typedef enum pio_text_case {
    PIO_CASE_UPPER,
    PIO_CASE_LOWER,
    PIO_CASE_CAPITALIZE,
    PIO_CASE_TITLE,
    PIO_CASE_SWAP
} pio_text_case;

bool pio_run_text_case(pio_template_run *run, const pio_tv *text, pio_text_case kind, pio_tv *out);

/* Removes white space, or the characters of `chars` unless that is MISSING or NONE, from the sides. */
bool pio_run_strip(pio_template_run *run, const pio_tv *text, const pio_tv *chars, bool left, bool right, pio_tv *out);

/* count < 0: all. */
bool pio_run_replace(pio_template_run *run, const pio_tv *text, const pio_tv *old, const pio_tv *new_text,
                     int64_t count, pio_tv *out);

/* Lines without their ends (with them if `keep`), as str.splitlines; a list. */
bool pio_run_split_lines(pio_template_run *run, const pio_tv *text, bool keep, pio_tv *out);

/* The str() of all items of `items`, with `separator` between them; items that are no strings fail if `strict`. */
bool pio_run_join(pio_template_run *run, const pio_tv *items, const pio_tv *separator, bool strict, pio_tv *out);

/* Pads to `width` characters. align: '<', '>' or '^' (str.center). */
bool pio_run_pad(pio_template_run *run, const pio_tv *text, int64_t width, char align, const char *fill, size_t n_fill,
                 pio_tv *out);

/* A string argument, or a failure that names `what`. */
bool pio_run_need_text(pio_template_run *run, const pio_tv *v, const char *what);
/* A whole number, `otherwise` if it is MISSING. */
bool pio_run_need_whole(pio_template_run *run, const pio_tv *v, const char *what, int64_t otherwise, int64_t *out);
static inline bool pio_run_given(const pio_tv *v) {
    return v->kind != PIO_TV_MISSING && v->kind != PIO_TV_NONE;
}

#endif
