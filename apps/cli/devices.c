/* devices: every device, usable or not, and why not. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli/cli.h"

/* One line of the list: a device, or a backend without any. */
typedef struct entry {
    pio_backend backend;
    int index; /* -1: the backend has none */
    pio_device_caps caps;
    char why_not[256];
    bool is_default;
} entry;

/* Who left instruction sets of the CPU alone: "PIO_CPU_WITHOUT leaves out avx2". Empty: nobody. */
static const char *without(const entry *e, const pio_config *config, char text[160]) {
    const int32_t n = pio_config_count(config, PIO_KEY_CPU_WITHOUT);
    text[0] = 0;
    if (e->backend != PIO_BACKEND_CPU || !n) return text;
    size_t used = (size_t)snprintf(text, 160, "%.80s leaves out", config->items[PIO_KEY_CPU_WITHOUT].source);
    for (int32_t i = 0; i < n && used < 160; i++)
        used += (size_t)snprintf(text + used, 160 - used, "%s %s", i ? "," : "",
                                 pio_config_at(config, PIO_KEY_CPU_WITHOUT, i));
    return text;
}

static void print_text(const entry *e, const pio_config *config) {
    char id[32], left[160];
    if (e->index < 0)
        snprintf(id, sizeof id, "%s", pio_backend_name(e->backend));
    else
        snprintf(id, sizeof id, "%s:%d", pio_backend_name(e->backend), e->index);
    printf("%c %-9s ", e->is_default ? '*' : ' ', id);
    if (e->index >= 0) printf("%s: ", e->caps.name);
    if (e->why_not[0]) {
        printf("not usable: %s\n", e->why_not);
        return;
    }
    without(e, config, left);
    printf("%s%s", e->caps.detail, left[0] || e->is_default ? " (" : "");
    printf("%s%s%s%s\n", e->is_default ? "the default" : "", e->is_default && left[0] ? "; " : "", left,
           left[0] || e->is_default ? ")" : "");
}

static json_t *as_json(const entry *e, const pio_config *config) {
    char left[160];
    json_t *object = json_pack("{s:s, s:b, s:b}", "backend", pio_backend_name(e->backend), "usable", e->why_not[0] == 0,
                               "default", e->is_default);
    if (e->index >= 0) {
        json_object_set_new(object, "device", json_integer(e->index));
        json_object_set_new(object, "name", json_string(e->caps.name));
        json_object_set_new(object, "detail", json_string(e->caps.detail));
    }
    if (e->why_not[0]) json_object_set_new(object, "why_not", json_string(e->why_not));
    if (*without(e, config, left)) json_object_set_new(object, "left_out", json_string(left));
    return object;
}

static void list_driver(const pio_driver *driver, entry *entries, int capacity, int *n) {
    entry none = {.backend = driver->backend, .index = -1};
    int count = driver->count(none.why_not, sizeof none.why_not);
    if (count == 0 && *n < capacity) entries[(*n)++] = none;
    for (int i = 0; i < count && *n < capacity; i++) {
        pio_error error = {0};
        entry *e = &entries[(*n)++];
        *e = (entry){.backend = driver->backend, .index = i};
        if (driver->describe(i, &e->caps, e->why_not, sizeof e->why_not, &error))
            snprintf(e->why_not, sizeof e->why_not, "%.255s", error.text);
    }
}

/* Backends that this build leaves out are named too. */
static void list_missing(entry *entries, int capacity, int *n) {
    const pio_driver *driver;
    for (int backend = 0; backend < PIO_BACKEND_COUNT; backend++) {
        bool built = false;
        for (int i = 0; (driver = pio_driver_at(i)); i++) built |= (int)driver->backend == backend;
        if (built || *n == capacity) continue;
        entries[*n] = (entry){.backend = (pio_backend)backend, .index = -1};
        snprintf(entries[(*n)++].why_not, sizeof entries->why_not, "this build has no %s backend",
                 pio_backend_name((pio_backend)backend));
    }
}

/* What the settings exclude is not usable, and by whose word. */
static void exclude(entry *e, const cli_options *options) {
    const pio_config *config = &options->config;
    const pio_engine_options *wanted = &options->engine;
    const bool other = wanted->backend != PIO_AUTO && (int)e->backend != wanted->backend;
    const bool further = wanted->device != PIO_AUTO && e->index != wanted->device;
    const pio_key key = other ? PIO_KEY_BACKEND : PIO_KEY_DEVICE;
    char value[32];
    if (e->why_not[0] || (!other && !further)) return;
    snprintf(value, sizeof value, "%d", wanted->device);
    snprintf(e->why_not, sizeof e->why_not, "%.200s=%.30s leaves it out", config->items[key].source,
             other ? pio_config_text(config, key) : value);
}

/* Marks the device that a model would get, and shows of it what a model would have. */
static pio_status mark_chosen(entry *entries, int n, const cli_options *options, pio_error *error) {
    pio_chosen_device chosen;
    pio_status status = pio_choose_device(&options->engine, &chosen, error);
    for (int i = 0; i < n && !status; i++) {
        if (entries[i].backend != chosen.caps.backend || entries[i].index != chosen.index) continue;
        entries[i].is_default = true;
        entries[i].caps = chosen.caps;
    }
    if (!status) pio_device_destroy(chosen.device);
    return status;
}

int cli_devices(const cli_options *options) {
    enum { CAPACITY = 64 };
    entry entries[CAPACITY];
    int n = 0;
    pio_error error = {0};
    const pio_driver *driver;
    for (int i = 0; (driver = pio_driver_at(i)); i++) list_driver(driver, entries, CAPACITY, &n);
    list_missing(entries, CAPACITY, &n);
    for (int i = 0; i < n; i++) exclude(&entries[i], options);
    pio_status status = mark_chosen(entries, n, options, &error);
    json_t *array = json_array();
    for (int i = 0; i < n; i++) {
        if (options->json)
            json_array_append_new(array, as_json(&entries[i], &options->config));
        else
            print_text(&entries[i], &options->config);
    }
    int code = EXIT_DONE;
    if (options->json)
        code = cli_print_json(array);
    else
        json_decref(array);
    return status && !code ? cli_refuse(&error) : code;
}
