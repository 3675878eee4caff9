#include "engine/answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "engine/stops.h"
#include "text/utf8.h"

void pio_speaker_destroy(pio_speaker *speaker) {
    if (!speaker) return;
    pio_engine_destroy(speaker->engine);
    pio_tokenizer_close(speaker->tokenizer);
    pio_chat_template_free(speaker->chat);
    free(speaker);
}

pio_status pio_speaker_create(pio_model *model, pio_speaker **out, pio_error *error) {
    *out = NULL;
    pio_speaker *speaker = calloc(1, sizeof *speaker);
    if (!speaker) return pio_fail_memory(error, "the speaker", sizeof *speaker);
    pio_status status = pio_tokenizer_open(model->directory, &speaker->tokenizer, error);
    if (!status) status = pio_generation_read(model->directory, &speaker->generation, error);
    if (!status) {
        status = pio_chat_template_open(model->directory, &speaker->chat, error);
        if (status == PIO_NOT_FOUND) status = PIO_OK; /* needed only to render, which then says so */
    }
    if (!status) status = pio_engine_create(model, &speaker->engine, error);
    if (status) {
        pio_speaker_destroy(speaker);
        return status;
    }
    *out = speaker;
    return PIO_OK;
}

pio_status pio_speaker_render_text(const pio_speaker *speaker, json_t *input, pio_text *text, pio_error *error) {
    if (!speaker->chat)
        return pio_fail(error, PIO_NOT_FOUND,
                        "'%s' has no chat template: add chat_template.jinja from the published checkpoint",
                        pio_engine_model(speaker->engine)->directory);
    return pio_chat_template_render(speaker->chat, input, text, error);
}

pio_status pio_speaker_render(const pio_speaker *speaker, json_t *input, pio_token_ids *ids, pio_error *error) {
    pio_text text = {0};
    pio_status status = pio_speaker_render_text(speaker, input, &text, error);
    if (!status) status = pio_tokenizer_encode(speaker->tokenizer, text.bytes, text.n_bytes, ids, error);
    pio_text_free(&text);
    return status;
}

/* What one answer is made with: tokens become bytes, bytes whole characters, and characters leave once no stop string
 * can begin in them. */
typedef struct stream {
    const pio_speaker *speaker;
    pio_answer *answer;
    pio_utf8_gate gate;
    pio_text text;             /* all characters so far */
    size_t n_given;            /* bytes of them that were handed out */
    pio_answer_parser *parser; /* NULL: all is text */
    bool stopped;
    pio_token_ids ids; /* of the prompt and the answer, while there is a thinking budget */
    int32_t n_thought; /* tokens of reasoning */
    bool over;         /* they are all that was allowed */
    bool in_thought;   /* the text so far ends within reasoning */
    pio_status status;
    pio_error error;
} stream;

/* Gathers what the event says, and tells it. False: nobody wants more, or memory ran out. */
static bool hear(stream *s, const pio_answer_event *event) {
    const pio_answer *answer = s->answer;
    const bool fits = event->kind == PIO_ANSWER_TEXT ? pio_text_append(&s->answer->text, event->bytes, event->n_bytes)
                                                     : pio_parts_add(&s->answer->parts, event);
    if (!fits) {
        s->status = pio_fail_memory(&s->error, "the answer", event->n_bytes);
        return false;
    }
    if (answer->on_event) return answer->on_event(answer->user, event);
    return event->kind != PIO_ANSWER_TEXT || !answer->on_text ||
           answer->on_text(answer->user, event->bytes, event->n_bytes);
}

static bool on_event(void *user, const pio_answer_event *event) {
    stream *s = user;
    const bool thought = event->kind == PIO_ANSWER_REASONING;
    if (!s->answer->inline_reasoning) return hear(s, event);
    pio_answer_event told = *event;
    if (thought) told.kind = PIO_ANSWER_TEXT;
    if (thought == s->in_thought) return hear(s, &told);
    const pio_chat_form *form = s->answer->form;
    const char *mark = thought ? form->reasoning_open : form->reasoning_close;
    s->in_thought = thought;
    return hear(s, &(pio_answer_event){.kind = PIO_ANSWER_TEXT, .bytes = mark, .n_bytes = strlen(mark)}) &&
           hear(s, &told);
}

/* Hands out the characters before `until`. False: nobody wants more. */
static bool give(stream *s, size_t until) {
    size_t n = until - s->n_given;
    const char *from = s->text.bytes + s->n_given;
    s->n_given = until;
    if (!n) return true;
    if (!s->parser) return on_event(s, &(pio_answer_event){.kind = PIO_ANSWER_TEXT, .bytes = from, .n_bytes = n});
    pio_status status = pio_answer_parser_push(s->parser, from, n, &s->error);
    if (status && status != PIO_CANCELLED) s->status = status;
    return !status;
}

