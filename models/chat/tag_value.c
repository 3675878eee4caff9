/* The values of arguments in tags: text up to a mark, typed by the schema, given out early where it is a string. */
#include <string.h>

#include "models/chat/parser.h"
#include "models/chat/value.h"

/* Values stand on lines of their own, so that a line break at either end is not theirs. */
static bool by_lines(const pio_answer_parser *p) {
    return p->options.form->tags->name_open != NULL;
}

void pio_tag_value_begin(pio_answer_parser *p, const char *key, size_t n_key) {
    pio_tag_call *tag = &p->tag;
    const pio_tag_key read = {.key = key, .n_key = n_key};
    tag->ignored = !pio_tag_key_is_new(p, &read); /* the first value of a key counts */
    tag->is_string = false;
    tag->is_fresh = true;
    tag->value.n_bytes = tag->key.n_bytes = 0;
    pio_parser_put(p, &tag->key, key, n_key);
    pio_parser_put(p, &tag->key, "", 1);
    p->step = p->options.form->tags->value_open ? pio_step_tag_gap : pio_step_tag_value;
    if (p->status || tag->ignored) return;
    pio_parser_put(p, &tag->keys, tag->key.bytes, strlen(tag->key.bytes) + 1);
    tag->types = pio_schema_types(p->schema, tag->key.bytes);
    pio_text name = {0};
    pio_parser_need(p, pio_json_key(&name, key, n_key));
    if (tag->n_arguments++) pio_parser_argue(p, ", ", 2);
    pio_parser_argue(p, name.bytes, name.n_bytes);
    pio_parser_argue(p, ": ", 2);
    pio_text_free(&name);
}

/* The bytes at the end of `value` that may be the line break before the closing tag. */
static size_t n_held(const pio_answer_parser *p, const pio_text *value) {
    const size_t n = value->n_bytes;
    if (!by_lines(p) || !n || (value->bytes[n - 1] != '\n' && value->bytes[n - 1] != '\r')) return 0;
    return value->bytes[n - 1] == '\n' && n > 1 && value->bytes[n - 2] == '\r' ? 2 : 1;
}

/* Gives out all of the string but its last n bytes, which stay. */
static void let_out(pio_answer_parser *p, size_t n_stay) {
    pio_text *value = &p->tag.value, escaped = {0};
    const size_t n = value->n_bytes - n_stay;
    if (!n || p->status) return;
    pio_parser_need(p, pio_json_escape(&escaped, value->bytes, n));
    if (!p->status && escaped.n_bytes) pio_parser_argue(p, escaped.bytes, escaped.n_bytes);
    memmove(value->bytes, value->bytes + n, n_stay);
    value->n_bytes = n_stay;
    pio_text_free(&escaped);
}

void pio_tag_value_add(pio_answer_parser *p, const char *bytes, size_t n_bytes) {
    pio_tag_call *tag = &p->tag;
    if (tag->ignored || !n_bytes) return;
    pio_parser_put(p, &tag->value, bytes, n_bytes);
    if (p->status) return;
    if (tag->is_fresh && by_lines(p)) {
        const char *text = tag->value.bytes;
        if (tag->value.n_bytes == 1 && *text == '\r') return; /* a line break may follow */
        const size_t n_break = *text == '\n' ? 1 : tag->value.n_bytes > 1 && !memcmp(text, "\r\n", 2) ? 2 : 0;
        tag->value.n_bytes -= n_break;
        memmove(tag->value.bytes, tag->value.bytes + n_break, tag->value.n_bytes);
    }
    tag->is_fresh = false;
    const size_t held = n_held(p, &tag->value);
    if (!tag->is_string) {
        if (tag->value.n_bytes == held) return;
        if (pio_value_undecided(tag->types, tag->value.bytes, tag->value.n_bytes - held)) return;
        tag->is_string = true;
        pio_parser_argue(p, "\"", 1);
    }
    let_out(p, held);
}

