/* Sizes for people. */
#ifndef PIO_BASE_BYTES_H
#define PIO_BASE_BYTES_H

#include <stdint.h>

enum { PIO_BYTES_TEXT = 24 };

/* "8.05 GB", "6.42 MB", "512 kB", "17 bytes": powers of 1000, three digits. Returns `text`. */
const char *pio_bytes_text(uint64_t bytes, char text[PIO_BYTES_TEXT]);

#endif
