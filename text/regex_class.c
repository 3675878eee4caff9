/* Character classes of regular expressions: escapes, [..] with nesting, ranges, intersection and POSIX names. */
#include <string.h>

#include "text/regex_parse.h"
#include "text/utf8.h"

enum { MAX_CLASS_DEPTH = 20 };

static pio_status add_property(pio_regex_parser *p, pio_char_set *out, const char *name, size_t n, bool posix,
                               bool negate) {
    pio_char_set found = {0};
    pio_property result = n && name[0] == '!' && !p->step_names ? PIO_PROPERTY_UNKNOWN
                                                                : pio_char_set_add_property(&found, name, n, posix);
    if (result == PIO_PROPERTY_UNKNOWN) {
        pio_char_set_free(&found);
        return pio_fail(p->error, PIO_UNSUPPORTED, "character class '%.*s' is unknown", (int)(n > 40 ? 40 : n), name);
    }
    bool ok =
        result == PIO_PROPERTY_ADDED && (!negate || pio_char_set_invert(&found)) && pio_char_set_add_set(out, &found);
    pio_char_set_free(&found);
    return ok ? PIO_OK : pio_regex_fail_memory(p);
}

/* Up to `most` hexadecimal digits; the number of digits read. */
static int take_hex(pio_regex_parser *p, int most, uint32_t *code) {
    int n = 0;
    *code = 0;
    while (n < most && p->at < p->end && pio_hex_digit(*p->at) >= 0) {
        *code = *code * 16 + (uint32_t)pio_hex_digit(*p->at++);
        n++;
    }
    return n;
}

static pio_status check_code(pio_regex_parser *p, uint32_t code) {
    if (code > PIO_UNICODE_LAST || (code >= 0xd800 && code < 0xe000))
        return pio_regex_fail(p, PIO_CORRUPT, "an escape names no character of Unicode");
    return PIO_OK;
}

/* After "\x": \xHH or \x{H...}. */
static pio_status escape_hex(pio_regex_parser *p, uint32_t *code) {
    if (p->at < p->end && *p->at == '{') {
        p->at++;
        int n = take_hex(p, 8, code);
        if (!n || p->at == p->end || *p->at != '}') return pio_regex_fail(p, PIO_CORRUPT, "\\x{..} is not closed");
        p->at++;
        return check_code(p, *code);
    }
    take_hex(p, 2, code);
    if (*code >= 0x80) return pio_regex_fail(p, PIO_UNSUPPORTED, "\\xHH of a single byte above 7f");
    return PIO_OK;
}

/* After "\p" or "\P", at the '{'. Within a class the reference takes \w and \p{Word} without the superscript digits and
 * fractions of Latin-1: as the POSIX bracket. */
static pio_status escape_property(pio_regex_parser *p, bool in_class, bool negate, pio_char_set *out) {
    const char *name = ++p->at, *close = memchr(name, '}', (size_t)(p->end - name));
    if (!close) return pio_regex_fail(p, PIO_CORRUPT, "\\p{..} is not closed");
    p->at = close + 1;
    if (name < close && *name == '^') {
        negate = !negate;
        name++;
    }
    bool posix = in_class && close - name == 4 && !strncasecmp(name, "word", 4);
    return add_property(p, out, name, (size_t)(close - name), posix, negate);
}

/* The class of a letter behind a backslash; *is_class false: it is none. */
static pio_status escape_class(pio_regex_parser *p, bool in_class, uint32_t letter, pio_char_set *out, bool *is_class) {
    static const struct {
        char letter;
        const char *name;
    } classes[] = {{'d', "nd"}, {'s', "space"}, {'w', "word"}, {'h', "xdigit"}};
    const uint32_t lower = letter | 0x20;
    *is_class = true;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        bool posix = in_class && lower == 'w'; /* as in escape_property */
        if (lower == (uint32_t)classes[i].letter)
            return add_property(p, out, classes[i].name, strlen(classes[i].name), posix, letter != lower);
    }
    if (lower == 'p' && p->at < p->end && *p->at == '{') return escape_property(p, in_class, letter == 'P', out);
    *is_class = false;
    return PIO_OK;
}

pio_status pio_regex_parse_escape(pio_regex_parser *p, bool in_class, pio_char_set *out, bool *is_class,
                                  uint32_t *code) {
    *is_class = false;
    if (p->at == p->end) return pio_regex_fail(p, PIO_CORRUPT, "a backslash ends it");
    *code = pio_utf8_next(&p->at);
    if (!*code || *code >= 0x80) return PIO_OK;
    static const char letters[] = "tnrfvae", controls[] = "\t\n\r\f\v\a\x1b";
    const char *found = strchr(letters, (int)*code);
    if (found) {
        *code = (uint32_t)controls[found - letters];
        return PIO_OK;
    }
    if (*code >= '1' && *code <= '9') return pio_regex_fail(p, PIO_UNSUPPORTED, "a back-reference");
    switch (*code) {
    case 'b':
        if (in_class) *code = '\b';
        return PIO_OK;
    case 'x':
        return escape_hex(p, code);
    case 'u':
        if (take_hex(p, 4, code) < 4) return pio_regex_fail(p, PIO_CORRUPT, "\\u needs four hexadecimal digits");
        return check_code(p, *code);
    case 'c':
        if (p->at == p->end || (*p->at & 0x80)) return pio_regex_fail(p, PIO_CORRUPT, "\\c needs a letter");
        *code = (uint32_t)*p->at++ & 0x1f;
        return PIO_OK;
    case '0':
        *code = 0;
        for (int n = 0; n < 2 && p->at < p->end && *p->at >= '0' && *p->at <= '7'; n++)
            *code = *code * 8 + (uint32_t)(*p->at++ - '0');
        return PIO_OK;
    default:
        return escape_class(p, in_class, *code, out, is_class);
    }
}

