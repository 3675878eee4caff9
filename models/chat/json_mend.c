#include "models/chat/json_mend.h"

#include <string.h>

#include "base/compiler.h"

/* VALUE: one must come. ITEM: a value or the array's end. KEY: a key or the object's end. NEXT: a comma or an end. */
enum { VALUE, ITEM, KEY, COLON, NEXT, STRING, WORD, WHOLE };

static bool in_object(const pio_json_mender *m) {
    return m->depth > 0 && (m->objects >> (m->depth - 1) & 1);
}

static bool put(pio_text *out, const char *text) {
    return pio_text_append(out, text, strlen(text));
}

/* The comma that waited, now that something follows it. */
static bool put_comma(pio_json_mender *m, pio_text *out) {
    bool waits = m->comma;
    m->comma = false;
    return !waits || put(out, ", ");
}

static pio_mend value_ended(pio_json_mender *m) {
    m->state = m->depth ? NEXT : WHOLE;
    return m->depth ? PIO_MEND_MORE : PIO_MEND_DONE;
}

/* ---- strings and words ---- */

static bool put_piece(pio_json_mender *m, pio_text *out) {
    const char *at = m->piece.bytes;
    size_t n = m->piece.n_bytes;
    m->piece.n_bytes = 0;
    if (m->key && n && memchr(at, 0, n)) return put(out, PIO_UTF8_REPLACEMENT); /* readers refuse NUL in keys */
    return pio_json_escape(out, at, n);
}

static bool end_string(pio_json_mender *m, pio_text *out) {
    m->state = m->key ? COLON : NEXT;
    return pio_json_unescape_end(&m->escapes, &m->piece) && put_piece(m, out) && put(out, "\"");
}

static pio_mend string_byte(pio_json_mender *m, char c, pio_text *out) {
    if (c == m->quote && !pio_json_unescape_escaped(&m->escapes)) {
        if (!end_string(m, out)) return PIO_MEND_MEMORY;
        return m->key ? PIO_MEND_MORE : value_ended(m);
    }
    return pio_json_unescape_byte(&m->escapes, c, &m->piece) && put_piece(m, out) ? PIO_MEND_MORE : PIO_MEND_MEMORY;
}

static bool begin_string(pio_json_mender *m, char quote, bool key, pio_text *out) {
    m->state = STRING;
    m->quote = quote;
    m->key = key;
    m->escapes = (pio_json_unescape){0};
    return put_comma(m, out) && put(out, "\"");
}

static const char *literal(const pio_text *word, bool cut) {
    static const char *const literals[][2] = {{"true", "true"}, {"false", "false"}, {"null", "null"},
                                              {"True", "true"}, {"False", "false"}, {"None", "null"}};
    const size_t n = word->n_bytes;
    for (size_t i = 0; i < PIO_COUNT(literals); i++) {
        size_t length = strlen(literals[i][0]);
        if ((n == length || (cut && n < length)) && !memcmp(literals[i][0], word->bytes, n)) return literals[i][1];
    }
    return NULL;
}

/* `cut`: the text ended within the word. */
static bool end_word(pio_json_mender *m, bool cut, pio_text *out) {
    const pio_text *word = &m->word;
    const char *known = m->key ? NULL : literal(word, cut);
    m->state = m->key ? COLON : m->depth ? NEXT : WHOLE;
    if (!put_comma(m, out)) return false;
    if (known) return put(out, known);
    if (!m->key && pio_json_is_number(word->bytes, word->n_bytes))
        return pio_text_append(out, word->bytes, word->n_bytes);
    return pio_json_key(out, word->bytes, word->n_bytes);
}

static bool ends_word(char c) {
    return pio_json_blank(c) || memchr(",:[]{}\"<>", c, 9) != NULL;
}

/* ---- brackets ---- */

