#include "engine/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/status.h"

enum { TAIL_TOKENS = 1024 };

void pio_parts_free(pio_parts *parts) {
    for (int32_t i = 0; i < parts->n_calls; i++) {
        free(parts->calls[i].id);
        free(parts->calls[i].name);
        pio_text_free(&parts->calls[i].arguments);
    }
    free(parts->calls);
    pio_text_free(&parts->reasoning);
    *parts = (pio_parts){.n_calls = 0};
}

static bool add_call(pio_parts *parts, const pio_answer_event *event) {
    pio_tool_call *call = PIO_PUSH(parts, calls);
    if (!call) return false;
    call->id = strdup(event->id);
    call->name = strdup(event->name);
    return call->id && call->name;
}

bool pio_parts_add(pio_parts *parts, const pio_answer_event *event) {
    switch (event->kind) {
    case PIO_ANSWER_REASONING:
        return pio_text_append(&parts->reasoning, event->bytes, event->n_bytes);
    case PIO_ANSWER_CALL:
        return add_call(parts, event);
    case PIO_ANSWER_ARGUMENTS:
        return pio_text_append(&parts->calls[event->index].arguments, event->bytes, event->n_bytes);
    case PIO_ANSWER_TEXT:
    case PIO_ANSWER_CALL_END:
        break;
    }
    return true;
}

pio_status pio_parts_prompt(const pio_tokenizer *tokenizer, const int32_t *ids, int32_t n, pio_text *text,
                            pio_error *error) {
    for (int32_t i = n > TAIL_TOKENS ? n - TAIL_TOKENS : 0; i < n; i++) {
        size_t bytes;
        const char *piece = pio_tokenizer_token_bytes(tokenizer, ids[i], &bytes);
        if (bytes && !pio_text_append(text, piece, bytes)) return pio_fail_memory(error, "the prompt's end", bytes);
    }
    return PIO_OK;
}
