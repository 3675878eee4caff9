#include "io/json_scan.h"

#include <string.h>

enum { MAX_DEPTH = 64 };

void pio_json_scan_begin(pio_json_cursor *cursor, const char *text, size_t n_bytes) {
    if (!n_bytes) text = ""; /* an empty file has no address */
    *cursor = (pio_json_cursor){.begin = text, .at = text, .end = text + n_bytes};
}

static bool fail(pio_json_cursor *c, const char *reason) {
    if (!c->reason) c->reason = reason;
    return false;
}

char pio_json_scan_peek(pio_json_cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r')) c->at++;
    return c->at < c->end ? *c->at : 0;
}

bool pio_json_scan_take(pio_json_cursor *c, char expected, const char *reason) {
    if (pio_json_scan_peek(c) != expected || c->at == c->end) return fail(c, reason);
    c->at++;
    return true;
}

bool pio_json_scan_more(pio_json_cursor *c, char close, bool *first) {
    if (c->reason) return false;
    char next = pio_json_scan_peek(c);
    if (next == close) {
        c->at++;
        return false;
    }
    if (*first) {
        *first = false;
        return true;
    }
    return pio_json_scan_take(c, ',', close == '}' ? "a comma or '}' is missing" : "a comma or ']' is missing");
}

static bool hex4(pio_json_cursor *c, uint32_t *out) {
    if (c->end - c->at < 4) return fail(c, "a \\u escape is cut off");
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char digit = c->at[i];
        if (digit >= '0' && digit <= '9')
            value = value * 16 + (uint32_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = value * 16 + (uint32_t)(digit - 'a' + 10);
        else if (digit >= 'A' && digit <= 'F')
            value = value * 16 + (uint32_t)(digit - 'A' + 10);
        else
            return fail(c, "a \\u escape has a character that is no hexadecimal digit");
    }
    c->at += 4;
    *out = value;
    return true;
}

static char *put_utf8(char *to, uint32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 63));
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    }
    return to;
}

