/* What can be asked of a result. */
#include <stdlib.h>

#include "api/plugin.h"

const char *pio_result_text(const pio_result *result) {
    return result->text.bytes;
}

size_t pio_result_text_bytes(const pio_result *result) {
    return result->text.n_bytes;
}

const char *pio_result_finish(const pio_result *result) {
    return result->finish;
}

int32_t pio_result_prompt_tokens(const pio_result *result) {
    return result->prompt_tokens;
}

int32_t pio_result_cached_tokens(const pio_result *result) {
    return result->cached_tokens;
}

int32_t pio_result_answer_tokens(const pio_result *result) {
    return result->answer_tokens;
}

double pio_result_prompt_seconds(const pio_result *result) {
    return result->prompt_seconds;
}

double pio_result_answer_seconds(const pio_result *result) {
    return result->answer_seconds;
}

void pio_result_free(pio_result *result) {
    if (!result) return;
    pio_text_free(&result->text);
    free(result);
}