static pio_mend open_bracket(pio_json_mender *m, char c, pio_text *out) {
    if (m->depth == PIO_MEND_DEPTH) return PIO_MEND_WRONG;
    if (!put_comma(m, out) || !pio_text_append(out, &c, 1)) return PIO_MEND_MEMORY;
    uint64_t bit = (uint64_t)1 << m->depth++;
    m->objects = c == '{' ? m->objects | bit : m->objects & ~bit;
    m->state = c == '{' ? KEY : ITEM;
    return PIO_MEND_MORE;
}

static pio_mend close_bracket(pio_json_mender *m, pio_text *out) {
    m->comma = false;
    if (!put(out, in_object(m) ? "}" : "]")) return PIO_MEND_MEMORY;
    m->depth--;
    return value_ended(m);
}

static pio_mend begin(pio_json_mender *m, char c, bool key, pio_text *out) {
    if (c == '"' || c == '\'') return begin_string(m, c, key, out) ? PIO_MEND_MORE : PIO_MEND_MEMORY;
    if (!key && (c == '{' || c == '[')) return open_bracket(m, c, out);
    if (ends_word(c)) return PIO_MEND_WRONG;
    m->state = WORD;
    m->key = key;
    m->word.n_bytes = 0;
    return pio_text_append(&m->word, &c, 1) ? PIO_MEND_MORE : PIO_MEND_MEMORY;
}

/* Between values. */
static pio_mend structure_byte(pio_json_mender *m, char c, pio_text *out) {
    if (pio_json_blank(c)) return PIO_MEND_MORE;
    const bool may_close = m->state == ITEM || m->state == KEY || m->state == NEXT;
    if (may_close && c == (in_object(m) ? '}' : ']')) return close_bracket(m, out);
    if (m->state != VALUE && c == ',' && m->state != COLON) { /* one too many is passed over */
        m->comma |= m->state == NEXT;
        m->state = in_object(m) ? KEY : ITEM;
        return PIO_MEND_MORE;
    }
    if (m->state == COLON) {
        if (c != ':') return PIO_MEND_WRONG;
        m->state = VALUE;
        return put(out, ": ") ? PIO_MEND_MORE : PIO_MEND_MEMORY;
    }
    if (m->state == NEXT) return PIO_MEND_WRONG;
    return begin(m, c, m->state == KEY, out);
}

pio_mend pio_json_mend_byte(pio_json_mender *m, char c, pio_text *out) {
    if (m->state == STRING) return string_byte(m, c, out);
    if (m->state == WORD) {
        if (!ends_word(c)) return pio_text_append(&m->word, &c, 1) ? PIO_MEND_MORE : PIO_MEND_MEMORY;
        if (!end_word(m, false, out)) return PIO_MEND_MEMORY;
        if (m->state == WHOLE) return PIO_MEND_BEFORE;
    }
    return structure_byte(m, c, out);
}

bool pio_json_mend_in_string(const pio_json_mender *m) {
    return m->state == STRING;
}

bool pio_json_mend_finish(pio_json_mender *m, pio_text *out) {
    bool fits = true;
    if (m->state == STRING) fits = end_string(m, out);
    if (m->state == WORD) fits = end_word(m, true, out);
    if (m->state == COLON) fits = fits && put(out, ": null");
    if (m->state == VALUE) fits = fits && put(out, "null");
    m->comma = false;
    for (; m->depth && fits; m->depth--) fits = put(out, in_object(m) ? "}" : "]");
    m->state = WHOLE;
    return fits;
}

void pio_json_mend_free(pio_json_mender *m) {
    pio_text_free(&m->word);
    pio_text_free(&m->piece);
}

bool pio_json_mend_text(const char *text, size_t n_bytes, pio_text *out, bool *whole) {
    pio_json_mender m = {0};
    pio_mend state = PIO_MEND_MORE;
    size_t i = 0;
    text = pio_json_trim(text, &n_bytes);
    while (i < n_bytes && state == PIO_MEND_MORE) state = pio_json_mend_byte(&m, text[i++], out);
    *whole = state == PIO_MEND_DONE && i == n_bytes;
    bool fits = state != PIO_MEND_MEMORY && pio_json_mend_finish(&m, out);
    pio_json_mend_free(&m);
    return fits;
}