/* After a backslash. */
static bool escape(pio_json_cursor *c, char **to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (c->at == c->end) return fail(c, "a string is not closed");
    char kind = *c->at++;
    if (kind != 'u') {
        const char *found = kind ? strchr(from, kind) : NULL;
        if (!found) return fail(c, "a string has an unknown escape");
        *(*to)++ = into[found - from];
        return true;
    }
    uint32_t code, low;
    if (!hex4(c, &code)) return false;
    if (code >= 0xd800 && code < 0xe000) {
        bool paired = code < 0xdc00 && c->end - c->at >= 2 && c->at[0] == '\\' && c->at[1] == 'u';
        if (!paired) return fail(c, "a string has half a surrogate pair");
        c->at += 2;
        if (!hex4(c, &low)) return false;
        if (low < 0xdc00 || low > 0xdfff) return fail(c, "a string has half a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, code);
    return true;
}

/* The length of the well-formed UTF-8 character at `at` that begins with a byte >= 0x80, or 0 (Unicode, table 3-7). */
static int utf8_length(const unsigned char *at, const unsigned char *end) {
    unsigned char lead = at[0], low = 0x80, high = 0xbf;
    int n;
    if (lead >= 0xc2 && lead <= 0xdf)
        n = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        n = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        n = 4;
    else
        return 0;
    if (end - at < n) return 0;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    if (at[1] < low || at[1] > high) return 0;
    for (int i = 2; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    return n;
}

/* The body shared by taking and skipping: `to` NULL means that nothing is kept. */
static bool scan_string(pio_json_cursor *c, char **pool) {
    if (!pio_json_scan_take(c, '"', "a string is missing")) return false;
    char *to = pool ? *pool : NULL;
    for (;;) {
        const char *run = c->at;
        while (c->at < c->end && (unsigned char)*c->at >= 0x20 && (unsigned char)*c->at < 0x80 && *c->at != '"' &&
               *c->at != '\\')
            c->at++;
        if (to) {
            memcpy(to, run, (size_t)(c->at - run));
            to += c->at - run;
        }
        if (c->at == c->end) return fail(c, "a string is not closed");
        unsigned char next = (unsigned char)*c->at;
        if (next == '"') break;
        if (next == '\\') {
            char scratch[4], *ignored = scratch;
            c->at++;
            if (!escape(c, to ? &to : &ignored)) return false;
        } else if (next < 0x20) {
            return fail(c, "a string has a control character");
        } else {
            int n = utf8_length((const unsigned char *)c->at, (const unsigned char *)c->end);
            if (n == 0) return fail(c, "a string is not valid UTF-8");
            if (to) {
                memcpy(to, c->at, (size_t)n);
                to += n;
            }
            c->at += n;
        }
    }
    c->at++;
    if (pool) *pool = to;
    return true;
}

bool pio_json_scan_string(pio_json_cursor *c, char **pool, const char **out, size_t *n_bytes) {
    char *start = *pool;
    if (!scan_string(c, pool)) return false;
    *out = start;
    *n_bytes = (size_t)(*pool - start);
    *(*pool)++ = 0;
    return true;
}

bool pio_json_scan_key(pio_json_cursor *c, char **pool, const char **out, size_t *n_bytes) {
    return pio_json_scan_string(c, pool, out, n_bytes) && pio_json_scan_take(c, ':', "a colon is missing after a key");
}

bool pio_json_scan_u64(pio_json_cursor *c, uint64_t *out) {
    static const char reason[] = "a whole number that is not negative is missing";
    char first = pio_json_scan_peek(c);
    if (first < '0' || first > '9') return fail(c, reason);
    uint64_t value = 0;
    const char *start = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        uint64_t digit = (uint64_t)(*c->at - '0');
        if (value > (UINT64_MAX - digit) / 10) return fail(c, "a number is larger than 2^64 - 1");
        value = value * 10 + digit;
    }
    if (first == '0' && c->at - start > 1) return fail(c, "a number begins with 0");
    if (c->at < c->end && (*c->at == '.' || *c->at == 'e' || *c->at == 'E')) return fail(c, reason);
    *out = value;
    return true;
}

static bool skip_digits(pio_json_cursor *c) {
    const char *start = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
    return c->at > start || fail(c, "a number lacks a digit");
}

static bool skip_number(pio_json_cursor *c) {
    if (*c->at == '-') c->at++;
    if (c->at < c->end && *c->at == '0')
        c->at++;
    else if (!skip_digits(c))
        return false;
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!skip_digits(c)) return false;
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-')) c->at++;
        return skip_digits(c);
    }
    return true;
}

static bool skip_word(pio_json_cursor *c, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) return fail(c, "a value is missing");
    c->at += n;
    return true;
}

static bool skip_value(pio_json_cursor *c, int depth) {
    if (depth > MAX_DEPTH) return fail(c, "values are nested deeper than 64 levels");
    char first = pio_json_scan_peek(c);
    bool is_first = true;
    switch (first) {
    case '"':
        return scan_string(c, NULL);
    case '{':
        c->at++;
        while (pio_json_scan_more(c, '}', &is_first)) {
            pio_json_scan_peek(c);
            if (!scan_string(c, NULL) || !pio_json_scan_take(c, ':', "a colon is missing after a key") ||
                !skip_value(c, depth + 1))
                return false;
        }
        return !c->reason;
    case '[':
        c->at++;
        while (pio_json_scan_more(c, ']', &is_first)) {
            if (!skip_value(c, depth + 1)) return false;
        }
        return !c->reason;
    case 't':
        return skip_word(c, "true");
    case 'f':
        return skip_word(c, "false");
    case 'n':
        return skip_word(c, "null");
    default:
        if (first == '-' || (first >= '0' && first <= '9')) return skip_number(c);
        return fail(c, "a value is missing");
    }
}

bool pio_json_scan_skip(pio_json_cursor *c) {
    return skip_value(c, 1);
}
