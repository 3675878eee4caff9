#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[PIO_STATUS_COUNT] = {
    [PIO_OK] = "ok",
    [PIO_INVALID_ARGUMENT] = "invalid argument",
    [PIO_NOT_FOUND] = "not found",
    [PIO_CORRUPT] = "corrupt",
    [PIO_UNSUPPORTED] = "unsupported",
    [PIO_OUT_OF_MEMORY] = "out of memory",
    [PIO_IO] = "input/output error",
    [PIO_LIMIT] = "limit reached",
    [PIO_CANCELLED] = "cancelled",
    [PIO_DEVICE_LOST] = "device lost",
    [PIO_INTERNAL] = "internal error",
};

const char *pio_status_name(pio_status status) {
    return (unsigned)status < PIO_STATUS_COUNT ? names[status] : "unknown status";
}

pio_status pio_fail(pio_error *error, pio_status status, const char *format, ...) {
    if (!error) return status;
    va_list args;
    va_start(args, format);
    error->status = status;
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return status;
}

pio_status pio_fail_prefix(pio_error *error, const char *format, ...) {
    if (!error) return PIO_INTERNAL;
    char rest[sizeof error->text];
    memcpy(rest, error->text, sizeof rest);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    if (n < 0) n = 0;
    size_t used = PIO_MIN((size_t)n, sizeof error->text - 1), room = sizeof error->text - used;
    snprintf(error->text + used, room, ": %.*s", (int)(room > 3 ? room - 3 : 0), rest);
    return error->status;
}

pio_status pio_fail_memory(pio_error *error, const char *what, unsigned long long bytes) {
    return pio_fail(error, PIO_OUT_OF_MEMORY, "not enough memory for %s: %llu bytes asked for", what, bytes);
}
