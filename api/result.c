/* What can be asked of a result. */
#include <stdlib.h>

#include "api/plugin.h"

/* Of no result everything is empty. */
static const pio_result *of(const pio_result *result) {
    static char empty[] = "";
    static const pio_result none = {
        .text = {.bytes = empty}, .parts = {.reasoning = {.bytes = empty}}, .finish = empty};
    return result ? result : &none;
}

const char *pio_result_text(const pio_result *result) {
    return of(result)->text.bytes;
}

size_t pio_result_text_bytes(const pio_result *result) {
    return of(result)->text.n_bytes;
}

const char *pio_result_reasoning(const pio_result *result) {
    return of(result)->parts.reasoning.bytes;
}

size_t pio_result_reasoning_bytes(const pio_result *result) {
    return of(result)->parts.reasoning.n_bytes;
}

int32_t pio_result_n_calls(const pio_result *result) {
    return of(result)->parts.n_calls;
}

static const pio_tool_call *call_at(const pio_result *result, int32_t call) {
    static char nothing[] = "", object[] = "{}";
    static const pio_tool_call none = {.id = nothing, .name = nothing, .arguments = {.bytes = object}};
    return call >= 0 && call < of(result)->parts.n_calls ? &of(result)->parts.calls[call] : &none;
}

const char *pio_result_call_id(const pio_result *result, int32_t call) {
    return call_at(result, call)->id;
}

const char *pio_result_call_name(const pio_result *result, int32_t call) {
    return call_at(result, call)->name;
}

const char *pio_result_call_arguments(const pio_result *result, int32_t call) {
    return call_at(result, call)->arguments.bytes;
}

const char *pio_result_finish(const pio_result *result) {
    return of(result)->finish;
}

int32_t pio_result_prompt_tokens(const pio_result *result) {
    return of(result)->prompt_tokens;
}

int32_t pio_result_cached_tokens(const pio_result *result) {
    return of(result)->cached_tokens;
}

int32_t pio_result_answer_tokens(const pio_result *result) {
    return of(result)->answer_tokens;
}

double pio_result_prompt_seconds(const pio_result *result) {
    return of(result)->prompt_seconds;
}

double pio_result_answer_seconds(const pio_result *result) {
    return of(result)->answer_seconds;
}

void pio_result_free(pio_result *result) {
    if (!result) return;
    pio_text_free(&result->text);
    pio_parts_free(&result->parts);
    free(result);
}
