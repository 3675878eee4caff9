/* Building the one sentence that a failure carries. */
#ifndef PIO_BASE_STATUS_H
#define PIO_BASE_STATUS_H

#include "base/compiler.h"
#include "inference_pio/status.h"

/* Fills `error` (may be NULL) and returns `status`, so that a failure is one line: return pio_fail(...). */
pio_status pio_fail(pio_error *error, pio_status status, const char *format, ...) PIO_PRINTF(3, 4);

/* Puts "context: " before a sentence that a lower layer wrote, and returns its status. */
pio_status pio_fail_prefix(pio_error *error, const char *format, ...) PIO_PRINTF(2, 3);

/* Out of memory for `what`, with the number of bytes asked for. */
pio_status pio_fail_memory(pio_error *error, const char *what, unsigned long long bytes);

#endif
