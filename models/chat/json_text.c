#include "models/chat/json_text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

bool pio_json_escape(pio_text *out, const char *text, size_t n_bytes) {
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const size_t before = out->n_bytes;
    bool fits = true;
    for (size_t i = 0, run; i < n_bytes && fits; i += run) {
        for (run = 0; i + run < n_bytes; run++) {
            unsigned char c = (unsigned char)text[i + run];
            if (c < 0x20 || c == '"' || c == '\\') break;
        }
        fits = pio_text_append(out, text + i, run);
        if (i + run == n_bytes || !fits) continue;
        char escape[8] = {'\\'};
        const char c = text[i + run++], *known = c ? strchr(plain, c) : NULL;
        if (known)
            escape[1] = letters[known - plain];
        else
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
        fits = pio_text_append(out, escape, strlen(escape));
    }
    if (!fits) out->n_bytes = before;
    return fits;
}

bool pio_json_key(pio_text *out, const char *text, size_t n_bytes) {
    bool fits = pio_text_append(out, "\"", 1);
    while (n_bytes && fits) {
        size_t n = strnlen(text, n_bytes);
        fits = pio_json_escape(out, text, n);
        if (fits && n < n_bytes) fits = pio_text_append(out, PIO_UTF8_REPLACEMENT, 3);
        n += n < n_bytes;
        text += n, n_bytes -= n;
    }
    return fits && pio_text_append(out, "\"", 1);
}

/* Whether brackets lie no deeper than readers go, with room for what they will be put into. */
static bool is_shallow(const char *text, size_t n_bytes) {
    enum { MOST_DEPTH = 2000 };
    int depth = 0;
    for (size_t i = 0; i < n_bytes && depth <= MOST_DEPTH; i++)
        depth += (text[i] == '[' || text[i] == '{') - (text[i] == ']' || text[i] == '}');
    return depth <= MOST_DEPTH;
}

bool pio_json_is_value(const char *text, size_t n_bytes) {
    bool may_be = n_bytes && is_shallow(text, n_bytes);
    json_t *value = may_be ? json_loadb(text, n_bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    json_decref(value);
    return value != NULL;
}

bool pio_json_is_number(const char *text, size_t n_bytes) {
    const bool begins = n_bytes && (*text == '-' || (*text >= '0' && *text <= '9'));
    return begins && pio_json_is_value(text, n_bytes) && !pio_json_blank(text[n_bytes - 1]);
}

/* ---- strings ---- */

enum { PLAIN, ESCAPE = PIO_JSON_ESCAPE, HEX1, HEX2, HEX3, HEX4 };

static bool put_code(uint32_t code, pio_text *out) {
    char bytes[4];
    return pio_text_append(out, bytes, (size_t)pio_utf8_encode(code, bytes));
}

static bool put_half(pio_json_unescape *u, pio_text *out) {
    bool waits = u->high != 0;
    u->high = 0;
    return !waits || pio_text_append(out, PIO_UTF8_REPLACEMENT, 3);
}

static bool put_unit(pio_json_unescape *u, pio_text *out) {
    const uint32_t code = u->code, high = u->high;
    if (high && code >= 0xdc00 && code < 0xe000) {
        u->high = 0;
        return put_code(0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00), out);
    }
    if (!put_half(u, out)) return false;
    if (code >= 0xd800 && code < 0xdc00) {
        u->high = code;
        return true;
    }
    return put_code(code >= 0xdc00 && code < 0xe000 ? 0xfffd : code, out);
}

/* A character that ends a \u too early. */
static bool put_cut(pio_json_unescape *u, pio_text *out) {
    char digits[8];
    int n = u->state - HEX1;
    snprintf(digits, sizeof digits, "%0*x", n, (unsigned)u->code);
    u->state = PLAIN;
    return put_half(u, out) && pio_text_append(out, "\\u", 2) && pio_text_append(out, digits, (size_t)n);
}

static bool put_escape(pio_json_unescape *u, char c, pio_text *out) {
    static const char letters[] = "\"\\/bfnrt'", plain[] = "\"\\/\b\f\n\r\t'";
    const char *known = c ? strchr(letters, c) : NULL;
    u->state = PLAIN;
    if (c == 'u') {
        u->state = HEX1;
        u->code = 0;
        return true;
    }
    if (!put_half(u, out)) return false;
    return known ? pio_text_append(out, &plain[known - letters], 1)
                 : pio_text_append(out, "\\", 1) && pio_text_append(out, &c, 1);
}

bool pio_json_unescape_byte(pio_json_unescape *u, char c, pio_text *out) {
    if (u->state >= HEX1) {
        int digit = pio_hex_digit(c);
        if (digit >= 0) {
            u->code = u->code << 4 | (uint32_t)digit;
            if (u->state++ < HEX4) return true;
            u->state = PLAIN;
            return put_unit(u, out);
        }
        if (!put_cut(u, out)) return false;
    }
    if (u->state == ESCAPE) return put_escape(u, c, out);
    if (c == '\\') {
        u->state = ESCAPE;
        return true;
    }
    return put_half(u, out) && pio_text_append(out, &c, 1);
}

bool pio_json_unescape_end(pio_json_unescape *u, pio_text *out) {
    if (u->state >= HEX1) return put_cut(u, out);
    bool backslash = u->state == ESCAPE;
    u->state = PLAIN;
    return put_half(u, out) && (!backslash || pio_text_append(out, "\\", 1));
}
