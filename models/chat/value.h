/* An argument's value that a model wrote as bare text, made JSON by what the tool's schema says of its type. */
#ifndef PIO_MODELS_CHAT_VALUE_H
#define PIO_MODELS_CHAT_VALUE_H

#include "models/chat/json_text.h"
#include "models/chat/schema.h"

/* Whether text that begins so may yet become something else than a string. `types` as pio_schema_types gives them: 0
 * allows whatever JSON there is. */
bool pio_value_undecided(uint32_t types, const char *text, size_t n_bytes);

/* Appends the whole value as JSON: of the first of null, integer, number, boolean, object and array that the types
 * allow and the text is, else a string. False: no memory. */
bool pio_value_write(uint32_t types, const char *text, size_t n_bytes, pio_text *out);

#endif
