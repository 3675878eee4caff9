/* Answers: from a text, a user turn or a conversation to a result. */
#include <stdlib.h>
#include <string.h>

#include "api/plugin.h"
#include "engine/prompt.h"
#include "models/chat/tools.h"

/* ---- making one ---- */

typedef struct listener {
    pio_on_delta on_delta;
    void *user;
    bool is_chat; /* the answer is taken apart */
    const json_t *tools;
    bool hides_reasoning;
} listener;

static bool tell(const listener *l, pio_delta delta, int32_t call, const char *text) {
    return l->on_delta(l->user, delta, call, text, strlen(text));
}

static bool on_event(void *user, const pio_answer_event *event) {
    const listener *l = user;
    switch (event->kind) {
    case PIO_ANSWER_TEXT:
        return l->on_delta(l->user, PIO_DELTA_TEXT, 0, event->bytes, event->n_bytes);
    case PIO_ANSWER_REASONING:
        return l->hides_reasoning || l->on_delta(l->user, PIO_DELTA_REASONING, 0, event->bytes, event->n_bytes);
    case PIO_ANSWER_CALL:
        return tell(l, PIO_DELTA_CALL_ID, event->index, event->id) &&
               tell(l, PIO_DELTA_CALL_NAME, event->index, event->name);
    case PIO_ANSWER_ARGUMENTS:
        return l->on_delta(l->user, PIO_DELTA_CALL_ARGUMENTS, event->index, event->bytes, event->n_bytes);
    case PIO_ANSWER_CALL_END:
        break;
    }
    return true;
}

static bool is_cancelled(void *user) {
    const pio_plugin *plugin = user;
    return atomic_load(&plugin->cancelled);
}

/* Puts a NUL behind the text, for the getters. */
static bool terminate(pio_text *text) {
    if (!pio_text_reserve(text, 1)) return false;
    text->bytes[text->n_bytes] = 0;
    return true;
}

static bool terminate_all(pio_answer *answer) {
    bool fits = terminate(&answer->text) && terminate(&answer->parts.reasoning);
    for (int32_t i = 0; i < answer->parts.n_calls && fits; i++) fits = terminate(&answer->parts.calls[i].arguments);
    return fits;
}

/* Moves the answer into a result. */
static pio_status take_result(pio_answer *answer, pio_result **out, pio_error *error) {
    const pio_request *r = &answer->request;
    pio_result *result = calloc(1, sizeof *result);
    if (!result || !terminate_all(answer)) {
        free(result);
        return pio_fail_memory(error, "the result", answer->text.n_bytes + 1);
    }
    *result = (pio_result){.text = answer->text,
                           .parts = answer->parts,
                           .finish = pio_answer_finish(answer),
                           .prompt_tokens = r->n_prompt,
                           .cached_tokens = r->n_reused,
                           .answer_tokens = r->n_generated,
                           .prompt_seconds = (double)r->prompt_ns / 1e9,
                           .answer_seconds = (double)r->decode_ns / 1e9};
    answer->text = (pio_text){0};
    answer->parts = (pio_parts){.n_calls = 0};
    *out = result;
    return PIO_OK;
}

/* Continues the prompt. */
static pio_status answer(pio_plugin *plugin, const pio_prompt *prompt, const pio_config *config, const listener *to,
                         pio_result **out) {
    pio_answer_settings settings;
    pio_chat_form form;
    listener told = *to;
    pio_config_answer(config, &settings);
    told.hides_reasoning = settings.hides_reasoning;
    pio_answer made = {.sampling = settings.sampling,
                       .max_tokens = settings.max_tokens,
                       .stops = settings.stops,
                       .n_stops = settings.n_stops,
                       .form = to->is_chat && pio_config_form(config, plugin->family, &form) ? &form : NULL,
                       .thinking_budget = settings.thinking_budget,
                       .inline_reasoning = settings.inline_reasoning,
                       .tools = to->tools,
                       .on_event = to->on_delta ? on_event : NULL,
                       .user = &told};
    pio_prompt_show(prompt, &made);
    pio_status status = pio_speaker_run(plugin->speaker, &prompt->ids, &made, 1, is_cancelled, plugin, &plugin->error);
    if (settings.hides_reasoning) made.parts.reasoning.n_bytes = 0;
    if (!status) status = take_result(&made, out, &plugin->error);
    pio_answer_free(&made);
    return status;
}