/* "[:name:]" at p->at (behind the '['): true and taken if it is one. */
static bool take_posix(pio_regex_parser *p, pio_char_set *out, pio_status *status) {
    if (p->end - p->at < 4 || p->at[0] != ':') return false;
    const char *name = p->at + 1;
    bool negate = *name == '^';
    if (negate) name++;
    const char *close = name;
    while (close < p->end && close - name < 20 &&
           ((*close >= 'a' && *close <= 'z') || (*close >= 'A' && *close <= 'Z')))
        close++;
    if (p->end - close < 2 || close[0] != ':' || close[1] != ']') return false;
    p->at = close + 2;
    *status = add_property(p, out, name, (size_t)(close - name), true, negate);
    return true;
}

static pio_status parse_set(pio_regex_parser *p, int depth, pio_char_set *out);

/* One operand of a class: a character (*is_class false) or a class, added to `out`. */
static pio_status parse_member(pio_regex_parser *p, int depth, pio_char_set *out, bool *is_class, uint32_t *code) {
    *is_class = true;
    if (*p->at == '[') {
        p->at++;
        pio_status status = PIO_OK;
        if (take_posix(p, out, &status)) return status;
        pio_char_set inner = {0};
        status = parse_set(p, depth + 1, &inner);
        if (!status && !pio_char_set_add_set(out, &inner)) status = pio_regex_fail_memory(p);
        pio_char_set_free(&inner);
        return status;
    }
    if (*p->at == '\\') {
        p->at++;
        return pio_regex_parse_escape(p, true, out, is_class, code);
    }
    *is_class = false;
    *code = pio_utf8_next(&p->at);
    return PIO_OK;
}

/* The upper end of a range that begins with `first`, if one follows ('-' before ']' is itself). */
static pio_status parse_range(pio_regex_parser *p, int depth, pio_char_set *out, uint32_t first) {
    uint32_t last = first;
    if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']' && p->at[1] != '[') {
        p->at++;
        bool is_class;
        pio_status status = parse_member(p, depth, out, &is_class, &last);
        if (status) return status;
        if (is_class || last < first) return pio_regex_fail(p, PIO_CORRUPT, "a range in a class ends before it begins");
    }
    return pio_char_set_add(out, first, last) ? PIO_OK : pio_regex_fail_memory(p);
}

/* Behind the '[': members, '&&', and the closing ']'. */
static pio_status parse_set(pio_regex_parser *p, int depth, pio_char_set *out) {
    pio_char_set part = {0}; /* since the last '&&' */
    bool any_and = false, negate = false, first = true;
    pio_status status = PIO_OK;
    if (depth > MAX_CLASS_DEPTH) return pio_regex_fail(p, PIO_LIMIT, "classes are nested too deeply");
    if (p->at < p->end && *p->at == '^') {
        negate = true;
        p->at++;
    }
    for (;; first = false) {
        if (p->at == p->end) {
            status = pio_regex_fail(p, PIO_CORRUPT, "a class is not closed by ']'");
            break;
        }
        bool close = *p->at == ']' && !first;
        bool and = p->end - p->at >= 2 && p->at[0] == '&' && p->at[1] == '&';
        if (close || and) {
            p->at += and? 2 : 1;
            bool ok = any_and ? pio_char_set_intersect(out, &part) : pio_char_set_add_set(out, &part);
            pio_char_set_free(&part);
            any_and = true;
            if (!ok) status = pio_regex_fail_memory(p);
            if (!ok || close) break;
            continue;
        }
        bool is_class;
        uint32_t code;
        status = parse_member(p, depth, &part, &is_class, &code);
        if (!status && !is_class) status = parse_range(p, depth, &part, code);
        if (status) break;
    }
    pio_char_set_free(&part);
    if (!status && negate && p->ignore_case && !pio_char_set_add_folded(out)) status = pio_regex_fail_memory(p);
    if (!status && negate && !pio_char_set_invert(out)) status = pio_regex_fail_memory(p);
    return status;
}

pio_status pio_regex_parse_class(pio_regex_parser *p, pio_char_set *out) {
    bool negated = p->at < p->end && *p->at == '^';
    pio_status status = parse_set(p, 0, out);
    if (!status && !negated && p->ignore_case && !pio_char_set_add_folded(out)) status = pio_regex_fail_memory(p);
    return status;
}
