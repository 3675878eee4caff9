/* A plugin's life: created, initialized, loaded, cleaned up. */
#include "api/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/bundled.h"

static pio_status create(const char *name, const char *model, pio_plugin **out, pio_error *error) {
    if (!out)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "a plugin needs a place: give the address of a pointer to it");
    *out = NULL;
    pio_plugin *plugin = calloc(1, sizeof *plugin);
    if (!plugin) return pio_fail_memory(error, "the plugin", sizeof *plugin);
    const pio_model_family *family;
    for (int i = 0; (family = pio_model_family_at(i)); i++)
        if (!strcmp(pio_model_family_name(family), model)) plugin->family = family;
    plugin->name = name;
    *out = plugin;
    return PIO_OK;
}

/* Every row of models/registry.c has its function; tests/unit/test_plugin.c holds them together. */
#define PIO_CREATE(name, model)                                                                                        \
    pio_status pio_create_##name##_plugin(pio_plugin **out, pio_error *error) {                                        \
        return create(#name, #model, out, error);                                                                      \
    }
PIO_CREATE(glm_4_7_flash, glm_4_7_flash)
PIO_CREATE(qwen3_4b_instruct_2507, qwen3_4b_instruct_2507)
PIO_CREATE(qwen3_coder_30b, qwen3_coder_30b)
PIO_CREATE(qwen3_vl_2b_instruct, qwen3_vl_2b)

static void close_model(pio_plugin *plugin) {
    pio_speaker_destroy(plugin->speaker);
    plugin->speaker = NULL;
    plugin->bundled = false;
    plugin->device[0] = 0;
    pio_text_free(&plugin->warnings);
    free(plugin->settings);
    plugin->settings = NULL;
}

void pio_plugin_cleanup(pio_plugin *plugin) {
    if (!plugin) return;
    close_model(plugin);
    pio_config_free(&plugin->config);
    free(plugin);
}

void pio_plugin_begin(pio_plugin *plugin) {
    plugin->error = (pio_error){0};
    atomic_store(&plugin->cancelled, false);
}

pio_status pio_plugin_end(pio_plugin *plugin, pio_status status) {
    if (plugin && plugin->speaker) /* a model may have moved on to another device */
        pio_chosen_show(&pio_engine_model(plugin->speaker->engine)->chosen, plugin->device, sizeof plugin->device);
    if (plugin && !status) plugin->error = (pio_error){0};
    return status;
}

void pio_plugin_cancel(pio_plugin *plugin) {
    if (plugin) atomic_store(&plugin->cancelled, true);
}

/* ---- settings ---- */

/* Lets `change` work on a copy of the settings, which takes their place if all is well. */
static pio_status change_config(pio_plugin *plugin, pio_status (*change)(pio_config *, const void *, pio_error *),
                                const void *from) {
    pio_config changed;
    pio_engine_options unused = {0};
    if (!plugin) return PIO_INVALID_ARGUMENT;
    pio_plugin_begin(plugin);
    if (plugin->speaker)
        return pio_fail(&plugin->error, PIO_INVALID_ARGUMENT,
                        "a model is loaded already: settings are given before pio_plugin_load_model");
    pio_status status = pio_config_copy(&plugin->config, &changed, &plugin->error);
    if (status) return status;
    status = change(&changed, from, &plugin->error);
    if (!status) status = pio_config_check_model(&changed, pio_model_family_name(plugin->family), &plugin->error);
    if (!status) status = pio_config_engine(&changed, &unused, &plugin->error);
    pio_config_free(status ? &changed : &plugin->config);
    if (!status) plugin->config = changed;
    return pio_plugin_end(plugin, status);
}

static pio_status read_file(pio_config *config, const void *path, pio_error *error) {
    if (!path) return pio_fail(error, PIO_INVALID_ARGUMENT, "there is no path of a file: NULL was given");
    return pio_config_read_file(config, path, error);
}

static pio_status read_environment(pio_config *config, const void *environment, pio_error *error) {
    return pio_config_read_environment(config, PIO_SECTIONS_ALL, (char *const *)environment, error);
}

static pio_status take_options(pio_config *config, const void *from, pio_error *error) {
    const pio_options *options = from;
    pio_status status = PIO_OK;
    for (size_t i = 0; options && i < options->n_items && !status; i++) {
        const pio_option *o = &options->items[i];
        if (!o->key || !o->value)
            return pio_fail(error, PIO_INVALID_ARGUMENT, "option %zu has no %s", i, o->key ? "value" : "key");
        status = pio_config_set_named(config, PIO_ORIGIN_CALLER, "initialize", o->key, o->value, error);
    }
    return status;
}

pio_status pio_plugin_read_config(pio_plugin *plugin, const char *path) {
    return change_config(plugin, read_file, path);
}

pio_status pio_plugin_read_environment(pio_plugin *plugin, char *const *environment) {
    return change_config(plugin, read_environment, environment);
}

pio_status pio_plugin_initialize(pio_plugin *plugin, const pio_options *settings) {
    pio_status status = change_config(plugin, take_options, settings);
    if (!status) plugin->initialized = true;
    return status;
}

