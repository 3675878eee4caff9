/* Input, events and the prompt's part of the answer; what is looked for is in outside.c, tag_call.c, json_call.c. */
#include "models/chat/answer_parser.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/chat/parser.h"

/* ---- failures ---- */

void pio_parser_need(pio_answer_parser *p, bool fits) {
    if (!fits && !p->status) p->status = PIO_OUT_OF_MEMORY;
}

void pio_parser_put(pio_answer_parser *p, pio_text *to, const char *bytes, size_t n_bytes) {
    pio_parser_need(p, pio_text_append(to, bytes, n_bytes));
}

static pio_status report(const pio_answer_parser *p, pio_error *error) {
    if (p->status == PIO_CANCELLED) return pio_fail(error, PIO_CANCELLED, "whoever listened to the answer stopped it");
    if (p->status) return pio_fail_memory(error, "the parts of the answer", p->input.n_bytes);
    return PIO_OK;
}

/* ---- events ---- */

static void give(pio_answer_parser *p, pio_answer_event_kind kind) {
    const bool of_call = kind >= PIO_ANSWER_CALL;
    const pio_answer_event event = {.kind = kind,
                                    .bytes = p->out.bytes,
                                    .n_bytes = p->out.n_bytes,
                                    .index = of_call ? p->n_calls - 1 : 0,
                                    .id = of_call ? p->id : NULL,
                                    .name = of_call ? p->name.bytes : NULL};
    if (!p->status && !p->options.on_event(p->options.user, &event)) p->status = PIO_CANCELLED;
    p->out.n_bytes = 0;
}

static void flush(pio_answer_parser *p) {
    if (p->out.n_bytes) give(p, p->kind);
}

static void gather(pio_answer_parser *p, pio_answer_event_kind kind, const char *bytes, size_t n_bytes) {
    if (p->kind != kind) flush(p);
    p->kind = kind;
    pio_parser_put(p, &p->out, bytes, n_bytes);
}

void pio_parser_argue(pio_answer_parser *p, const char *bytes, size_t n_bytes) {
    gather(p, PIO_ANSWER_ARGUMENTS, bytes, n_bytes);
}

/* ---- text and reasoning ---- */

/* Whether a mark may follow, to which white space before it would belong. */
static bool holds_space(const pio_answer_parser *p, const pio_said *said) {
    return p->calls || said == &p->thought || (!said->begun && p->options.form->reasoning_open);
}

static void let_out(pio_answer_parser *p, const char *bytes, size_t n_bytes) {
    if (!p->muted && n_bytes)
        gather(p, p->reasoning && !p->open ? PIO_ANSWER_REASONING : PIO_ANSWER_TEXT, bytes, n_bytes);
}

static void let_out_space(pio_answer_parser *p, pio_said *said) {
    let_out(p, said->space.bytes, said->space.n_bytes);
    said->space.n_bytes = 0;
}

void pio_parser_say(pio_answer_parser *p, const char *bytes, size_t n_bytes) {
    pio_said *said = p->reasoning && !p->open ? &p->thought : &p->text;
    size_t n_first = 0, n_last = 0;
    while (n_first < n_bytes && pio_json_blank(bytes[n_first])) n_first++;
    if (n_first == n_bytes && holds_space(p, said)) {
        pio_parser_put(p, &said->space, bytes, n_bytes);
        return;
    }
    if (n_first < n_bytes) p->after_call = false;
    if (said->beside && !said->begun && n_first < n_bytes) { /* nothing before it that it would separate */
        said->space.n_bytes = 0;
        bytes += n_first, n_bytes -= n_first;
    }
    let_out_space(p, said);
    said->begun = true;
    said->beside = false;
    if (holds_space(p, said))
        while (n_last < n_bytes && pio_json_blank(bytes[n_bytes - 1 - n_last])) n_last++;
    let_out(p, bytes, n_bytes - n_last);
    pio_parser_put(p, &said->space, bytes + n_bytes - n_last, n_last);
}

void pio_parser_note_mark(pio_answer_parser *p) {
    p->text.beside = p->thought.beside = true;
}

/* What is held at the end was no mark's, unless it stands beside one. */
static void end_said(pio_answer_parser *p, bool reasoning) {
    pio_said *said = reasoning ? &p->thought : &p->text;
    p->reasoning = reasoning;
    if (!said->beside) let_out_space(p, said);
    said->space.n_bytes = 0;
}

/* ---- calls ---- */

bool pio_parser_takes_name(const pio_answer_parser *p, const char *name, size_t n_bytes, bool offered) {
    if (!n_bytes || n_bytes > PIO_MAX_TOOL_NAME || memchr(name, 0, n_bytes)) return false;
    return !offered || p->options.any_tool || pio_tools_find(p->options.tools, name, n_bytes);
}

