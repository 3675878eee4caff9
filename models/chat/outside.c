/* Outside of calls: text and reasoning, up to the marks that end or interrupt them. */
#include <string.h>

#include "models/chat/parser.h"

typedef pio_verdict take_fn(pio_answer_parser *p, const char *after);

static pio_verdict take_open(pio_answer_parser *p, const char *after) {
    pio_parser_note_mark(p);
    p->reasoning = true;
    pio_parser_take_to(p, after);
    return PIO_VERDICT_YES;
}

static pio_verdict take_close(pio_answer_parser *p, const char *after) {
    pio_parser_note_mark(p);
    p->reasoning = false;
    pio_parser_take_to(p, after);
    return PIO_VERDICT_YES;
}

/* What closes a call that has ended already. */
static pio_verdict take_stray(pio_answer_parser *p, const char *after) {
    pio_text *space = &(p->reasoning ? &p->thought : &p->text)->space;
    space->n_bytes = PIO_MIN(space->n_bytes, p->n_space); /* what stands between marks separates nothing */
    pio_parser_take_to(p, after);
    return PIO_VERDICT_YES;
}

static pio_verdict take_call(pio_answer_parser *p, const char *after) {
    const char *end = pio_parser_end(p), *at = pio_mark_skip_space(after, end);
    if (at == end) return PIO_VERDICT_WAIT;
    if (*at == '{' || *at == '[') {
        pio_json_call_begin(p, at);
        return PIO_VERDICT_YES;
    }
    return p->options.form->tags ? pio_tag_call_begin(p, at, p->reasoning) : PIO_VERDICT_NO;
}

/* A call whose opening mark was forgotten, or another in the same marks. */
static pio_verdict take_bare_call(pio_answer_parser *p, const char *after) {
    (void)after;
    return pio_tag_call_begin(p, pio_parser_at(p), !p->after_call);
}

/* At a '<'. */
static pio_verdict take_mark(pio_answer_parser *p) {
    static const pio_call_tags none;
    const pio_chat_form *form = p->options.form;
    const pio_call_tags *tags = form->tags ? form->tags : &none;
    const bool nothing_said = p->reasoning ? !p->thought.begun : !p->text.begun;
    const struct {
        const char *mark;
        bool counts;
        take_fn *take;
    } rows[] = {
        {form->reasoning_open, nothing_said, take_open},
        {form->reasoning_close, p->reasoning || nothing_said, take_close},
        {form->call_open, p->calls, take_call},
        {tags->name_open, p->calls && !p->reasoning, take_bare_call},
        {form->call_close, p->after_call, take_stray},
        {tags->body_close, p->after_call, take_stray},
        {tags->value_close, p->after_call, take_stray},
    };
    pio_verdict verdict = PIO_VERDICT_NO;
    for (size_t i = 0; i < PIO_COUNT(rows) && verdict == PIO_VERDICT_NO; i++) {
        const char *after;
        if (!rows[i].counts) continue;
        pio_match match = pio_mark_match(pio_parser_at(p), pio_parser_end(p), rows[i].mark, &after);
        if (match == PIO_MATCH_WHOLE) verdict = rows[i].take(p, after);
        if (match == PIO_MATCH_PART) verdict = PIO_VERDICT_WAIT;
    }
    return verdict;
}

bool pio_step_outside(pio_answer_parser *p) {
    const char *at = pio_parser_at(p), *end = pio_parser_end(p);
    if (at == end) return false;
    const char *mark = memchr(at, '<', (size_t)(end - at));
    if (mark != at) {
        if (!mark) mark = end;
        pio_parser_say(p, at, (size_t)(mark - at));
        pio_parser_take_to(p, mark);
        return true;
    }
    pio_verdict verdict = take_mark(p);
    if (verdict == PIO_VERDICT_WAIT && !p->last) return false;
    if (verdict != PIO_VERDICT_YES) {
        pio_parser_take_to(p, at + 1);
        pio_parser_say(p, "<", 1);
    }
    return true;
}
