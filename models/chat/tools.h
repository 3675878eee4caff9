/* The tools that a request offers: a JSON array of {"type": "function", "function": {"name", "description",
 * "parameters"}} or of the inner objects alone. `parameters` is a JSON schema of the arguments. */
#ifndef PIO_MODELS_CHAT_TOOLS_H
#define PIO_MODELS_CHAT_TOOLS_H

#include <jansson.h>

#include "base/status.h"

enum { PIO_MAX_TOOL_NAME = 256 }; /* bytes */

/* Reads and checks; `source` names the text in errors ("--tools 'f.json'"). The caller owns *out. */
pio_status pio_tools_parse(const char *source, const char *text, size_t n_bytes, json_t **out, pio_error *error);

/* Refuses what is not an array of objects with names, each name once, and parameters that are no schema. */
pio_status pio_tools_check(const char *source, const json_t *tools, pio_error *error);

/* The tool of that name: the object with "name" and "parameters"; NULL: there is none. `tools` may be NULL. */
const json_t *pio_tools_find(const json_t *tools, const char *name, size_t n_bytes);

/* The longest name of a tool that `text` begins with; 0: none does. */
size_t pio_tools_longest(const json_t *tools, const char *text, size_t n_bytes);

#endif
