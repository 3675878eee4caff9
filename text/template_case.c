#include "text/template_case.h"

#include <string.h>

#include "base/compiler.h"
#include "text/unicode.h"
#include "text/unicode_tables.h"
#include "text/utf8.h"

/* The tables are streams made for one run through them: characters beyond ASCII are rare in what templates change. */

/* The next mapping: code point, what it becomes. False at the end. */
static bool next_mapping(const unsigned char **at, uint32_t *code, uint32_t to[PIO_TEMPLATE_MOST_CASED], int *n) {
    if (*at >= pio_unicode_lower + pio_unicode_lower_bytes) return false;
    *code += pio_unicode_varint(at);
    *n = (int)pio_unicode_varint(at);
    for (int i = 0; i < *n; i++) {
        uint32_t c = pio_unicode_varint(at);
        if (i < PIO_TEMPLATE_MOST_CASED) to[i] = c;
    }
    if (*n > PIO_TEMPLATE_MOST_CASED) *n = PIO_TEMPLATE_MOST_CASED;
    return true;
}

int pio_template_lower(uint32_t code, uint32_t to[PIO_TEMPLATE_MOST_CASED]) {
    to[0] = code;
    if (code < 0x80) {
        if (code >= 'A' && code <= 'Z') to[0] = code | 0x20;
        return 1;
    }
    uint32_t from = 0, mapped[PIO_TEMPLATE_MOST_CASED];
    int n;
    for (const unsigned char *at = pio_unicode_lower; next_mapping(&at, &from, mapped, &n) && from <= code;) {
        if (from != code) continue;
        memcpy(to, mapped, sizeof mapped);
        return n;
    }
    return 1;
}

/* Upper cases that are not a lower case turned round (Unicode's SpecialCasing.txt and UnicodeData.txt). */
static const struct {
    uint16_t code, to[PIO_TEMPLATE_MOST_CASED];
} special[] = {{0xb5, {0x39c}},
               {0xdf, {'S', 'S'}},
               {0x131, {'I'}},
               {0x149, {0x2bc, 'N'}},
               {0x17f, {'S'}},
               {0x1c5, {0x1c4}},
               {0x1c8, {0x1c7}},
               {0x1cb, {0x1ca}},
               {0x1f0, {'J', 0x30c}},
               {0x1f2, {0x1f1}},
               {0x345, {0x399}},
               {0x3c2, {0x3a3}},
               {0x3d0, {0x392}},
               {0x3d1, {0x398}},
               {0x3d5, {0x3a6}},
               {0x3d6, {0x3a0}},
               {0x3f0, {0x39a}},
               {0x3f1, {0x3a1}},
               {0x3f5, {0x395}},
               {0x587, {0x535, 0x552}},
               {0x1e9b, {0x1e60}},
               {0xfb00, {'F', 'F'}},
               {0xfb01, {'F', 'I'}},
               {0xfb02, {'F', 'L'}},
               {0xfb03, {'F', 'F', 'I'}},
               {0xfb04, {'F', 'F', 'L'}},
               {0xfb05, {'S', 'T'}},
               {0xfb06, {'S', 'T'}}};

int pio_template_upper(uint32_t code, uint32_t to[PIO_TEMPLATE_MOST_CASED]) {
    to[0] = code;
    if (code < 0x80) {
        if (code >= 'a' && code <= 'z') to[0] = code & ~0x20u;
        return 1;
    }
    for (size_t i = 0; i < PIO_COUNT(special); i++) {
        if (special[i].code != code) continue;
        int n = 0;
        while (n < PIO_TEMPLATE_MOST_CASED && special[i].to[n]) {
            to[n] = special[i].to[n];
            n++;
        }
        return n;
    }
    uint32_t from = 0, mapped[PIO_TEMPLATE_MOST_CASED];
    int n;
    for (const unsigned char *at = pio_unicode_lower; next_mapping(&at, &from, mapped, &n);) {
        if (n != 1 || mapped[0] != code) continue;
        to[0] = from;
        return 1;
    }
    return 1;
}

int pio_template_title(uint32_t code, uint32_t to[PIO_TEMPLATE_MOST_CASED]) {
    bool georgian = code >= 0x10d0 && code <= 0x10ff; /* its capitals begin no words */
    bool digraph = (code >= 0x1c4 && code <= 0x1cc) || (code >= 0x1f1 && code <= 0x1f3);
    to[0] = digraph ? code >= 0x1f1 ? 0x1f2 : 0x1c5 + (code - 0x1c4) / 3 * 3 : code;
    if (georgian || digraph) return 1;
    int n = pio_template_upper(code, to);
    for (int i = 1; i < n; i++) { /* Ss, not SS */
        uint32_t small[PIO_TEMPLATE_MOST_CASED];
        bool mark = to[i] >= 0x300 && to[i] <= 0x36f;
        if (code != 0x149 && !mark && pio_template_lower(to[i], small) == 1) to[i] = small[0];
    }
    return n;
}

bool pio_template_is_cased(const char *bytes, size_t n, bool upper) {
    bool any = false;
    for (const char *at = bytes, *end = bytes + n; at < end;) {
        uint32_t code = pio_utf8_next(&at);
        if (code < 0x80) {
            bool is_upper = code >= 'A' && code <= 'Z', is_lower = code >= 'a' && code <= 'z';
            if (upper ? is_lower : is_upper) return false;
            any |= is_upper || is_lower;
            continue;
        }
        const char *category = pio_template_category(code);
        bool is_upper = !strcmp(category, "Lu"), is_lower = !strcmp(category, "Ll"), title = !strcmp(category, "Lt");
        if (title || (upper ? is_lower : is_upper)) return false;
        any |= is_upper || is_lower;
    }
    return any;
}

const char *pio_template_category(uint32_t code) {
    const unsigned char *at = pio_unicode_category_runs, *end = at + pio_unicode_category_runs_bytes;
    for (uint32_t first = 0; at < end;) {
        first += pio_unicode_varint(&at);
        unsigned category = *at++;
        if (code < first) return pio_unicode_category_names[category];
    }
    return "Cn";
}

bool pio_template_is_alpha(uint32_t code) {
    if (code < 0x80) return (code | 0x20) >= 'a' && (code | 0x20) <= 'z';
    return pio_template_category(code)[0] == 'L';
}

bool pio_template_is_decimal(uint32_t code) {
    if (code < 0x80) return code >= '0' && code <= '9';
    return !strcmp(pio_template_category(code), "Nd");
}

bool pio_template_is_word_char(uint32_t code) {
    if (code < 0x80) return pio_template_is_alpha(code) || pio_template_is_decimal(code) || code == '_';
    const char *category = pio_template_category(code);
    return category[0] == 'L' || category[0] == 'N';
}

bool pio_template_is_printable(uint32_t code) {
    if (code < 0x7f) return code >= 0x20;
    if (code < 0xa1 || code == 0xad) return false;
    if (pio_template_is_common(code)) return true;
    const char *category = pio_template_category(code);
    return category[0] != 'C' && category[0] != 'Z';
}
