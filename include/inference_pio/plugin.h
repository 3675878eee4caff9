/* Models as plugins: one create function a model, and one life for all of them:
 *
 *     pio_plugin *p;
 *     pio_error error;
 *     pio_create_qwen3_4b_instruct_2507_plugin(&p, &error);
 *     pio_plugin_initialize(p, NULL);                             or settings, as below
 *     pio_plugin_load_model(p, NULL);                             or a checkpoint's directory
 *     pio_plugin_infer(p, &(pio_options){input, 1}, &result);     input: {"text", "What is 47 + 38?"}
 *     puts(pio_result_text(result));
 *     pio_result_free(result);
 *     pio_plugin_cleanup(p);
 *
 * Settings. Everything that can be set is a key of docs/configuration.md with a value as text. What
 * pio_plugin_initialize is given outranks the environment, which outranks a file, which outranks the checkpoint's
 * generation_config.json; a call for an answer may set the keys of answers anew, for itself alone.
 *
 * Errors. Functions return PIO_OK or say why not; pio_plugin_error has the sentence. A plugin can be used after any
 * failure but PIO_DEVICE_LOST. NULL for a plugin is PIO_INVALID_ARGUMENT.
 *
 * Ownership. Texts and lists that go in are borrowed until the call returns. What a getter returns belongs to the
 * plugin or the result. A result is independent of its plugin and lives until pio_result_free.
 *
 * Threads. pio_plugin_cancel may be called from any thread while the plugin exists, everything else of one plugin from
 * one thread at a time. A result may be read from several threads at once. Plugins are independent of each other. */
#ifndef INFERENCE_PIO_PLUGIN_H
#define INFERENCE_PIO_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inference_pio/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pio_plugin pio_plugin;
typedef struct pio_result pio_result;

/* Pairs of texts, UTF-8 and NUL-terminated. Where a pointer to a list is taken, NULL is the empty list. */
typedef struct pio_option {
    const char *key, *value;
} pio_option;

typedef struct pio_options {
    const pio_option *items;
    size_t n_items;
} pio_options;

/* ---- a plugin's life ---- */

/* A plugin of that model. *out is NULL on failure (PIO_OUT_OF_MEMORY). */
PIO_API pio_status pio_create_glm_4_7_flash_plugin(pio_plugin **out, pio_error *error);
PIO_API pio_status pio_create_qwen3_4b_instruct_2507_plugin(pio_plugin **out, pio_error *error);
PIO_API pio_status pio_create_qwen3_coder_30b_plugin(pio_plugin **out, pio_error *error);
PIO_API pio_status pio_create_qwen3_vl_2b_instruct_plugin(pio_plugin **out, pio_error *error);

/* Reads settings, before or after pio_plugin_initialize and before pio_plugin_load_model: a JSON object in a file, or
 * "NAME=value" texts with NULL at the end, of which the PIO_<KEY> count: pass `environ`. The library never looks at the
 * environment by itself. PIO_NOT_FOUND, PIO_CORRUPT, PIO_INVALID_ARGUMENT. */
PIO_API pio_status pio_plugin_read_config(pio_plugin *plugin, const char *path);
PIO_API pio_status pio_plugin_read_environment(pio_plugin *plugin, char *const *environment);

/* Takes the settings of this program. Unknown keys, values out of range and settings of other models are refused, and
 * the plugin is as it was before. Nothing is opened yet. */
PIO_API pio_status pio_plugin_initialize(pio_plugin *plugin, const pio_options *settings);

/* Opens the device and loads a checkpoint: a directory, or the name of a bundled model; NULL: the tiny checkpoint that
 * is bundled for this model, see pio_plugin_is_bundled. A model that was loaded before is closed first. The directory
 * must hold the plugin's model. Weights are read now: this can take minutes, and pio_plugin_cancel ends it
 * (PIO_CANCELLED). */
PIO_API pio_status pio_plugin_load_model(pio_plugin *plugin, const char *directory);

/* Frees the plugin; accepts NULL. */
PIO_API void pio_plugin_cleanup(pio_plugin *plugin);

/* ---- what there is to know of it; texts are valid until the next call on the plugin ---- */

PIO_API const char *pio_plugin_error(const pio_plugin *plugin);    /* of the last call; "": it succeeded */
PIO_API const char *pio_plugin_name(const pio_plugin *plugin);     /* "qwen3_4b_instruct_2507" */
PIO_API const char *pio_plugin_model(const pio_plugin *plugin);    /* directory of the loaded checkpoint; "": none */
PIO_API bool pio_plugin_is_bundled(const pio_plugin *plugin);      /* what is loaded is the bundled tiny checkpoint */
PIO_API const char *pio_plugin_device(const pio_plugin *plugin);   /* the device, and why this one; "": none yet */
PIO_API const char *pio_plugin_warnings(const pio_plugin *plugin); /* of loading, a line each; "": none */

