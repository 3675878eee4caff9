#include "models/chat/value.h"

#include <string.h>
#include <strings.h>

#include "base/compiler.h"
#include "models/chat/json_mend.h"

enum {
    LONGEST_NUMBER = 400, /* a double has fewer digits before its point, and behind it few that matter */
    MOST_BLANKS = 400,    /* before a value that is no string */
};

/* ---- one function a type: *fits_type, and if so the value in *out; false: no memory ---- */

typedef bool write_fn(const char *text, size_t n, pio_text *out, bool *fits_type);

static bool is_word(const char *text, size_t n, const char *word) {
    return n == strlen(word) && !strncasecmp(text, word, n);
}

static bool write_null(const char *text, size_t n, pio_text *out, bool *fits_type) {
    *fits_type = is_word(text, n, "null") || is_word(text, n, "none");
    return !*fits_type || pio_text_append(out, "null", 4);
}

static bool write_boolean(const char *text, size_t n, pio_text *out, bool *fits_type) {
    const bool yes = is_word(text, n, "true");
    *fits_type = yes || is_word(text, n, "false");
    return !*fits_type || pio_text_append(out, yes ? "true" : "false", yes ? 4 : 5);
}

static bool write_number(const char *text, size_t n, pio_text *out, bool *fits_type) {
    *fits_type = n <= LONGEST_NUMBER && pio_json_is_number(text, n);
    return !*fits_type || pio_text_append(out, text, n);
}

/* 5.0 is a whole number too, and written as such. */
static bool write_integer(const char *text, size_t n, pio_text *out, bool *fits_type) {
    const char *point = n ? memchr(text, '.', n) : NULL;
    const size_t whole = point ? (size_t)(point - text) : n;
    *fits_type = n <= LONGEST_NUMBER && pio_json_is_number(text, n) && !memchr(text, 'e', n) && !memchr(text, 'E', n);
    for (size_t i = whole + 1; i < n; i++) *fits_type &= text[i] == '0';
    *fits_type = *fits_type && pio_json_is_number(text, whole);
    return !*fits_type || pio_text_append(out, text, whole);
}

static bool write_bracketed(char bracket, const char *text, size_t n, pio_text *out, bool *fits_type) {
    const size_t before = out->n_bytes;
    *fits_type = n && *text == bracket;
    if (!*fits_type) return true;
    if (pio_json_is_value(text, n)) return pio_text_append(out, text, n);
    bool fits = pio_json_mend_text(text, n, out, fits_type);
    if (!fits || !*fits_type) out->n_bytes = before;
    return fits;
}

static bool write_object(const char *text, size_t n, pio_text *out, bool *fits_type) {
    return write_bracketed('{', text, n, out, fits_type);
}

static bool write_array(const char *text, size_t n, pio_text *out, bool *fits_type) {
    return write_bracketed('[', text, n, out, fits_type);
}

static bool write_any(const char *text, size_t n, pio_text *out, bool *fits_type) {
    *fits_type = pio_json_is_value(text, n);
    return !*fits_type || pio_text_append(out, text, n);
}

bool pio_value_write(uint32_t types, const char *text, size_t n_bytes, pio_text *out) {
    static const struct {
        uint32_t type;
        write_fn *write;
    } rows[] = {
        {PIO_TYPE_NULL, write_null},       {PIO_TYPE_INTEGER, write_integer}, {PIO_TYPE_NUMBER, write_number},
        {PIO_TYPE_BOOLEAN, write_boolean}, {PIO_TYPE_OBJECT, write_object},   {PIO_TYPE_ARRAY, write_array},
    };
    size_t n = n_bytes;
    const char *trimmed = pio_json_trim(text, &n);
    bool done = false, fits = true;
    if (!types) fits = write_any(trimmed, n, out, &done);
    for (size_t i = 0; i < PIO_COUNT(rows) && fits && !done; i++)
        if (types & rows[i].type) fits = rows[i].write(trimmed, n, out, &done);
    if (done || !fits) return fits;
    return pio_text_append(out, "\"", 1) && pio_json_escape(out, text, n_bytes) && pio_text_append(out, "\"", 1);
}

/* ---- what a beginning may become ---- */

static bool begins(const char *text, size_t n, const char *word) {
    return n <= strlen(word) && !strncasecmp(text, word, n);
}

static bool may_be_number(const char *text, size_t n) {
    return n <= LONGEST_NUMBER && strspn(text, "+-.eE0123456789") >= n;
}

bool pio_value_undecided(uint32_t types, const char *text, size_t n_bytes) {
    char copy[LONGEST_NUMBER + 2];
    size_t n_blanks = 0;
    while (n_blanks < n_bytes && n_blanks <= MOST_BLANKS && pio_json_blank(text[n_blanks])) n_blanks++;
    if (n_blanks > MOST_BLANKS) return false;
    const char *trimmed = pio_json_trim(text, &n_bytes);
    size_t n = PIO_MIN(n_bytes, sizeof copy - 1);
    if (!n) return types != PIO_TYPE_STRING;
    memcpy(copy, trimmed, n);
    copy[n] = 0;
    const uint32_t numbers = PIO_TYPE_INTEGER | PIO_TYPE_NUMBER;
    const bool any = !types;
    if ((any || types & PIO_TYPE_NULL) && (begins(copy, n, "null") || begins(copy, n, "none"))) return true;
    if ((any || types & PIO_TYPE_BOOLEAN) && (begins(copy, n, "true") || begins(copy, n, "false"))) return true;
    if ((any || types & numbers) && may_be_number(copy, n)) return true;
    if ((any || types & PIO_TYPE_OBJECT) && *copy == '{') return true;
    if ((any || types & PIO_TYPE_ARRAY) && *copy == '[') return true;
    return any && *copy == '"';
}
