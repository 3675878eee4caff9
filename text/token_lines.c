#include "text/token_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "io/json_scan.h"

static bool at_end(pio_json_cursor *c) {
    return !pio_json_scan_peek(c) && c->at == c->end;
}

static pio_status fail_line(const pio_json_cursor *c, const char *wanted, pio_error *error) {
    return pio_fail(error, PIO_INVALID_ARGUMENT, "the line must be %s; byte %lld: %s", wanted,
                    (long long)(c->at - c->begin), c->reason ? c->reason : "more follows");
}

static pio_status fail_memory(pio_error *error, size_t n_bytes) {
    return pio_fail_memory(error, "a line", n_bytes);
}

pio_status pio_token_line_encode(const pio_tokenizer *tokenizer, const char *line, size_t n_bytes, pio_text *out,
                                 pio_error *error) {
    static const char wanted[] = "one JSON string such as \"Hello\"";
    const size_t before = out->n_bytes;
    pio_json_cursor cursor;
    pio_token_ids ids = {0};
    char *pool = malloc(n_bytes + 1), *at = pool;
    const char *text;
    size_t n_text;
    if (!pool) return fail_memory(error, n_bytes);
    pio_json_scan_begin(&cursor, line, n_bytes);
    pio_json_scan_peek(&cursor);
    pio_status status = PIO_OK;
    if (!pio_json_scan_string(&cursor, &at, &text, &n_text) || !at_end(&cursor))
        status = fail_line(&cursor, wanted, error);
    if (!status) status = pio_tokenizer_encode(tokenizer, text, n_text, &ids, error);
    bool ok = status || pio_text_append(out, "[", 1);
    for (int32_t i = 0; i < ids.n_items && !status && ok; i++) {
        char number[16];
        int n = snprintf(number, sizeof number, i ? ", %d" : "%d", ids.items[i]);
        ok = pio_text_append(out, number, (size_t)n);
    }
    ok = ok && (status || pio_text_append(out, "]\n", 2));
    if (!ok) status = fail_memory(error, out->n_bytes);
    if (status) out->n_bytes = before;
    free(ids.items);
    free(pool);
    return status;
}

/* The length and code of a character that is to be escaped, else 0. U+0085, U+2028 and U+2029 need no escape in JSON,
 * but many readers of lines cut at them. */
static size_t find_escaped(const char *at, size_t n_bytes, unsigned *code) {
    unsigned char c = (unsigned char)*at;
    *code = c;
    if (c < 0x80) return c < 0x20 || c == '"' || c == '\\';
    if (n_bytes >= 2 && !memcmp(at, "\xc2\x85", 2)) return *code = 0x85, 2;
    if (n_bytes < 3 || memcmp(at, "\xe2\x80", 2) != 0 || ((unsigned char)at[2] & 0xfe) != 0xa8) return 0;
    *code = 0x2000 | ((unsigned char)at[2] & 0x3f);
    return 3;
}

static bool append_escape(pio_text *out, unsigned code) {
    static const char letters[] = "btnvfr"; /* for 8 to 13; JSON has no \v */
    char escape[8];
    int n;
    if (code == '"' || code == '\\')
        n = snprintf(escape, sizeof escape, "\\%c", (char)code);
    else if (code >= 8 && code <= 13 && code != 11)
        n = snprintf(escape, sizeof escape, "\\%c", letters[code - 8]);
    else
        n = snprintf(escape, sizeof escape, "\\u%04x", code & 0xffff);
    return pio_text_append(out, escape, (size_t)n);
}

static bool append_json_string(pio_text *out, const pio_text *text) {
    bool ok = pio_text_append(out, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; i < text->n_bytes && ok;) {
        unsigned code;
        size_t n = find_escaped(text->bytes + i, text->n_bytes - i, &code);
        if (n) ok = pio_text_append(out, text->bytes + from, i - from) && append_escape(out, code);
        i += n ? n : 1;
        if (n) from = i;
    }
    return ok && pio_text_append(out, text->bytes + from, text->n_bytes - from) && pio_text_append(out, "\"\n", 2);
}

pio_status pio_token_line_decode(const pio_tokenizer *tokenizer, const char *line, size_t n_bytes, pio_text *out,
                                 pio_error *error) {
    static const char wanted[] = "one JSON array of ids such as [1, 2, 3]";
    const size_t before = out->n_bytes;
    pio_json_cursor cursor;
    pio_token_ids ids = {0};
    pio_text text = {0};
    pio_status status = PIO_OK;
    pio_json_scan_begin(&cursor, line, n_bytes);
    if (!pio_json_scan_take(&cursor, '[', "'[' is missing")) status = fail_line(&cursor, wanted, error);
    for (bool first = true; !status && pio_json_scan_more(&cursor, ']', &first);) {
        uint64_t id;
        int32_t *item = PIO_PUSH(&ids, items);
        pio_json_scan_peek(&cursor);
        if (!item)
            status = fail_memory(error, n_bytes);
        else if (!pio_json_scan_u64(&cursor, &id))
            break;
        else if (id > INT32_MAX)
            status = pio_fail(error, PIO_INVALID_ARGUMENT, "id %llu at place %d is outside the vocabulary, 0 to %d",
                              (unsigned long long)id, ids.n_items - 1, pio_tokenizer_vocab_size(tokenizer) - 1);
        else
            *item = (int32_t)id;
    }
    if (!status && (cursor.reason || !at_end(&cursor))) status = fail_line(&cursor, wanted, error);
    if (!status) status = pio_tokenizer_decode(tokenizer, ids.items, (size_t)ids.n_items, &text, error);
    if (!status && (!pio_text_reserve(&text, 1) || !append_json_string(out, &text)))
        status = fail_memory(error, text.n_bytes);
    if (status) out->n_bytes = before;
    free(ids.items);
    pio_text_free(&text);
    return status;
}
