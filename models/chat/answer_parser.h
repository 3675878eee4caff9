/* What an answer is made of - reasoning, text, tool calls - taken apart while it comes.
 *
 * Bytes are pushed as tokens bring them, cut anywhere; events come out at once, but for what may still turn out to be
 * part of a mark. However the bytes are cut, the same text gives the same events, the deltas of a run joined.
 *
 * - Reasoning stands between the form's marks. Whether the answer begins inside it is read off the rendered prompt:
 *   templates may open it there (GLM), or open and close it at once. An opening mark counts only before the first text,
 *   a stray closing one too; elsewhere they are text, as in an answer about such marks.
 * - White space beside a mark belongs to it. White space between two pieces of text stays.
 * - Calls are looked for where the request offers tools. A mark that no call follows is text. A call inside reasoning
 *   must name an offered tool, as must one that lacks the mark before it; reasoning goes on behind it.
 * - A call's arguments are one JSON object. What was given out of it is never taken back: all deltas joined are the
 *   final text. A string's beginning goes out as soon as it is known to be one. Values that come as bare text get the
 *   types of the tool's schema (models/chat/value.h).
 * - Calls that are malformed are repaired where their meaning is clear: marks missing, doubled or cut, JSON that
 *   models/chat/json_mend.h mends. What belongs to no call goes out as text; only marks are dropped, and what stands
 * between a call's arguments.
 * - At the end an open call is completed. One whose name had not come whole is text, unless it is an offered tool's.
 *
 * Threads: one at a time. The parser makes no copy of form, tools and prompt's owner; it needs the prompt only while
 * it is created, form and tools until it is destroyed. */
#ifndef PIO_MODELS_CHAT_ANSWER_PARSER_H
#define PIO_MODELS_CHAT_ANSWER_PARSER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "models/chat/chat_form.h"

typedef enum pio_answer_event_kind {
    PIO_ANSWER_TEXT,      /* bytes: more of the answer */
    PIO_ANSWER_REASONING, /* bytes: more of the reasoning */
    PIO_ANSWER_CALL,      /* a call begins */
    PIO_ANSWER_ARGUMENTS, /* bytes: more of its arguments' JSON text */
    PIO_ANSWER_CALL_END,  /* the arguments are whole, an object */
} pio_answer_event_kind;

/* Valid during the callback. Bytes are whole UTF-8 characters, at least one, without a NUL behind them. */
typedef struct pio_answer_event {
    pio_answer_event_kind kind;
    const char *bytes;
    size_t n_bytes;
    /* Of the call, in the last three kinds. */
    int32_t index;  /* 0 for the answer's first call, then 1, 2, ... */
    const char *id; /* "call_<index>_<answer_id in hex>" */
    const char *name;
} pio_answer_event;

typedef struct pio_answer_parser_options {
    const pio_chat_form *form;
    const json_t *tools; /* of the request, checked by pio_tools_check; NULL or empty: none, calls are text */
    bool any_tool;       /* looks for calls even so, and takes any name for that of an offered tool */
    const char *prompt;  /* as rendered; NULL: the answer goes on from nothing */
    size_t n_prompt;
    uint64_t answer_id;                                          /* makes the ids of calls differ between answers */
    bool (*on_event)(void *user, const pio_answer_event *event); /* false stops */
    void *user;
} pio_answer_parser_options;

typedef struct pio_answer_parser pio_answer_parser;

/* *out is NULL on failure. */
pio_status pio_answer_parser_create(const pio_answer_parser_options *options, pio_answer_parser **out,
                                    pio_error *error);

/* More of the answer. Ill-formed UTF-8 becomes U+FFFD. PIO_CANCELLED: on_event returned false; PIO_OUT_OF_MEMORY.
 * After a failure every call returns it again. */
pio_status pio_answer_parser_push(pio_answer_parser *parser, const char *bytes, size_t n_bytes, pio_error *error);

/* The answer has ended: what was held comes out, an open call is completed. Nothing may be pushed afterwards. */
pio_status pio_answer_parser_finish(pio_answer_parser *parser, pio_error *error);

/* Whether what comes next is reasoning, for a thinking budget. */
bool pio_answer_parser_is_reasoning(const pio_answer_parser *parser);

void pio_answer_parser_destroy(pio_answer_parser *parser); /* accepts NULL */

#endif