/* The settings that count, as JSON: {key: {"value": ..., "from": ...}}. Needs a loaded model; NULL: failed. */
PIO_API const char *pio_plugin_settings(pio_plugin *plugin);

/* ---- answers ---- */

/* What a piece of an answer is part of. */
typedef enum pio_delta {
    PIO_DELTA_TEXT,
    PIO_DELTA_REASONING,
    PIO_DELTA_CALL_ID,        /* a tool call begins: its id, whole */
    PIO_DELTA_CALL_NAME,      /* then its name, whole */
    PIO_DELTA_CALL_ARGUMENTS, /* then pieces of its arguments: together a JSON object */
} pio_delta;

/* Told pieces of the answer as they come, in whole UTF-8 characters: `bytes` of `text`, which live for the call and
 * have no NUL behind them. `call` numbers the answer's tool calls from 0; it is 0 for text and reasoning. Returns false
 * to stop, which is no failure: the result holds what was said so far. Called from the thread that asked for the
 * answer; it must not call the plugin, but for pio_plugin_cancel. */
typedef bool (*pio_on_delta)(void *user, pio_delta delta, int32_t call, const char *text, size_t bytes);

/* Answers through the chat template are taken apart: reasoning and, where tools are offered, calls of them are not in
 * the text. An answer that ends within a call has the call completed. */

/* One user turn through the chat template. `input` has the key "text", for a model with eyes "image" too, as often as
 * there are pictures (a path, a file:// or data: URL, or base64), and keys of answers. *out is NULL on failure. */
PIO_API pio_status pio_plugin_infer(pio_plugin *plugin, const pio_options *input, pio_result **out);

/* Goes on from `prompt` as it stands, special tokens in it included. `settings` are keys of answers (max_tokens,
 * temperature, stop, ...); on_delta may be NULL. */
PIO_API pio_status pio_plugin_generate_text(pio_plugin *plugin, const char *prompt, const pio_options *settings,
                                            pio_on_delta on_delta, void *user, pio_result **out);

/* The next message of a conversation: a JSON list of {"role": ..., "content": ...}, or an object with it as "messages",
 * "tools" as in OpenAI's interface (a list of {"type": "function", "function": {"name", "description", "parameters"}}),
 * and further variables of the chat template. What a message's "tool_calls" have as "arguments" may be a JSON text. */
PIO_API pio_status pio_plugin_chat_completion(pio_plugin *plugin, const char *messages, const pio_options *settings,
                                              pio_on_delta on_delta, void *user, pio_result **out);

/* Ends the answer that is being made, or the loading, at the next step: the call returns the result so far. Without one
 * under way it does nothing. Any thread, signal handlers included. */
PIO_API void pio_plugin_cancel(pio_plugin *plugin);

/* ---- results; none of these fails ---- */

PIO_API const char *pio_result_text(const pio_result *result);      /* NUL-terminated; may hold NULs of its own */
PIO_API size_t pio_result_text_bytes(const pio_result *result);     /* without the one at the end */
PIO_API const char *pio_result_reasoning(const pio_result *result); /* what came before the answer; "": nothing */
PIO_API size_t pio_result_reasoning_bytes(const pio_result *result);
PIO_API int32_t pio_result_n_calls(const pio_result *result); /* of tools; the next three take 0 .. n_calls - 1 */
PIO_API const char *pio_result_call_id(const pio_result *result, int32_t call);
PIO_API const char *pio_result_call_name(const pio_result *result, int32_t call);
PIO_API const char *pio_result_call_arguments(const pio_result *result, int32_t call); /* JSON, an object */
PIO_API const char *pio_result_finish(const pio_result *result); /* "stop", "tool_calls", "length" or "cancelled" */
PIO_API int32_t pio_result_prompt_tokens(const pio_result *result);
PIO_API int32_t pio_result_cached_tokens(const pio_result *result); /* of the prompt, found in the KV cache */
PIO_API int32_t pio_result_answer_tokens(const pio_result *result); /* the end token not counted */
PIO_API double pio_result_prompt_seconds(const pio_result *result); /* until the first token */
PIO_API double pio_result_answer_seconds(const pio_result *result); /* from there to the last */
PIO_API void pio_result_free(pio_result *result);                   /* accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
