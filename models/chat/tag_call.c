/* Calls in tags: the name, and what stands between the arguments. */
#include <string.h>

#include "models/chat/parser.h"

void pio_tag_call_free(pio_tag_call *call) {
    pio_text_free(&call->key);
    pio_text_free(&call->keys);
    pio_text_free(&call->value);
}

/* ---- beginning ---- */

static void begin(pio_answer_parser *p, const char *name, size_t n_name, const char *after) {
    p->tag.n_arguments = 0;
    p->tag.keys.n_bytes = 0;
    p->in_json = false;
    pio_parser_begin_call(p, name, n_name);
    pio_parser_argue(p, "{", 1);
    pio_parser_take_to(p, after);
    p->step = pio_step_tag_body;
}

/* "<function=NAME>": NAME ends at '>', at the end of its line, or where another tag begins. */
static pio_verdict begin_in_tag(pio_answer_parser *p, const char *at, bool offered) {
    const char *end = pio_parser_end(p), *name;
    const pio_match match = pio_mark_match(at, end, p->options.form->tags->name_open, &name);
    if (match != PIO_MATCH_WHOLE) return match == PIO_MATCH_PART ? PIO_VERDICT_WAIT : PIO_VERDICT_NO;
    const char *stop = name;
    while (stop < end && !strchr("><\n", *stop)) stop++;
    size_t n = (size_t)(stop - name);
    if (stop == end && !p->last) return n > PIO_MAX_TOOL_NAME ? PIO_VERDICT_NO : PIO_VERDICT_WAIT;
    const char *trimmed = pio_json_trim(name, &n);
    if (n > 1 && (*trimmed == '"' || *trimmed == '\'') && trimmed[n - 1] == *trimmed) trimmed++, n -= 2;
    if (!pio_parser_takes_name(p, trimmed, n, offered || stop == end)) return PIO_VERDICT_NO;
    begin(p, trimmed, n, stop + (stop < end && *stop == '>'));
    return PIO_VERDICT_YES;
}

/* NAME alone: it ends where a tag begins, the first argument's or the call's own. */
static pio_verdict begin_bare(pio_answer_parser *p, const char *at, bool offered) {
    const pio_chat_form *form = p->options.form;
    const char *end = pio_parser_end(p), *unused;
    const char *stop = memchr(at, '<', (size_t)(end - at));
    size_t n = (size_t)((stop ? stop : end) - at);
    if (!stop && !p->last) return n > PIO_MAX_TOOL_NAME + PIO_MOST_SPACE ? PIO_VERDICT_NO : PIO_VERDICT_WAIT;
    const char *name = pio_json_trim(at, &n);
    if (!pio_parser_takes_name(p, name, n, offered || !stop)) return PIO_VERDICT_NO;
    if (memchr(name, '\n', n)) return PIO_VERDICT_NO;
    const pio_match key = stop ? pio_mark_match(stop, end, form->tags->key_open, &unused) : PIO_MATCH_WHOLE;
    const pio_match close = stop ? pio_mark_match(stop, end, form->call_close, &unused) : PIO_MATCH_WHOLE;
    if (key != PIO_MATCH_WHOLE && close != PIO_MATCH_WHOLE) {
        const bool part = key == PIO_MATCH_PART || close == PIO_MATCH_PART;
        if (part && !p->last) return PIO_VERDICT_WAIT;
        if (!pio_parser_takes_name(p, name, n, true)) return PIO_VERDICT_NO;
    }
    begin(p, name, n, stop ? stop : end);
    return PIO_VERDICT_YES;
}

pio_verdict pio_tag_call_begin(pio_answer_parser *p, const char *at, bool offered) {
    return p->options.form->tags->name_open ? begin_in_tag(p, at, offered) : begin_bare(p, at, offered);
}

void pio_tag_call_finish(pio_answer_parser *p) {
    if (p->step == pio_step_tag_value || p->step == pio_step_tag_gap) pio_tag_value_end(p);
    pio_parser_argue(p, "}", 1);
    pio_parser_end_call(p);
}

/* ---- keys ---- */

/* Where what `from` begins ends at the latest: at the mark `close`, or where another tag or line begins. WAIT: that has
 * not come yet. */
static pio_verdict find_end(const pio_answer_parser *p, const char *from, const char *close, const char **stop,
                            const char **after) {
    const char *end = pio_parser_end(p), *at = from;
    while (at < end && *at != '\n' && *at != '<' && *at != *close) at++;
    *stop = *after = at;
    if (at == end) return p->last ? PIO_VERDICT_NO : PIO_VERDICT_WAIT;
    const pio_match match = pio_mark_match(at, end, close, after);
    if (match == PIO_MATCH_PART && !p->last) return PIO_VERDICT_WAIT;
    if (match != PIO_MATCH_WHOLE) *after = at;
    return match == PIO_MATCH_WHOLE ? PIO_VERDICT_YES : PIO_VERDICT_NO;
}