static bool keep_id(stream *s, int32_t id) {
    int32_t *place = PIO_PUSH(&s->ids, items);
    if (!place) s->status = pio_fail_memory(&s->error, "the answer's tokens", sizeof id);
    if (place) *place = id;
    return place != NULL;
}

static pio_status open_parser(stream *s, const pio_token_ids *prompt, pio_error *error) {
    pio_answer *answer = s->answer;
    pio_text tail = {0};
    if (!answer->form) return PIO_OK;
    pio_status status = pio_parts_prompt(s->speaker->tokenizer, prompt->items, prompt->n_items, &tail, error);
    const pio_answer_parser_options options = {.form = answer->form,
                                               .tools = answer->tools,
                                               .prompt = tail.bytes,
                                               .n_prompt = tail.n_bytes,
                                               .answer_id = answer->sampling.seed ^ (uint64_t)prompt->n_items << 40,
                                               .on_event = on_event,
                                               .user = s};
    if (!status) status = pio_answer_parser_create(&options, &s->parser, error);
    for (int32_t i = 0; i < prompt->n_items && !status && answer->thinking_budget >= 0; i++)
        if (!keep_id(s, prompt->items[i])) status = s->status;
    if (s->status && error) *error = s->error;
    pio_text_free(&tail);
    return status;
}

/* Counts a token of reasoning. False: it is one too many, or memory ran out. */
static bool may_think(stream *s, int32_t token) {
    if (!s->parser || s->answer->thinking_budget < 0 || s->over) return true;
    if (pio_answer_parser_is_reasoning(s->parser) && s->n_thought++ == s->answer->thinking_budget) s->over = true;
    return !s->over && keep_id(s, token);
}

static bool on_token(void *user, int32_t token) {
    stream *s = user;
    size_t bytes, looked_at = s->n_given;
    if (!may_think(s, token)) return false;
    const char *piece = pio_tokenizer_token_bytes(s->speaker->tokenizer, token, &bytes);
    s->status = pio_utf8_gate_push(&s->gate, piece, bytes, &s->text, &s->error);
    if (s->status) return false;
    size_t safe = pio_stops_safe(s->text.bytes + looked_at, s->text.n_bytes - looked_at, s->answer->stops,
                                 s->answer->n_stops, &s->stopped);
    if (!give(s, looked_at + safe)) s->stopped = true;
    return !s->stopped;
}

/* Says the end of the reasoning in the model's place, and makes the request for what follows. False: there is no room
 * for it, or no wish. */
static bool close_thoughts(stream *s, pio_request *next, pio_error *error) {
    pio_answer *answer = s->answer;
    const char *end = answer->form->reasoning_end;
    const int32_t context = pio_engine_model(s->speaker->engine)->options.context;
    *next = answer->request;
    answer->request.n_generated = --next->n_generated; /* the last one was one too many */
    answer->request.finish = PIO_FINISH_LENGTH;
    s->status = pio_tokenizer_encode(s->speaker->tokenizer, end, strlen(end), &s->ids, error);
    if (!s->status && !pio_text_append(&s->text, end, strlen(end)))
        s->status = pio_fail_memory(error, "the answer", strlen(end));
    if (s->status || !give(s, s->text.n_bytes)) return false;
    next->prompt = s->ids.items;
    next->n_prompt = s->ids.n_items;
    const int32_t most = next->max_tokens;
    if (most) next->max_tokens -= next->n_generated;
    return s->ids.n_items < context && (!most || next->max_tokens > 0);
}

/* Answers that have thought enough go on from the end of their reasoning, as from a longer prompt. */
static pio_status answer_after_thoughts(pio_speaker *speaker, stream *streams, int32_t n, bool (*cancelled)(void *),
                                        void *user, pio_error *error) {
    pio_status status = PIO_OK;
    for (int32_t i = 0; i < n && !status; i++) {
        stream *s = &streams[i];
        pio_request next, *const requests[] = {&next}, *first = &s->answer->request;
        if (!s->over || s->status) continue;
        const bool goes_on = close_thoughts(s, &next, error);
        status = s->status;
        if (!goes_on) continue;
        status = pio_engine_run(speaker->engine, requests, 1, cancelled, user, error);
        first->finish = next.finish;
        first->n_generated += next.n_generated;
        first->decode_ns += next.prompt_ns + next.decode_ns;
    }
    return status;
}

