/* Bytes that are kept between starts and that only who wrote them understands: one file a key, whose header tells
 * whether it is whole. Nothing here is needed for a right answer: what cannot be read is made again.
 *
 * Two processes that write one file at once both succeed, and a full disk leaves nothing behind (io/output.h). */
#ifndef PIO_IO_KEPT_H
#define PIO_IO_KEPT_H

#include <stddef.h>

#include "base/status.h"

enum { PIO_KEPT_KEY_BYTES = 96 };

/* Reads "directory/<key>.kept". PIO_NOT_FOUND where there is no such file, or one that is cut, changed, of another key
 * or longer than `limit` bytes. The caller frees *bytes. */
pio_status pio_kept_read(const char *directory, const char *key, size_t limit, void **bytes, size_t *n_bytes,
                         pio_error *error);

/* Writes it, making the directory (mode 0700) where it is missing. */
pio_status pio_kept_write(const char *directory, const char *key, const void *bytes, size_t n_bytes, pio_error *error);

#endif