pio_verdict pio_tag_key_read(const pio_answer_parser *p, const char *at, pio_tag_key *out) {
    enum { LONGEST_KEY = 1024 };
    const pio_call_tags *tags = p->options.form->tags;
    const char *end = pio_parser_end(p), *from, *stop;
    const pio_match match = pio_mark_match(at, end, tags->key_open, &from);
    if (match != PIO_MATCH_WHOLE) return match == PIO_MATCH_PART && !p->last ? PIO_VERDICT_WAIT : PIO_VERDICT_NO;
    *out = (pio_tag_key){.key = from};
    const pio_verdict closed = find_end(p, from, tags->key_close, &stop, &out->after);
    out->n_key = (size_t)(stop - from);
    if (out->n_key > LONGEST_KEY) return PIO_VERDICT_NO;
    if (closed == PIO_VERDICT_WAIT) return PIO_VERDICT_WAIT;
    out->whole = closed == PIO_VERDICT_YES;
    /* <parameter=key=value: an equals sign instead of the tag's end. */
    const char *equals = tags->name_open ? memchr(from, '=', out->n_key) : NULL;
    if (equals) {
        out->rest = equals + 1;
        out->n_rest = (size_t)(stop - out->rest);
        out->n_key = (size_t)(equals - from);
    }
    out->key = pio_json_trim(out->key, &out->n_key);
    if (out->n_key > 1 && (*out->key == '"' || *out->key == '\'') && out->key[out->n_key - 1] == *out->key) {
        out->key++;
        out->n_key -= 2;
    }
    return out->n_key && !memchr(out->key, 0, out->n_key) ? PIO_VERDICT_YES : PIO_VERDICT_NO;
}

bool pio_tag_key_is_new(const pio_answer_parser *p, const pio_tag_key *key) {
    const pio_text *keys = &p->tag.keys;
    for (size_t at = 0; at < keys->n_bytes; at += strlen(keys->bytes + at) + 1)
        if (strlen(keys->bytes + at) == key->n_key && !memcmp(keys->bytes + at, key->key, key->n_key)) return false;
    return true;
}

/* ---- between arguments ---- */

typedef pio_verdict take_fn(pio_answer_parser *p, const char *after);

static pio_verdict take_end(pio_answer_parser *p, const char *after) {
    pio_parser_take_to(p, after);
    pio_tag_call_finish(p);
    return PIO_VERDICT_YES;
}

/* Another call, though this one was not closed. */
static pio_verdict take_next_call(pio_answer_parser *p, const char *after) {
    (void)after;
    pio_tag_call_finish(p);
    return PIO_VERDICT_YES;
}

static pio_verdict take_stray(pio_answer_parser *p, const char *after) {
    const char *end = pio_parser_end(p);
    if (after == end && !p->last) return PIO_VERDICT_WAIT;
    pio_parser_take_to(p, after + (after < end && *after == '>'));
    return PIO_VERDICT_YES;
}

static pio_verdict take_argument(pio_answer_parser *p, const char *after) {
    pio_tag_key key;
    (void)after;
    const pio_verdict verdict = pio_tag_key_read(p, pio_parser_at(p), &key);
    if (verdict != PIO_VERDICT_YES) return verdict;
    pio_tag_value_begin(p, key.key, key.n_key);
    if (key.n_rest) pio_tag_value_add(p, key.rest, key.n_rest);
    pio_parser_take_to(p, key.after);
    return PIO_VERDICT_YES;
}

static pio_verdict take_mark(pio_answer_parser *p) {
    const pio_chat_form *form = p->options.form;
    const struct {
        const char *mark;
        take_fn *take;
    } rows[] = {
        {form->tags->body_close, take_end},    {form->call_close, take_end},
        {form->tags->key_open, take_argument}, {form->tags->name_open, take_next_call},
        {form->call_open, take_next_call},     {form->tags->value_close, take_stray},
    };
    pio_verdict verdict = PIO_VERDICT_NO;
    for (size_t i = 0; i < PIO_COUNT(rows); i++) {
        const char *after;
        const pio_match match = pio_mark_match(pio_parser_at(p), pio_parser_end(p), rows[i].mark, &after);
        if (match == PIO_MATCH_WHOLE) return rows[i].take(p, after);
        if (match == PIO_MATCH_PART) verdict = PIO_VERDICT_WAIT;
    }
    return verdict;
}

/* Text that stands between arguments is nobody's. */
bool pio_step_tag_body(pio_answer_parser *p) {
    const char *end = pio_parser_end(p), *at = pio_mark_skip_space(pio_parser_at(p), end);
    pio_parser_take_to(p, at);
    if (at == end) return false;
    if (*at == '<') {
        const pio_verdict verdict = take_mark(p);
        if (verdict == PIO_VERDICT_WAIT && !p->last) return false;
        if (verdict == PIO_VERDICT_YES) return true;
    }
    const char *next = memchr(at + 1, '<', (size_t)(end - at - 1));
    if (!next) next = end;
    pio_parser_take_to(p, next);
    return true;
}
