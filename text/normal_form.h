/* Unicode normalization forms NFC, NFD, NFKC and NFKD (Unicode Standard Annex 15) with the data of Unicode 9.0, which
 * is what the reference tokenizer uses. */
#ifndef PIO_TEXT_NORMAL_FORM_H
#define PIO_TEXT_NORMAL_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "text/utf8.h"

typedef enum pio_normal_form_kind { PIO_NFC, PIO_NFD, PIO_NFKC, PIO_NFKD } pio_normal_form_kind;

typedef struct pio_normal_form pio_normal_form;

/* Unpacks the tables of one form; read only afterwards. PIO_OUT_OF_MEMORY. */
pio_status pio_normal_form_create(pio_normal_form_kind kind, pio_normal_form **out, pio_error *error);

/* Accepts NULL. */
void pio_normal_form_destroy(pio_normal_form *form);

/* Puts the normal form of a well-formed text into *out (emptied first) and sets *changed; where nothing changes, *out
 * stays empty and the text itself is the answer. */
pio_status pio_normal_form_apply(const pio_normal_form *form, const char *text, size_t n_bytes, pio_text *out,
                                 bool *changed, pio_error *error);

#endif
