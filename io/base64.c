#include "io/base64.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PAD = -1, SPACE = -2, WRONG = -3 };

/* What each character means: its six bits, or one of the above. */
static void fill_meanings(int8_t *meanings) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    memset(meanings, WRONG, 256);
    for (int i = 0; i < 64; i++) meanings[(uint8_t)alphabet[i]] = (int8_t)i;
    meanings[' '] = meanings['\t'] = meanings['\r'] = meanings['\n'] = SPACE;
    meanings['='] = PAD;
}

/* Finds where the base64 begins: behind the comma of a data URL, else at 0. */
static pio_status find_payload(const char *name, const char *text, size_t n_chars, size_t *start, pio_error *error) {
    static const char scheme[] = "data:", mark[] = ";base64";
    const size_t n_scheme = sizeof scheme - 1, n_mark = sizeof mark - 1;
    *start = 0;
    if (n_chars < n_scheme || strncasecmp(text, scheme, n_scheme) != 0) return PIO_OK;
    const char *comma = memchr(text, ',', n_chars);
    if (!comma) return pio_fail(error, PIO_CORRUPT, "'%s': the data URL has no comma and so no data", name);
    const size_t n_head = (size_t)(comma - text);
    if (n_head < n_scheme + n_mark || strncasecmp(comma - n_mark, mark, n_mark) != 0)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': the data URL is not in base64: write data:<type>;base64,<data>",
                        name);
    *start = n_head + 1;
    return PIO_OK;
}

pio_status pio_base64_decode(const char *name, const char *text, size_t n_chars, uint8_t **bytes, size_t *n_bytes,
                             pio_error *error) {
    *bytes = NULL;
    *n_bytes = 0;
    size_t at;
    pio_status status = find_payload(name, text, n_chars, &at, error);
    if (status) return status;
    const size_t room = (n_chars - at) / 4 * 3 + 3;
    uint8_t *out = malloc(room);
    if (!out) return pio_fail_memory(error, name, room);

    int8_t meanings[256];
    fill_meanings(meanings);
    uint32_t bits = 0;
    size_t n = 0, n_digits = 0, n_pads = 0;
    for (; at < n_chars; at++) {
        const int digit = meanings[(uint8_t)text[at]];
        if (digit == SPACE) continue;
        if (digit == PAD && n_digits % 4 >= 2 && ++n_pads <= 4 - n_digits % 4) continue;
        if (digit < 0 || n_pads) {
            status = pio_fail(error, PIO_CORRUPT, "'%s': byte %zu is not base64: encode it again", name, at);
            goto fail;
        }
        bits = bits << 6 | (uint32_t)digit;
        if (++n_digits % 4) continue;
        for (int shift = 16; shift >= 0; shift -= 8) out[n++] = (uint8_t)(bits >> shift);
    }
    const size_t rest = n_digits % 4;
    if (rest == 1 || (n_pads && n_pads + rest != 4)) {
        status = pio_fail(error, PIO_CORRUPT, "'%s': the base64 is truncated after %zu characters", name, n_chars);
        goto fail;
    }
    for (size_t i = 0; i + 1 < rest; i++) out[n++] = (uint8_t)(bits >> (6 * rest - 8 * (i + 1)));
    *bytes = out;
    *n_bytes = n;
    return PIO_OK;
fail:
    free(out);
    return status;
}
