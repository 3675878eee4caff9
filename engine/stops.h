/* Stop strings: text is held back while it may be the beginning of one. */
#ifndef PIO_ENGINE_STOPS_H
#define PIO_ENGINE_STOPS_H

#include <stdbool.h>
#include <stddef.h>

/* How many of text's first `bytes` may be given out: all that cannot be part of a stop string any more. *found: a stop
 * string begins there. */
size_t pio_stops_safe(const char *text, size_t bytes, const char *const *stops, int n_stops, bool *found);

#endif
