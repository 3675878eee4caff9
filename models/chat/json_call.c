/* Calls in JSON: {"name": ..., "arguments": {...}}, or a list of such objects. All of it is awaited and mended, then
 * its calls are given out whole. */
#include <stdlib.h>
#include <string.h>

#include "models/chat/parser.h"

void pio_json_call_free(pio_json_call *call) {
    pio_text_free(&call->raw);
    pio_text_free(&call->mended);
    pio_json_mend_free(&call->mender);
}

/* The text of a value, with as few digits as give the same numbers. */
static char *text_of(const json_t *value) {
    char *text = json_dumps(value, JSON_REAL_PRECISION(15));
    json_t *again = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    if (text && !json_equal(again, value)) {
        free(text);
        text = json_dumps(value, 0);
    }
    json_decref(again);
    return text;
}

/* The arguments of a call: an object, the text of one, or none. A new reference; NULL: something else. */
static json_t *arguments_of(pio_answer_parser *p, const json_t *call) {
    json_t *arguments = json_object_get(call, "arguments");
    if (!arguments) arguments = json_object_get(call, "parameters");
    if (!arguments || json_is_null(arguments)) return json_object();
    if (json_is_object(arguments)) return json_incref(arguments);
    if (!json_is_string(arguments)) return NULL;
    pio_text mended = {0};
    bool whole;
    const char *text = json_string_value(arguments);
    json_t *object = NULL;
    pio_parser_need(p, pio_json_mend_text(text, strlen(text), &mended, &whole));
    if (!p->status && mended.n_bytes) object = json_loadb(mended.bytes, mended.n_bytes, JSON_ALLOW_NUL, NULL);
    pio_text_free(&mended);
    if (json_is_object(object)) return object;
    json_decref(object);
    return *text ? NULL : json_object();
}

/* Gives out one call; false: it is none. */
static bool give_call(pio_answer_parser *p, const json_t *call) {
    const json_t *inner = json_object_get(call, "function");
    if (json_is_object(inner)) call = inner;
    const json_t *name = json_object_get(call, "name");
    if (!json_is_string(name)) return false;
    const char *text = json_string_value(name);
    if (!pio_parser_takes_name(p, text, json_string_length(name), p->reasoning)) return false;
    json_t *arguments = arguments_of(p, call);
    char *json = arguments ? text_of(arguments) : NULL;
    if (arguments) pio_parser_need(p, json != NULL);
    if (json) {
        pio_parser_begin_call(p, text, strlen(text));
        pio_parser_argue(p, json, strlen(json));
        pio_parser_end_call(p);
    }
    free(json);
    json_decref(arguments);
    return arguments != NULL;
}

/* All has come: it is one call, several, or text. */
void pio_json_call_finish(pio_answer_parser *p) {
    pio_json_call *call = &p->json;
    p->step = pio_step_outside;
    p->in_json = false;
    pio_parser_need(p, pio_json_mend_finish(&call->mender, &call->mended));
    if (p->status) return;
    json_t *value = json_loadb(call->mended.bytes, call->mended.n_bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool given = false;
    if (json_is_object(value)) given = give_call(p, value);
    for (size_t i = 0; i < json_array_size(value); i++) given |= give_call(p, json_array_get(value, i));
    json_decref(value);
    if (!given && !p->status) pio_parser_say(p, call->raw.bytes, call->raw.n_bytes);
}

static bool step_json(pio_answer_parser *p) {
    pio_json_call *call = &p->json;
    const char *at = pio_parser_at(p), *end = pio_parser_end(p);
    pio_mend state = PIO_MEND_MORE;
    if (at == end) return false;
    while (at < end && state == PIO_MEND_MORE) {
        state = pio_json_mend_byte(&call->mender, *at, &call->mended);
        if (state <= PIO_MEND_DONE) at++;
    }
    pio_parser_need(p, state != PIO_MEND_MEMORY);
    pio_parser_put(p, &call->raw, pio_parser_at(p), (size_t)(at - pio_parser_at(p)));
    pio_parser_take_to(p, at);
    if (state != PIO_MEND_MORE && !p->status) pio_json_call_finish(p);
    return true;
}

void pio_json_call_begin(pio_answer_parser *p, const char *at) {
    pio_json_call *call = &p->json;
    pio_json_mend_free(&call->mender);
    call->mender = (pio_json_mender){0};
    call->raw.n_bytes = call->mended.n_bytes = 0;
    pio_parser_put(p, &call->raw, pio_parser_at(p), (size_t)(at - pio_parser_at(p))); /* the mark, if it is no call */
    pio_parser_take_to(p, at);
    p->in_json = true;
    p->step = step_json;
}