/* What every call begins with. */
static pio_status begin(pio_plugin *plugin, pio_result **out) {
    if (out) *out = NULL;
    if (!plugin) return PIO_INVALID_ARGUMENT;
    pio_plugin_begin(plugin);
    if (!out) return pio_fail(&plugin->error, PIO_INVALID_ARGUMENT, "there is no place for the result: NULL was given");
    if (!plugin->speaker)
        return pio_fail(&plugin->error, PIO_INVALID_ARGUMENT,
                        "no model is loaded: call pio_plugin_load_model before asking for answers");
    return PIO_OK;
}

static pio_status check_utf8(const char *what, const char *text, pio_error *error) {
    if (!text) return pio_fail(error, PIO_INVALID_ARGUMENT, "%s is missing: NULL was given", what);
    const size_t valid = pio_utf8_valid_prefix(text, strlen(text));
    if (!text[valid]) return PIO_OK;
    return pio_fail(error, PIO_INVALID_ARGUMENT, "%s is not valid UTF-8 from byte %zu on: give it in UTF-8", what,
                    valid);
}

/* ---- conversations ---- */

/* Renders `input`, a reference that is taken (NULL: no memory for it), and answers. */
static pio_status answer_chat(pio_plugin *plugin, json_t *input, const pio_config *config, const listener *to,
                              pio_result **out) {
    pio_prompt prompt;
    if (!input) return pio_fail_memory(&plugin->error, "the messages", sizeof *input);
    pio_status status = pio_prompt_make(plugin->speaker, input, &prompt, &plugin->error);
    if (!status) status = answer(plugin, &prompt, config, to, out);
    pio_prompt_free(&prompt);
    json_decref(input);
    return status;
}

/* Templates iterate over arguments: those that came as JSON text, as OpenAI's interface has them, become objects. */
static pio_status read_arguments(json_t *message, size_t number, pio_error *error) {
    json_t *call;
    size_t i;
    json_array_foreach(json_object_get(message, "tool_calls"), i, call) {
        json_t *inner = json_object_get(call, "function"), *holder = inner ? inner : call;
        const json_t *text = json_object_get(holder, "arguments");
        if (!json_is_string(text)) continue;
        json_t *arguments = json_loads(*json_string_value(text) ? json_string_value(text) : "{}", 0, NULL);
        if (!json_is_object(arguments) || json_object_set_new(holder, "arguments", arguments)) {
            json_decref(json_is_object(arguments) ? NULL : arguments);
            return pio_fail(error, PIO_INVALID_ARGUMENT,
                            "messages: the arguments of tool call %zu in message %zu are no JSON object", i, number);
        }
    }
    return PIO_OK;
}

static pio_status check_messages(json_t *messages, pio_error *error) {
    size_t i;
    json_t *message;
    if (!json_is_array(messages) || !json_array_size(messages))
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "messages: a list of at least one {\"role\": ..., \"content\": ...} is wanted");
    json_array_foreach(messages, i, message) {
        if (!json_is_string(json_object_get(message, "role")))
            return pio_fail(error, PIO_INVALID_ARGUMENT, "messages: message %zu has no \"role\"", i);
        pio_status status = read_arguments(message, i, error);
        if (status) return status;
    }
    return PIO_OK;
}

static pio_status parse_messages(const char *text, json_t **root, json_t **messages, pio_error *error) {
    json_error_t where;
    pio_status status = check_utf8("messages", text, error);
    if (status) return status;
    *root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!*root)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "messages: not valid JSON (line %d, column %d: %s)", where.line,
                        where.column, where.text);
    *messages = json_is_object(*root) ? json_object_get(*root, "messages") : *root;
    return check_messages(*messages, error);
}