/* What was held back comes out, also of an answer that a stop string ended; not if a listener ended it. */
static pio_status finish(stream *s, pio_error *error) {
    if (!s->status && !s->stopped) {
        s->status = pio_utf8_gate_finish(&s->gate, &s->text, &s->error);
        if (!s->status) give(s, s->text.n_bytes);
    }
    if (!s->status && s->parser) {
        pio_status status = pio_answer_parser_finish(s->parser, &s->error);
        if (status && status != PIO_CANCELLED) s->status = status;
    }
    if (s->status && error) *error = s->error;
    return s->status;
}

pio_status pio_speaker_check(const pio_speaker *speaker, const pio_token_ids *prompt, int32_t max_tokens,
                             pio_error *error) {
    const pio_model *model = pio_engine_model(speaker->engine);
    const int32_t most = speaker->generation.max_length;
    pio_status status = pio_check_prompt(model, prompt->items, prompt->n_items, error);
    if (status || max_tokens || !most || prompt->n_items < most) return status;
    return pio_fail(error, PIO_LIMIT,
                    "the prompt has %d tokens and '%s/generation_config.json' allows %d with the answer (max_length): "
                    "shorten it or give max_tokens",
                    prompt->n_items, model->directory, most);
}

/* Of the answer; 0: until the context is full. */
static int32_t most_tokens(const pio_speaker *speaker, const pio_answer *answer, int32_t n_prompt) {
    const int32_t most = speaker->generation.max_length;
    return answer->max_tokens || !most ? answer->max_tokens : PIO_MAX(most - n_prompt, 1);
}

bool pio_answer_was_cut(const pio_answer *answer) {
    const pio_request *r = &answer->request;
    return r->finish == PIO_FINISH_LENGTH && (!answer->max_tokens || r->n_generated < answer->max_tokens);
}

const char *pio_answer_finish(const pio_answer *answer) {
    static const char *const names[] = {[PIO_FINISH_NONE] = "cancelled",
                                        [PIO_FINISH_STOP] = "stop",
                                        [PIO_FINISH_LENGTH] = "length",
                                        [PIO_FINISH_CANCELLED] = "cancelled"};
    const bool calls = answer->request.finish == PIO_FINISH_STOP && answer->parts.n_calls;
    return calls ? "tool_calls" : names[answer->request.finish];
}

pio_status pio_speaker_run(pio_speaker *speaker, const pio_token_ids *prompts, pio_answer *answers, int32_t n,
                           bool (*cancelled)(void *), void *user, pio_error *error) {
    stream *streams = calloc((size_t)n + 1, sizeof *streams);
    pio_request **requests = calloc((size_t)n + 1, sizeof *requests);
    pio_status status =
        streams && requests ? PIO_OK : pio_fail_memory(error, "the answers", sizeof *streams * (size_t)n);
    for (int32_t i = 0; i < n && !status; i++) {
        answers[i].request = (pio_request){.prompt = prompts[i].items,
                                           .n_prompt = prompts[i].n_items,
                                           .pictures = answers[i].pictures,
                                           .n_pictures = answers[i].n_pictures,
                                           .sampling = answers[i].sampling,
                                           .max_tokens = most_tokens(speaker, &answers[i], prompts[i].n_items),
                                           .end_ids = speaker->generation.end_ids,
                                           .n_end_ids = speaker->generation.n_end_ids,
                                           .on_token = on_token,
                                           .user = &streams[i]};
        streams[i] = (stream){.speaker = speaker, .answer = &answers[i]};
        requests[i] = &answers[i].request;
        status = pio_sampling_check(&answers[i].sampling, pio_engine_model(speaker->engine)->config.common.vocab_size,
                                    error);
        if (!status) status = pio_speaker_check(speaker, &prompts[i], answers[i].max_tokens, error);
        if (!status) status = open_parser(&streams[i], &prompts[i], error);
    }
    if (!status) status = pio_engine_run(speaker->engine, requests, n, cancelled, user, error);
    if (!status) status = answer_after_thoughts(speaker, streams, n, cancelled, user, error);
    for (int32_t i = 0; i < n && streams; i++) {
        if (!status) status = finish(&streams[i], error);
        pio_text_free(&streams[i].text);
        pio_answer_parser_destroy(streams[i].parser);
        free(streams[i].ids.items);
    }
    free(streams);
    free(requests);
    return status;
}

void pio_answer_free(pio_answer *answer) {
    pio_text_free(&answer->text);
    pio_parts_free(&answer->parts);
}
