/* Inside of include/inference_pio/plugin.h. */
#ifndef PIO_API_PLUGIN_H
#define PIO_API_PLUGIN_H

#include <stdatomic.h>

#include "engine/answer.h"
#include "engine/config.h"
#include "inference_pio/plugin.h"

struct pio_plugin {
    const char *name; /* of its create function */
    const pio_model_family *family;
    pio_config config; /* without the checkpoint's settings */
    bool initialized, bundled;
    pio_speaker *speaker; /* NULL: nothing is loaded */
    atomic_bool cancelled;
    pio_error error;
    char device[1600];
    pio_text warnings; /* lines, NUL-terminated unless empty */
    char *settings;    /* what pio_plugin_settings returned last */
};

struct pio_result {
    pio_text text; /* NUL-terminated, like those of the parts */
    pio_parts parts;
    const char *finish;
    int32_t prompt_tokens, cached_tokens, answer_tokens;
    double prompt_seconds, answer_seconds;
};

/* Every call begins by forgetting the last one's failure and ends by forgetting what was overcome on the way. */
void pio_plugin_begin(pio_plugin *plugin);
pio_status pio_plugin_end(pio_plugin *plugin, pio_status status);

/* The loaded model's settings, the checkpoint's among them, with those of one call over them; the caller frees *out.
 * Keys for which `is_input` (may be NULL) is true are passed over. */
pio_status pio_plugin_call_config(pio_plugin *plugin, const pio_options *options, bool (*is_input)(const char *key),
                                  pio_config *out);

#endif
