#include "engine/stops.h"

#include <string.h>

/* Whether `stop` agrees with the text from `at` on, as far as the text goes. */
static bool may_begin(const char *text, size_t bytes, size_t at, const char *stop, bool *whole) {
    size_t length = strlen(stop), n = bytes - at < length ? bytes - at : length;
    *whole = n == length;
    return length && !memcmp(text + at, stop, n);
}

size_t pio_stops_safe(const char *text, size_t bytes, const char *const *stops, int n_stops, bool *found) {
    size_t safe = bytes;
    *found = false;
    for (size_t at = 0; at < bytes; at++) {
        for (int i = 0; i < n_stops; i++) {
            bool whole;
            if (!may_begin(text, bytes, at, stops[i], &whole)) continue;
            if (whole) {
                *found = true;
                return at;
            }
            if (at < safe) safe = at;
        }
    }
    return safe;
}
