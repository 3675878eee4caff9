#include "engine/config.h"

#include <stdlib.h>
#include <string.h>

#include "engine/config_parse.h"
#include "engine/device.h"
#include "io/json.h"
#include "io/quant_cache.h"

enum { FILE_LIMIT_BYTES = 1 << 20 };

static const char backend_choices[] = "auto"
#define PIO_BACKEND(NAME, name, built) ", " #name
#include "hal/backends.def"
#undef PIO_BACKEND
    ;

static const pio_key_info keys[PIO_KEY_COUNT] = {
#define PIO_KEY(NAME, name, section, type, least, most, otherwise, choices, model, help)                               \
    [PIO_KEY_##NAME] = {#name, PIO_SECTION_##section, PIO_SETTING_##type, least, most, otherwise, choices, model, help},
#include "engine/config.def"
#undef PIO_KEY
};

const pio_key_info *pio_key_get(pio_key key) {
    return &keys[key];
}

pio_key pio_key_find(const char *name, size_t bytes) {
    int key = 0;
    while (key < PIO_KEY_COUNT && (strlen(keys[key].name) != bytes || memcmp(keys[key].name, name, bytes))) key++;
    return (pio_key)key;
}

/* ---- what is stored ---- */

void pio_config_free(pio_config *config) {
    for (int key = 0; key < PIO_KEY_COUNT; key++) {
        json_decref(config->items[key].value);
        free(config->items[key].source);
    }
    *config = (pio_config){0};
}

/* Stores the value, whose reference it takes; NULL: memory ran out. */
static pio_status store(pio_config *config, pio_origin origin, const char *source, pio_key key, json_t *value,
                        pio_error *error) {
    char *copy = value ? strdup(source) : NULL;
    if (!copy) {
        json_decref(value);
        return pio_fail_memory(error, keys[key].name, strlen(source) + 1);
    }
    json_decref(config->items[key].value);
    free(config->items[key].source);
    config->items[key].value = value;
    config->items[key].source = copy;
    config->items[key].origin = origin;
    return PIO_OK;
}

pio_status pio_config_copy(const pio_config *from, pio_config *to, pio_error *error) {
    pio_status status = PIO_OK;
    *to = (pio_config){0};
    for (int key = 0; key < PIO_KEY_COUNT && !status; key++)
        if (from->items[key].value) /* values are replaced, never changed: a second reference is a copy */
            status = store(to, from->items[key].origin, from->items[key].source, (pio_key)key,
                           json_incref(from->items[key].value), error);
    if (status) pio_config_free(to);
    return status;
}

/* Whether a higher origin has spoken. */
static bool is_settled(const pio_config *config, pio_origin origin, pio_key key) {
    return config->items[key].value && config->items[key].origin > origin;
}

/* The items of the key's list and then those of `value`, whose reference it takes. */
static json_t *join(const pio_config *config, pio_key key, json_t *value) {
    json_t *all = json_copy(config->items[key].value);
    if (!all || json_array_extend(all, value)) {
        json_decref(all);
        all = NULL;
    }
    json_decref(value);
    return all;
}

pio_status pio_config_set(pio_config *config, pio_origin origin, const char *source, pio_key key, const char *text,
                          bool add, pio_error *error) {
    json_t *value = NULL;
    pio_status status = pio_key_parse(&keys[key], source, text, add, &value, error);
    if (status || is_settled(config, origin, key)) {
        json_decref(value);
        return status;
    }
    if (add && config->items[key].value && config->items[key].origin == origin) {
        value = join(config, key, value);
        if (value && json_array_size(value) > keys[key].most) {
            json_decref(value);
            return pio_fail(error, PIO_LIMIT, "%s may be given at most %g times; '%.40s' is too many", source,
                            keys[key].most, text);
        }
    }
    return store(config, origin, source, key, value, error);
}

static pio_status fail_unknown(const char *source, const char *name, pio_error *error) {
    const pio_key near = pio_key_nearest(name);
    return pio_fail(error, PIO_INVALID_ARGUMENT, "%s%sthere is no setting '%.60s'%s%s", source, *source ? ": " : "",
                    name, near == PIO_KEY_COUNT ? ": docs/configuration.md lists them" : ": did you mean ",
                    near == PIO_KEY_COUNT ? "" : keys[near].name);
}

pio_status pio_config_set_named(pio_config *config, pio_origin origin, const char *source, const char *name,
                                const char *text, pio_error *error) {
    const pio_key key = pio_key_find(name, strlen(name));
    if (key == PIO_KEY_COUNT) return fail_unknown(source, name, error);
    pio_status status = pio_config_set(config, origin, name, key, text, false, error);
    return status && *source ? pio_fail_prefix(error, "%s", source) : status;
}

/* ---- where values come from ---- */

static pio_status read_member(pio_config *config, const char *path, const char *name, const json_t *member,
                              pio_error *error) {
    const pio_key key = pio_key_find(name, strlen(name));
    char file[280];
    snprintf(file, sizeof file, "'%.270s'", path);
    if (key == PIO_KEY_COUNT) return fail_unknown(file, name, error);
    if (json_is_null(member)) return PIO_OK;
    json_t *value = NULL;
    pio_status status = pio_key_check(&keys[key], name, member, &value, error);
    if (status) return pio_fail_prefix(error, "%s", file);
    if (!is_settled(config, PIO_ORIGIN_FILE, key)) return store(config, PIO_ORIGIN_FILE, path, key, value, error);
    json_decref(value);
    return PIO_OK;
}

pio_status pio_config_read_file(pio_config *config, const char *path, pio_error *error) {
    pio_json *file;
    pio_status status = pio_json_load(path, FILE_LIMIT_BYTES, &file, error);
    if (status) return status;
    json_t *root = (json_t *)pio_json_root(file).json, *member;
    const char *name;
    json_object_foreach(root, name, member) {
        if (!status) status = read_member(config, path, name, member, error);
    }
    pio_json_free(file);
    return status;
}

/* The key whose variable `setting` ("PIO_THREADS=4") is; PIO_KEY_COUNT: none. */
static pio_key key_of_variable(const char *setting, size_t bytes) {
    char name[64];
    if (bytes < 5 || bytes - 4 >= sizeof name || memcmp(setting, "PIO_", 4)) return PIO_KEY_COUNT;
    for (size_t i = 4; i < bytes; i++) {
        const char c = setting[i];
        if (c >= 'a' && c <= 'z') return PIO_KEY_COUNT;
        name[i - 4] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return pio_key_find(name, bytes - 4);
}

/* Where caches lie unless somebody says otherwise. */
static pio_status default_cache(pio_config *config, const char *xdg, const char *home, pio_error *error) {
    char *directory;
    pio_status status = pio_quant_cache_directory(xdg, home, &directory, error);
    if (status == PIO_NOT_FOUND) return PIO_OK; /* missed only by who asks for the cache */
    if (!status)
        status =
            pio_config_set(config, PIO_ORIGIN_DEFAULT, "default", PIO_KEY_CACHE_DIRECTORY, directory, false, error);
    free(directory);
    return status;
}

pio_status pio_config_read_environment(pio_config *config, int sections, char *const *environment, pio_error *error) {
    const char *xdg = NULL, *home = NULL;
    for (; environment && *environment; environment++) {
        if (!strncmp(*environment, "XDG_CACHE_HOME=", 15)) xdg = *environment + 15;
        if (!strncmp(*environment, "HOME=", 5)) home = *environment + 5;
        const size_t bytes = strcspn(*environment, "=");
        const pio_key key = key_of_variable(*environment, bytes);
        if (key == PIO_KEY_COUNT || !(keys[key].section & sections) || strlen(*environment) < bytes + 2) continue;
        char variable[64];
        snprintf(variable, sizeof variable, "%.*s", (int)bytes, *environment);
        pio_status status =
            pio_config_set(config, PIO_ORIGIN_ENVIRONMENT, variable, key, *environment + bytes + 1, false, error);
        if (status) return status;
    }
    return sections & PIO_SECTION_MEMORY ? default_cache(config, xdg, home, error) : PIO_OK;
}

/* The value as people write it: floats that came from a decimal number give that number back. */
static double as_written(float value) {
    char text[32];
    snprintf(text, sizeof text, "%.6g", (double)value);
    const double decimal = strtod(text, NULL);
    return (float)decimal == value ? decimal : (double)value;
}

pio_status pio_config_read_checkpoint(pio_config *config, const char *directory, pio_error *error) {
    pio_generation generation;
    pio_status status = pio_generation_read(directory, &generation, error);
    if (status) return status;
    const pio_sampling s = generation.sampling;
    const struct {
        pio_key key;
        float value;
    } values[] = {
        {PIO_KEY_TEMPERATURE, s.temperature},
        {PIO_KEY_TOP_P, s.top_p},
        {PIO_KEY_MIN_P, s.min_p},
        {PIO_KEY_REPETITION_PENALTY, s.repetition_penalty},
    };
    const char *source = "generation_config.json";
    for (size_t i = 0; i < PIO_COUNT(values) && !status; i++)
        if (!is_settled(config, PIO_ORIGIN_CHECKPOINT, values[i].key) &&
            values[i].value != (float)pio_config_number(config, values[i].key))
            status = store(config, PIO_ORIGIN_CHECKPOINT, source, values[i].key, json_real(as_written(values[i].value)),
                           error);
    const struct {
        pio_key key;
        int32_t value;
    } counts[] = {{PIO_KEY_TOP_K, s.top_k},
                  {PIO_KEY_MAX_TOKENS, PIO_MIN(generation.max_new_tokens, (int32_t)keys[PIO_KEY_MAX_TOKENS].most)}};
    for (size_t i = 0; i < PIO_COUNT(counts) && !status; i++)
        if (counts[i].value && !is_settled(config, PIO_ORIGIN_CHECKPOINT, counts[i].key))
            status = store(config, PIO_ORIGIN_CHECKPOINT, source, counts[i].key, json_integer(counts[i].value), error);
    return status;
}

pio_status pio_config_check_model(const pio_config *config, const char *model, pio_error *error) {
    for (int key = 0; key < PIO_KEY_COUNT; key++)
        if (config->items[key].value && *keys[key].model && strcmp(keys[key].model, model))
            return pio_fail(error, PIO_INVALID_ARGUMENT, "%s: %s is a setting of %s, not of %s: leave it out",
                            config->items[key].source, keys[key].name, keys[key].model, model);
    return PIO_OK;
}

/* ---- values ---- */

bool pio_config_is_set(const pio_config *config, pio_key key) {
    return config->items[key].value != NULL;
}

int64_t pio_config_integer(const pio_config *config, pio_key key) {
    const json_t *value = config->items[key].value;
    return value ? (int64_t)json_integer_value(value) : strtoll(keys[key].otherwise, NULL, 10);
}

double pio_config_number(const pio_config *config, pio_key key) {
    const json_t *value = config->items[key].value;
    return value ? json_number_value(value) : strtod(keys[key].otherwise, NULL);
}

bool pio_config_switch(const pio_config *config, pio_key key) {
    const json_t *value = config->items[key].value;
    return value ? json_is_true(value) : !strcmp(keys[key].otherwise, "on");
}

const char *pio_config_text(const pio_config *config, pio_key key) {
    const json_t *value = config->items[key].value;
    return value ? json_string_value(value) : *keys[key].otherwise ? keys[key].otherwise : NULL;
}

int32_t pio_config_count(const pio_config *config, pio_key key) {
    return (int32_t)json_array_size(config->items[key].value);
}

const char *pio_config_at(const pio_config *config, pio_key key, int32_t i) {
    return json_string_value(json_array_get(config->items[key].value, (size_t)i));
}

json_t *pio_config_value(const pio_config *config, pio_key key) {
    if (config->items[key].value) return json_incref(config->items[key].value);
    switch (*keys[key].otherwise ? keys[key].type : PIO_SETTING_TEXTS) {
    case PIO_SETTING_INTEGER:
    case PIO_SETTING_BYTES:
        return json_integer(pio_config_integer(config, key));
    case PIO_SETTING_NUMBER:
        return json_real(pio_config_number(config, key));
    case PIO_SETTING_SWITCH:
        return json_boolean(pio_config_switch(config, key));
    case PIO_SETTING_CHOICE:
    case PIO_SETTING_TEXT:
        return json_string(keys[key].otherwise);
    case PIO_SETTING_CHOICES:
    case PIO_SETTING_TEXTS:
        break;
    }
    return json_null();
}