void pio_parser_begin_call(pio_answer_parser *p, const char *name, size_t n_bytes) {
    const json_t *tool = pio_tools_find(p->options.tools, name, n_bytes);
    flush(p);
    pio_parser_note_mark(p);
    p->open = true;
    p->schema = json_object_get(tool, "parameters");
    snprintf(p->id, sizeof p->id, "call_%" PRId32 "_%016" PRIx64, p->n_calls++, p->options.answer_id);
    p->name.n_bytes = 0;
    pio_parser_put(p, &p->name, name, n_bytes);
    pio_parser_put(p, &p->name, "", 1);
    if (!p->status) give(p, PIO_ANSWER_CALL);
}

void pio_parser_end_call(pio_answer_parser *p) {
    flush(p);
    if (!p->status) give(p, PIO_ANSWER_CALL_END);
    p->open = false;
    p->after_call = true;
    p->step = pio_step_outside;
    p->n_space = (p->reasoning ? &p->thought : &p->text)->space.n_bytes;
    pio_parser_note_mark(p);
}

/* ---- input ---- */

/* All of the input that can be decided on. */
static void run(pio_answer_parser *p) {
    while (!p->status && p->step(p)) continue;
    memmove(p->input.bytes, p->input.bytes + p->at, p->input.n_bytes - p->at);
    p->input.n_bytes -= p->at;
    p->at = 0;
}

pio_status pio_answer_parser_push(pio_answer_parser *p, const char *bytes, size_t n_bytes, pio_error *error) {
    if (p->status || !n_bytes) return report(p, error);
    p->status = pio_utf8_gate_push(&p->gate, bytes, n_bytes, &p->input, NULL);
    if (!p->status && p->input.n_bytes) run(p);
    if (!p->status) flush(p);
    return report(p, error);
}

pio_status pio_answer_parser_finish(pio_answer_parser *p, pio_error *error) {
    if (p->status) return report(p, error);
    p->status = pio_utf8_gate_finish(&p->gate, &p->input, NULL);
    p->last = true;
    pio_parser_need(p, pio_text_reserve(&p->input, 1)); /* steps may point at its end */
    if (!p->status) run(p);
    if (p->in_json && !p->status) pio_json_call_finish(p);
    if (p->open && !p->status) pio_tag_call_finish(p);
    const bool reasoning = p->reasoning;
    end_said(p, !reasoning);
    end_said(p, reasoning);
    if (!p->status) flush(p);
    return report(p, error);
}

bool pio_answer_parser_is_reasoning(const pio_answer_parser *parser) {
    return parser->reasoning && !parser->open;
}

/* ---- the prompt ---- */

/* The part of the prompt that the answer goes on from. */
static const char *find_answer(const pio_answer_parser_options *o) {
    const pio_chat_form *form = o->form;
    const size_t n_turn = strlen(form->turn);
    if (!o->prompt) return NULL;
    const char *begin = o->prompt, *end = begin + o->n_prompt, *at = NULL;
    for (const char *next = begin; (next = memmem(next, (size_t)(end - next), form->turn, n_turn)); next += n_turn)
        at = next + n_turn;
    for (int i = 0; i < PIO_MAX_TURN_ENDS && at; i++)
        if (form->turn_ends[i] && memmem(at, (size_t)(end - at), form->turn_ends[i], strlen(form->turn_ends[i])))
            at = NULL;
    return at;
}

/* Reads what the prompt has of the answer, without events: then it is known whether reasoning is open. */
static void read_prompt(pio_answer_parser *p) {
    const pio_answer_parser_options *o = &p->options;
    const char *answer = find_answer(o);
    if (!answer) return;
    p->muted = p->last = true;
    pio_parser_put(p, &p->input, answer, (size_t)(o->prompt + o->n_prompt - answer));
    if (!p->status && p->input.n_bytes) run(p);
    p->text.space.n_bytes = p->thought.space.n_bytes = 0;
    p->muted = p->last = false;
}

pio_status pio_answer_parser_create(const pio_answer_parser_options *options, pio_answer_parser **out,
                                    pio_error *error) {
    *out = NULL;
    pio_answer_parser *p = calloc(1, sizeof *p);
    if (!p) return pio_fail_memory(error, "the answer's parser", sizeof *p);
    p->options = *options;
    p->step = pio_step_outside;
    read_prompt(p);
    p->options.prompt = NULL;
    p->calls = options->any_tool || json_array_size(options->tools);
    if (p->status) {
        pio_status status = report(p, error);
        pio_answer_parser_destroy(p);
        return status;
    }
    *out = p;
    return PIO_OK;
}

void pio_answer_parser_destroy(pio_answer_parser *p) {
    if (!p) return;
    pio_text *const texts[] = {&p->input, &p->text.space, &p->thought.space, &p->name, &p->out};
    for (size_t i = 0; i < PIO_COUNT(texts); i++) pio_text_free(texts[i]);
    pio_tag_call_free(&p->tag);
    pio_json_call_free(&p->json);
    free(p);
}
