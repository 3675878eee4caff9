/* Values of settings: from text or JSON to what engine/config.h stores, checked against the key's type and range. */
#ifndef PIO_ENGINE_CONFIG_PARSE_H
#define PIO_ENGINE_CONFIG_PARSE_H

#include "engine/config.h"

/* From text; `source` names the place in the sentence. With `literal` a list is this one text. The caller owns *out. */
pio_status pio_key_parse(const pio_key_info *key, const char *source, const char *text, bool literal, json_t **out,
                         pio_error *error);

/* From a JSON value, of the key's type or a text that is parsed. */
pio_status pio_key_check(const pio_key_info *key, const char *source, const json_t *value, json_t **out,
                         pio_error *error);

/* "12=1.5" */
bool pio_bias_parse(const char *text, pio_logit_bias *out);

#endif
