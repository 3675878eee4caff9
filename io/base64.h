/* Base64 (RFC 4648, section 4) and the data URLs that carry it (RFC 2397). */
#ifndef PIO_IO_BASE64_H
#define PIO_IO_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Decodes plain base64, or what follows "data:<type>;base64,"; the caller frees *bytes. White space is passed over; the
 * '=' at the end may be missing. PIO_CORRUPT with the place of the first wrong character, PIO_UNSUPPORTED for a data
 * URL that is not base64, PIO_OUT_OF_MEMORY. `name` stands for the text in errors. */
pio_status pio_base64_decode(const char *name, const char *text, size_t n_chars, uint8_t **bytes, size_t *n_bytes,
                             pio_error *error);

#endif
