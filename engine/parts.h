/* The parts of an answer beside its text, as they are gathered: reasoning and tool calls. */
#ifndef PIO_ENGINE_PARTS_H
#define PIO_ENGINE_PARTS_H

#include "models/chat/answer_parser.h"
#include "text/tokenizer.h"

typedef struct pio_tool_call {
    char *id, *name;
    pio_text arguments; /* JSON, an object */
} pio_tool_call;

typedef struct pio_parts {
    pio_text reasoning;
    pio_tool_call *calls;
    int32_t n_calls, calls_capacity;
} pio_parts;

void pio_parts_free(pio_parts *parts);

/* Adds what the event says, unless it is of text. False: no memory. */
bool pio_parts_add(pio_parts *parts, const pio_answer_event *event);

/* The end of a prompt as text, where it stands whether the answer begins inside its reasoning; appended to *text. */
pio_status pio_parts_prompt(const pio_tokenizer *tokenizer, const int32_t *ids, int32_t n, pio_text *text,
                            pio_error *error);

#endif
