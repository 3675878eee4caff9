#include "base/bytes.h"

#include <stdio.h>

#include "base/compiler.h"

const char *pio_bytes_text(uint64_t bytes, char text[PIO_BYTES_TEXT]) {
    static const struct {
        double bytes;
        const char *name;
    } units[] = {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "bytes"}};
    size_t i = 0;
    /* what three digits round up to 1000 has the larger unit */
    while (i + 1 < PIO_COUNT(units) && (double)bytes < 0.9995 * units[i].bytes) i++;
    const double value = (double)bytes / units[i].bytes;
    snprintf(text, PIO_BYTES_TEXT, value >= 99.95 ? "%.0f %s" : "%.3g %s", value, units[i].name);
    return text;
}
