/* The chat template of a checkpoint: conversations as the prompt that the model was trained on. */
#ifndef PIO_TEXT_CHAT_H
#define PIO_TEXT_CHAT_H

#include "text/template.h"

typedef struct pio_chat_template pio_chat_template;

/* Reads a checkpoint's directory in Hugging Face form: the template is chat_template.jinja, otherwise "chat_template"
 * in chat_template.json or tokenizer_config.json (a text, or a list of named ones, of which "tool_use" serves
 * conversations with tools and "default" the others). The special tokens of tokenizer_config.json and
 * special_tokens_map.json (each a text or an object with "content") are variables: bos_token, eos_token, ...
 * PIO_NOT_FOUND: no such directory or no template; PIO_CORRUPT and PIO_UNSUPPORTED as pio_template_compile. */
pio_status pio_chat_template_open(const char *checkpoint_dir, pio_chat_template **out, pio_error *error);

/* Reads a template's own file; there are no special tokens. */
pio_status pio_chat_template_open_file(const char *path, pio_chat_template **out, pio_error *error);

/* Appends the prompt to *out. `input` is a JSON object: "messages", perhaps "tools", "add_generation_prompt" (a
 * boolean), and any further variables of the template ("enable_thinking"); what it names goes before the special
 * tokens, and what neither names is undefined. It is only read. Failures as of pio_template_render. Threads: several
 * may render at once. */
pio_status pio_chat_template_render(const pio_chat_template *chat, json_t *input, pio_text *out, pio_error *error);

/* Accepts NULL. */
void pio_chat_template_free(pio_chat_template *chat);

#endif