pio_status pio_plugin_chat_completion(pio_plugin *plugin, const char *messages, const pio_options *settings,
                                      pio_on_delta on_delta, void *user, pio_result **out) {
    json_t *root = NULL, *list = NULL, *input = NULL;
    pio_config config = {0};
    pio_status status = begin(plugin, out);
    if (!status) status = parse_messages(messages, &root, &list, &plugin->error);
    const json_t *tools = json_object_get(root, "tools");
    if (!status && tools && !json_is_null(tools)) status = pio_tools_check("tools", tools, &plugin->error);
    if (!status) status = pio_plugin_call_config(plugin, settings, NULL, &config);
    if (!status) {
        input = pio_config_chat(&config, list);
        if (input && json_is_object(root) && json_object_update_missing(input, root)) {
            json_decref(input);
            input = NULL;
        }
        const listener to = {on_delta, user, true, tools, false};
        status = answer_chat(plugin, input, &config, &to, out);
    }
    json_decref(root);
    pio_config_free(&config);
    return pio_plugin_end(plugin, status);
}

/* ---- one turn, and raw text ---- */

static bool is_input(const char *key) {
    return !strcmp(key, "text") || !strcmp(key, "image");
}

/* The one text of an input, and the pictures before it: a user turn's content. */
static pio_status read_input(const pio_options *input, json_t **content, pio_error *error) {
    const char *text = NULL;
    json_t *parts = *content = json_array();
    pio_status status = PIO_OK;
    for (size_t i = 0; input && i < input->n_items && !status; i++) {
        const pio_option *o = &input->items[i];
        if (!o->key || !is_input(o->key)) continue;
        status = check_utf8(o->key, o->value, error);
        if (status) return status;
        if (!strcmp(o->key, "image")) {
            json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "image", "image", o->value));
            continue;
        }
        if (text) return pio_fail(error, PIO_INVALID_ARGUMENT, "the input has two texts: give one");
        text = o->value;
    }
    if (!text) return pio_fail(error, PIO_INVALID_ARGUMENT, "the input has no text: give {\"text\", \"...\"}");
    if (json_array_size(parts)) {
        json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "text", "text", text));
        return PIO_OK;
    }
    json_decref(parts);
    *content = json_string(text);
    return PIO_OK;
}

pio_status pio_plugin_infer(pio_plugin *plugin, const pio_options *input, pio_result **out) {
    json_t *content = NULL;
    pio_config config = {0};
    pio_status status = begin(plugin, out);
    if (!status) status = read_input(input, &content, &plugin->error);
    if (!status) status = pio_plugin_call_config(plugin, input, is_input, &config);
    if (!status) {
        json_t *messages = json_pack("[{s:s, s:O}]", "role", "user", "content", content);
        status = answer_chat(plugin, messages ? pio_config_chat(&config, messages) : NULL, &config,
                             &(listener){.is_chat = true}, out);
        json_decref(messages);
    }
    json_decref(content);
    pio_config_free(&config);
    return pio_plugin_end(plugin, status);
}

pio_status pio_plugin_generate_text(pio_plugin *plugin, const char *prompt, const pio_options *settings,
                                    pio_on_delta on_delta, void *user, pio_result **out) {
    pio_prompt whole = {0};
    pio_text text = {0};
    pio_config config = {0};
    pio_status status = begin(plugin, out);
    if (!status) status = check_utf8("the prompt", prompt, &plugin->error);
    if (!status) status = pio_plugin_call_config(plugin, settings, NULL, &config);
    if (!status)
        if (!pio_config_completion(&config, prompt, &text))
            status = pio_fail_memory(&plugin->error, "the prompt", strlen(prompt));
    if (!status)
        status = pio_tokenizer_encode(plugin->speaker->tokenizer, text.bytes, text.n_bytes, &whole.ids, &plugin->error);
    if (!status) status = answer(plugin, &whole, &config, &(listener){.on_delta = on_delta, .user = user}, out);
    pio_prompt_free(&whole);
    pio_text_free(&text);
    pio_config_free(&config);
    return pio_plugin_end(plugin, status);
}
