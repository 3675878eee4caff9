/* From messages to text: a model with its tokenizer, chat template and defaults. One thread at a time. */
#ifndef PIO_ENGINE_ANSWER_H
#define PIO_ENGINE_ANSWER_H

#include <jansson.h>

#include "engine/parts.h"
#include "engine/request.h"
#include "text/chat.h"
#include "text/tokenizer.h"

typedef struct pio_speaker {
    pio_engine *engine;
    pio_tokenizer *tokenizer;
    pio_chat_template *chat; /* NULL: the directory has none */
    pio_generation generation;
} pio_speaker;

/* Opens tokenizer, template and defaults beside the loaded model, which the speaker then owns. */
pio_status pio_speaker_create(pio_model *model, pio_speaker **out, pio_error *error);
void pio_speaker_destroy(pio_speaker *speaker);

/* One text to be made. */
typedef struct pio_answer {
    /* Set by the caller; borrowed. */
    pio_sampling sampling;
    int32_t max_tokens;       /* 0: until the context is full, or the checkpoint's max_length is reached */
    const char *const *stops; /* the text ends before any of these */
    int32_t n_stops;
    const pio_picture *const *pictures; /* for which the prompt's image tokens stand */
    int32_t n_pictures;
    const pio_chat_form *form; /* by which the answer is taken apart; NULL: all of it is text */
    int32_t thinking_budget;   /* with a form: most tokens of reasoning, then it is closed; -1: any number */
    bool inline_reasoning;     /* with a form: stands in the text, between its marks */
    const json_t *tools;       /* that it may call, checked by pio_tools_check; NULL: none */
    /* Whole UTF-8 characters of the text as they come; false stops. NULL: nobody listens. */
    bool (*on_text)(void *user, const char *text, size_t bytes);
    /* With a form, instead: told everything. */
    bool (*on_event)(void *user, const pio_answer_event *event);
    void *user;

    /* Set by the run. */
    pio_text text; /* all of it, and what stood beside it; freed by pio_answer_free */
    pio_parts parts;
    pio_request request; /* counts, times and the reason of the end */
} pio_answer;

void pio_answer_free(pio_answer *answer);

/* How it ended: "stop", "tool_calls", "length" or "cancelled". */
const char *pio_answer_finish(const pio_answer *answer);

/* Whether it ended before its max_tokens, because the context or the checkpoint's max_length was full. */
bool pio_answer_was_cut(const pio_answer *answer);

/* The prompt of a chat: {"messages": [...], ...} through the template, as text, appended to *text; then through the
 * tokenizer, appended to *ids. A conversation with pictures is made by engine/prompt.h. */
pio_status pio_speaker_render_text(const pio_speaker *speaker, json_t *input, pio_text *text, pio_error *error);
pio_status pio_speaker_render(const pio_speaker *speaker, json_t *input, pio_token_ids *ids, pio_error *error);

/* Refuses what pio_check_prompt refuses, and a prompt to which max_length leaves no answer, with both numbers. */
pio_status pio_speaker_check(const pio_speaker *speaker, const pio_token_ids *prompt, int32_t max_tokens,
                             pio_error *error);

/* Continues the prompts, all together. */
pio_status pio_speaker_run(pio_speaker *speaker, const pio_token_ids *prompts, pio_answer *answers, int32_t n,
                           bool (*cancelled)(void *), void *user, pio_error *error);

#endif
