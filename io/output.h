/* A file that appears whole or not at all: written under no name or a temporary one in the target's directory, made
 * durable, then renamed over the target. Two processes that write the same target both succeed, the later one wins, and
 * readers see one of the two whole. Of a symbolic link, the file that it leads to is replaced. */
#ifndef PIO_IO_OUTPUT_H
#define PIO_IO_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pio_output pio_output;

typedef enum pio_output_kind {
    PIO_OUTPUT_ANY,  /* a nameless file where the file system has them (not even SIGKILL leaves one behind), else named
                      */
    PIO_OUTPUT_NAMED /* ".pio-<16 hexadecimal digits>.tmp" */
} pio_output_kind;

/* Reserves `bytes` (where the file system can), so that a full disk is known before the work is done, not after.
 * PIO_NOT_FOUND where the directory does not exist, PIO_IO where the system refuses: the sentence says what it needs.
 */
pio_status pio_output_create(const char *path, uint64_t bytes, pio_output_kind kind, pio_output **out,
                             pio_error *error);

/* Writes at a place within the reserved bytes. Several threads may write to different places at once. */
pio_status pio_output_write(pio_output *output, uint64_t offset, const void *data, size_t n_bytes, pio_error *error);

/* Makes the file durable and gives it its name; after a failure only pio_output_destroy is left to call. */
pio_status pio_output_commit(pio_output *output, pio_error *error);

/* Accepts NULL. What was not committed leaves nothing behind. */
void pio_output_destroy(pio_output *output);

/* mkdir -p, for the user alone (mode 0700). */
pio_status pio_output_make_directories(const char *directory, pio_error *error);

#endif
