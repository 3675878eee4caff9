/* What tokens mean: the escapes of strings, and how errors name a token. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "text/template_lex.h"
#include "text/utf8.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static pio_status bad_escape(const pio_template_lexer *l, const pio_template_token *token, const char *at, int n,
                             pio_error *error) {
    return pio_fail(error, PIO_CORRUPT, "template '%s', line %d: '%.*s' in a string is not an escape of a character",
                    l->name, (int)token->line, n, at);
}

/* Exactly n hexadecimal digits. */
static bool read_hex(const char *at, const char *end, int n, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < n; i++) {
        int digit = at + i < end ? hex_digit(at[i]) : -1;
        if (digit < 0) return false;
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

/* The reference encodes what is not ASCII as an escape before it decodes escapes, so a backslash before such a
 * character leaves the backslash and the escape's text. */
static int odd_escape(uint32_t code, char *out) {
    return sprintf(out, code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)code);
}

pio_status pio_template_unescape(const pio_template_lexer *l, const pio_template_token *token, char *out, size_t *n,
                                 pio_error *error) {
    static const char plain[] = "n\nt\tr\rb\bf\fa\av\v\\\\''\"\"";
    const char *at = token->text + 1, *end = token->text + token->n - 1;
    char *to = out;
    while (at < end) {
        if (*at != '\\' || at + 1 >= end) {
            *to++ = *at++;
            continue;
        }
        const char *begin = at++;
        const char *match = NULL;
        for (const char *p = plain; *p && !match; p += 2)
            if (*p == *at) match = p;
        uint32_t code;
        if (match) {
            *to++ = match[1];
            at++;
        } else if (*at == '\n') {
            at++;
        } else if (*at >= '0' && *at <= '7') {
            for (code = 0; at < end && at < begin + 4 && *at >= '0' && *at <= '7'; at++)
                code = code << 3 | (uint32_t)(*at - '0');
            to += pio_utf8_encode(code, to);
        } else if (*at == 'x' || *at == 'u' || *at == 'U') {
            int digits = *at == 'x' ? 2 : *at == 'u' ? 4 : 8;
            int shown = (int)PIO_MIN(end - begin, (ptrdiff_t)(digits + 2));
            if (!read_hex(at + 1, end, digits, &code) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
                return bad_escape(l, token, begin, shown, error);
            to += pio_utf8_encode(code, to);
            at += 1 + digits;
        } else if (*at == 'N') {
            return bad_escape(l, token, begin, 2, error);
        } else if ((unsigned char)*at >= 0x80) {
            to += odd_escape(pio_utf8_next(&at), to);
        } else {
            *to++ = '\\';
            *to++ = *at++;
        }
    }
    *n = (size_t)(to - out);
    return PIO_OK;
}

const char *pio_template_describe(const pio_template_token *token, char room[96]) {
    switch (token->kind) {
    case PIO_TOKEN_END:
        return "the end of the template";
    case PIO_TOKEN_DATA:
        return "text";
    case PIO_TOKEN_BLOCK_BEGIN:
        return "'{%'";
    case PIO_TOKEN_BLOCK_END:
        return "'%}'";
    case PIO_TOKEN_PRINT_BEGIN:
        return "'{{'";
    case PIO_TOKEN_PRINT_END:
        return "'}}'";
    default: {
        size_t n = PIO_MIN(token->n, (size_t)80);
        while (n > 0 && n < token->n && (token->text[n] & 0xc0) == 0x80) n--;
        snprintf(room, 96, token->kind == PIO_TOKEN_STRING ? "the string %.*s" : "'%.*s'", (int)n, token->text);
        return room;
    }
    }
}