pio_status pio_plugin_call_config(pio_plugin *plugin, const pio_options *options, bool (*is_input)(const char *key),
                                  pio_config *out) {
    pio_status status = pio_config_copy(&plugin->config, out, &plugin->error);
    if (status) return status;
    status = pio_config_read_checkpoint(out, pio_plugin_model(plugin), &plugin->error);
    for (size_t i = 0; options && i < options->n_items && !status; i++) {
        const pio_option *o = &options->items[i];
        if (!o->key || !o->value) {
            status =
                pio_fail(&plugin->error, PIO_INVALID_ARGUMENT, "option %zu has no %s", i, o->key ? "value" : "key");
            break;
        }
        if (is_input && is_input(o->key)) continue;
        const pio_key key = pio_key_find(o->key, strlen(o->key));
        if (key != PIO_KEY_COUNT && pio_key_get(key)->section != PIO_SECTION_ANSWER)
            status = pio_fail(&plugin->error, PIO_INVALID_ARGUMENT,
                              "%s is set for a model, not for an answer: give it to pio_plugin_initialize", o->key);
        else
            status = pio_config_set_named(out, PIO_ORIGIN_CALLER, "", o->key, o->value, &plugin->error);
    }
    if (!status) status = pio_config_check_model(out, pio_model_family_name(plugin->family), &plugin->error);
    if (status) pio_config_free(out);
    return status;
}

/* ---- loading ---- */

static void note(void *user, bool warning, const char *line) {
    pio_plugin *plugin = user;
    pio_text *lines = &plugin->warnings;
    if (!warning || !pio_text_reserve(lines, strlen(line) + 2)) return;
    if (lines->n_bytes) lines->bytes[lines->n_bytes++] = '\n';
    pio_text_append(lines, line, strlen(line));
    lines->bytes[lines->n_bytes] = 0; /* reserved, and not counted */
}

static bool go_on(void *user, const char *what, double fraction) {
    const pio_plugin *plugin = user;
    (void)what;
    (void)fraction;
    return !atomic_load(&plugin->cancelled);
}

static pio_status check_family(const pio_plugin *plugin, const pio_model *model, pio_error *error) {
    if (model->family == plugin->family) return PIO_OK;
    return pio_fail(error, PIO_INVALID_ARGUMENT, "'%s' is a checkpoint like %s, not like %s: use the plugin of %s",
                    model->directory, model->family->product, plugin->family->product,
                    pio_model_family_name(model->family));
}

static pio_status start(const pio_plugin *plugin, pio_model *model, pio_error *error) {
    pio_status status = check_family(plugin, model, error);
    if (!status) status = pio_model_check_computes(model, error);
    return status ? status : pio_model_load(model, error);
}

/* Opens and loads; the model is closed again on failure. */
static pio_status load(pio_plugin *plugin, const char *directory, pio_error *error) {
    pio_engine_options options = {.note = note, .progress = go_on, .user = plugin};
    pio_model *model = NULL;
    pio_status status = pio_config_engine(&plugin->config, &options, error);
    if (!status) status = pio_model_open(directory, &options, &model, error);
    if (!status) status = start(plugin, model, error);
    while (status && model && pio_model_move(&model, error)) status = start(plugin, model, error);
    if (!status) status = pio_speaker_create(model, &plugin->speaker, error);
    if (status) {
        pio_model_close(model);
        return status;
    }
    return PIO_OK;
}

pio_status pio_plugin_load_model(pio_plugin *plugin, const char *directory) {
    char path[4096], *library = NULL;
    Dl_info where;
    if (!plugin) return PIO_INVALID_ARGUMENT;
    pio_plugin_begin(plugin);
    if (!plugin->initialized)
        return pio_fail(&plugin->error, PIO_INVALID_ARGUMENT,
                        "the plugin is not initialized: call pio_plugin_initialize before pio_plugin_load_model");
    close_model(plugin);
    if (dladdr((const void *)&pio_model_open, &where)) library = realpath(where.dli_fname, NULL);
    const char *bundled = pio_model_family_name(plugin->family);
    pio_status status = pio_find_model(directory ? directory : bundled, pio_config_text(&plugin->config, PIO_KEY_HOME),
                                       library, path, sizeof path, &plugin->error);
    if (!status) status = load(plugin, path, &plugin->error);
    free(library);
    if (status) close_model(plugin);
    plugin->bundled = !status && (!directory || !strcmp(directory, bundled));
    return pio_plugin_end(plugin, status);
}

/* ---- what there is to know ---- */

const char *pio_plugin_error(const pio_plugin *plugin) {
    return plugin ? plugin->error.text : "there is no plugin: NULL was given";
}

const char *pio_plugin_name(const pio_plugin *plugin) {
    return plugin ? plugin->name : "";
}

const char *pio_plugin_model(const pio_plugin *plugin) {
    return plugin && plugin->speaker ? pio_engine_model(plugin->speaker->engine)->directory : "";
}

bool pio_plugin_is_bundled(const pio_plugin *plugin) {
    return plugin && plugin->bundled;
}

const char *pio_plugin_device(const pio_plugin *plugin) {
    return plugin ? plugin->device : "";
}

const char *pio_plugin_warnings(const pio_plugin *plugin) {
    return plugin && plugin->warnings.n_bytes ? plugin->warnings.bytes : "";
}

const char *pio_plugin_settings(pio_plugin *plugin) {
    pio_config config;
    if (!plugin) return NULL;
    pio_plugin_begin(plugin);
    free(plugin->settings);
    plugin->settings = NULL;
    if (!plugin->speaker) {
        pio_fail(&plugin->error, PIO_INVALID_ARGUMENT, "no model is loaded: call pio_plugin_load_model first");
        return NULL;
    }
    if (pio_plugin_call_config(plugin, NULL, NULL, &config)) return NULL;
    json_t *json = pio_config_show(&config, pio_engine_model(plugin->speaker->engine));
    plugin->settings = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    if (!plugin->settings) pio_fail_memory(&plugin->error, "the settings", 1 << 12);
    json_decref(json);
    pio_config_free(&config);
    pio_plugin_end(plugin, plugin->settings ? PIO_OK : PIO_OUT_OF_MEMORY);
    return plugin->settings;
}