void pio_tag_value_end(pio_answer_parser *p) {
    pio_tag_call *tag = &p->tag;
    p->step = pio_step_tag_body;
    if (tag->ignored || p->status) return;
    tag->value.n_bytes -= n_held(p, &tag->value);
    if (tag->is_string) {
        let_out(p, 0);
        pio_parser_argue(p, "\"", 1);
        return;
    }
    pio_text json = {0};
    pio_parser_need(p,
                    pio_value_write(tag->types, tag->value.n_bytes ? tag->value.bytes : "", tag->value.n_bytes, &json));
    if (!p->status) pio_parser_argue(p, json.bytes, json.n_bytes);
    pio_text_free(&json);
}

/* ---- marks ---- */

/* What ends a value: its own mark, with the '>' that models forget; or what can only stand behind one whose mark was
 * forgotten: the end of the call, or another argument that the schema knows. */
static pio_verdict find_end(const pio_answer_parser *p, const char *at, const char **after) {
    const pio_chat_form *form = p->options.form;
    const char *end = pio_parser_end(p), *const closes[] = {form->tags->body_close, form->call_close};
    bool part = false;
    pio_match match = pio_mark_match(at, end, form->tags->value_close, after);
    if (match == PIO_MATCH_WHOLE) {
        if (*after == end && !p->last) return PIO_VERDICT_WAIT;
        if (*after < end && **after == '>') ++*after;
        return PIO_VERDICT_YES;
    }
    part |= match == PIO_MATCH_PART;
    for (size_t i = 0; i < PIO_COUNT(closes); i++) {
        match = pio_mark_match(at, end, closes[i], after);
        *after = at; /* it is the call's */
        if (match == PIO_MATCH_WHOLE) return PIO_VERDICT_YES;
        part |= match == PIO_MATCH_PART;
    }
    pio_tag_key key;
    bool names_any;
    const pio_verdict verdict = pio_tag_key_read(p, at, &key);
    if (verdict == PIO_VERDICT_YES && key.whole && pio_tag_key_is_new(p, &key)) {
        char name[PIO_MAX_TOOL_NAME];
        if (key.n_key < sizeof name) {
            memcpy(name, key.key, key.n_key);
            name[key.n_key] = 0;
            if (pio_schema_has(p->schema, name, &names_any)) return PIO_VERDICT_YES;
        }
    }
    if (part && p->last && end - at > 1) { /* the answer was cut within the mark */
        *after = end;
        return PIO_VERDICT_YES;
    }
    return part || verdict == PIO_VERDICT_WAIT ? PIO_VERDICT_WAIT : PIO_VERDICT_NO;
}

bool pio_step_tag_value(pio_answer_parser *p) {
    const char *at = pio_parser_at(p), *end = pio_parser_end(p), *after;
    if (at == end) return false;
    if (*at != '<') {
        const char *mark = memchr(at, '<', (size_t)(end - at));
        if (!mark) mark = end;
        pio_tag_value_add(p, at, (size_t)(mark - at));
        pio_parser_take_to(p, mark);
        return true;
    }
    const pio_verdict verdict = find_end(p, at, &after);
    if (verdict == PIO_VERDICT_WAIT && !p->last) return false;
    if (verdict == PIO_VERDICT_YES) {
        pio_tag_value_end(p);
        pio_parser_take_to(p, after);
        return true;
    }
    pio_tag_value_add(p, "<", 1);
    pio_parser_take_to(p, at + 1);
    return true;
}

/* Behind a key: the mark that opens its value, where there is one. */
bool pio_step_tag_gap(pio_answer_parser *p) {
    const char *end = pio_parser_end(p), *at = pio_mark_skip_space(pio_parser_at(p), end), *after;
    const char *const marks[] = {p->options.form->tags->key_close, p->options.form->tags->value_open};
    if (at == end) return false;
    for (size_t i = 0; i < PIO_COUNT(marks); i++) { /* a key's mark that came twice is passed over */
        const pio_match match = pio_mark_match(at, end, marks[i], &after);
        if (match == PIO_MATCH_PART && !p->last) return false;
        if (match != PIO_MATCH_WHOLE) continue;
        pio_parser_take_to(p, after);
        if (i == 1) p->step = pio_step_tag_value;
        return true;
    }
    p->step = pio_step_tag_value;
    return true;
}
