/* The settings of a model and of its answers: the keys of config.def, set as text or JSON, each value with its origin.
 *
 * A value of a higher origin stays whatever a lower one says, in whatever order they are read; within one origin the
 * last one counts. All values are checked when they are set, so that what is stored is in range. One thread. */
#ifndef PIO_ENGINE_CONFIG_H
#define PIO_ENGINE_CONFIG_H

#include <jansson.h>

#include "engine/options.h"
#include "engine/sampling.h"
#include "text/utf8.h"

enum { PIO_MAX_STOPS = 16 };

typedef enum pio_key {
#define PIO_KEY(NAME, name, section, type, least, most, otherwise, choices, model, help) PIO_KEY_##NAME,
#include "engine/config.def"
#undef PIO_KEY
    PIO_KEY_COUNT
} pio_key;

typedef enum pio_section {
    PIO_SECTION_HARDWARE = 1 << 0,
    PIO_SECTION_MEMORY = 1 << 1,
    PIO_SECTION_TUNING = 1 << 2,
    PIO_SECTION_ANSWER = 1 << 3,
    PIO_SECTION_FILES = 1 << 4,
    PIO_SECTION_DEVICE = 1 << 5, /* which device, and what of it */
    PIO_SECTIONS_ALL = (1 << 6) - 1,
} pio_section;

typedef enum pio_key_type {
    PIO_SETTING_INTEGER,
    PIO_SETTING_NUMBER,
    PIO_SETTING_BYTES,
    PIO_SETTING_SWITCH,
    PIO_SETTING_CHOICE,
    PIO_SETTING_CHOICES,
    PIO_SETTING_TEXT,
    PIO_SETTING_TEXTS,
} pio_key_type;

typedef struct pio_key_info {
    const char *name;
    pio_section section;
    pio_key_type type;
    double least, most;    /* of a list: most items */
    const char *otherwise; /* the default, as text; "": none */
    const char *choices;   /* "a, b or c" */
    const char *model;     /* "": every model */
    const char *help;
} pio_key_info;

const pio_key_info *pio_key_get(pio_key key);
pio_key pio_key_find(const char *name, size_t bytes); /* PIO_KEY_COUNT: there is none */

/* The key whose name is nearest to what somebody wrote; PIO_KEY_COUNT: none is near. */
pio_key pio_key_nearest(const char *name);

/* Lowest first. */
typedef enum pio_origin {
    PIO_ORIGIN_DEFAULT,
    PIO_ORIGIN_CHECKPOINT,  /* its generation_config.json */
    PIO_ORIGIN_FILE,        /* a JSON file */
    PIO_ORIGIN_ENVIRONMENT, /* PIO_<KEY> */
    PIO_ORIGIN_CALLER,      /* the command line, or a program by the C API */
} pio_origin;

typedef struct pio_config {
    struct {
        json_t *value; /* an integer, real, boolean, string or list of strings; NULL: not set */
        pio_origin origin;
        char *source; /* what it was set by, for people: "PIO_THREADS", "--threads", a file's path */
    } items[PIO_KEY_COUNT];
} pio_config;

void pio_config_free(pio_config *config); /* begin with {0} */

/* A copy, whose values may be changed without changing the first. */
pio_status pio_config_copy(const pio_config *from, pio_config *to, pio_error *error);

/* Sets a key from text. `source` names the place in errors and in plans. Lists take a JSON list of texts or one text
 * alone (CHOICES: comma-separated); with `add` the items join those of the same origin. */
pio_status pio_config_set(pio_config *config, pio_origin origin, const char *source, pio_key key, const char *text,
                          bool add, pio_error *error);

/* The same for a key by name: an unknown one is refused, with the nearest name. */
pio_status pio_config_set_named(pio_config *config, pio_origin origin, const char *source, const char *name,
                                const char *text, pio_error *error);

/* A JSON file: one object, with keys of config.def. null leaves a key alone. */
pio_status pio_config_read_file(pio_config *config, const char *path, pio_error *error);

/* PIO_<KEY> of "NAME=value" texts (NULL at the end), of the keys of `sections` (pio_section bits). An empty value sets
 * nothing; other variables are passed over, but for XDG_CACHE_HOME and HOME, which give cache_directory a default. */
pio_status pio_config_read_environment(pio_config *config, int sections, char *const *environment, pio_error *error);

/* generation_config.json of a checkpoint's directory. */
pio_status pio_config_read_checkpoint(pio_config *config, const char *directory, pio_error *error);

/* Refuses keys that were set and belong to another model than the one of this folder in models/. */
pio_status pio_config_check_model(const pio_config *config, const char *model, pio_error *error);

/* ---- values: the one set, else the default ---- */

bool pio_config_is_set(const pio_config *config, pio_key key);
int64_t pio_config_integer(const pio_config *config, pio_key key); /* INTEGER, BYTES; without a value 0 */
double pio_config_number(const pio_config *config, pio_key key);
bool pio_config_switch(const pio_config *config, pio_key key);
const char *pio_config_text(const pio_config *config, pio_key key);          /* CHOICE, TEXT; NULL: none */
int32_t pio_config_count(const pio_config *config, pio_key key);             /* of a list */
const char *pio_config_at(const pio_config *config, pio_key key, int32_t i); /* of a list */

/* The value as a JSON value; JSON's null: none. A new reference; NULL: no memory. */
json_t *pio_config_value(const pio_config *config, pio_key key);

/* All settings that `model` takes, as {key: {"value": ..., "from": ...}} in the order of config.def; `from` is the
 * source, "default", or "chosen" for what the model settled when it was opened. A new reference; NULL: no memory. */
json_t *pio_config_show(const pio_config *config, const pio_model *model);

/* ---- what the values are for ---- */

/* All but the section of answers; texts stay the config's. Callbacks and the like are left as they are. */
pio_status pio_config_engine(const pio_config *config, pio_engine_options *options, pio_error *error);

/* What the section of answers says. Points into itself and into the config: not to be copied. */
typedef struct pio_answer_settings {
    pio_sampling sampling; /* without a seed the clock's is taken */
    int32_t max_tokens;    /* 0: until the context is full */
    const char *stops[PIO_MAX_STOPS];
    int32_t n_stops;
    int32_t thinking_budget; /* -1: none */
    bool hides_reasoning, inline_reasoning;
    pio_logit_bias biases[PIO_MAX_LOGIT_BIASES];
} pio_answer_settings;

void pio_config_answer(const pio_config *config, pio_answer_settings *settings);

/* The form by which an answer is taken apart: that of the family, with what the settings say of calls.
 * False: not at all. */
bool pio_config_form(const pio_config *config, const pio_model_family *family, pio_chat_form *form);

/* The prompt of a completion: `prefix` alone, or around the place to be filled in, with the marks that Qwen's coders
 * know. Appended to *out; false: no memory. */
bool pio_config_completion(const pio_config *config, const char *prefix, pio_text *out);

/* What a chat template takes: {"messages": [...], "add_generation_prompt": true}, with the system message before
 * messages that have none. A new reference; NULL: no memory. */
json_t *pio_config_chat(const pio_config *config, json_t *messages);

#endif
