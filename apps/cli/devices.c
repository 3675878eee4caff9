/* devices: every device, usable or not, what it can, and why it is the default or not. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli/cli.h"
#include "base/bytes.h"

/* One entry of the list: a device, or a backend without any. */
typedef struct entry {
    pio_backend backend;
    int index; /* -1: the backend has none */
    pio_device_caps caps;
    char why_not[256];
    char reason[1424]; /* why it is the default, or why it is not */
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

/* The names of the features that the device has, or lacks. */
static json_t *features_of(const entry *e, bool has) {
    json_t *array = json_array();
    for (int i = 0; i < 32; i++) {
        const uint32_t bit = UINT32_C(1) << i;
        const char *name = pio_feature_name(e->backend, bit);
        if (name && ((e->caps.features & bit) != 0) == has) json_array_append_new(array, json_string(name));
    }
    return array;
}

static void print_features(const char *what, json_t *names) {
    json_t *name;
    size_t i;
    if (json_array_size(names)) printf("              %s ", what);
    json_array_foreach(names, i, name)
        printf("%s%s", json_string_value(name), i + 1 < json_array_size(names) ? ", " : "\n");
    json_decref(names);
}

/* What it can, in lines below its own; the CPU says it in one. */
static void print_details(const entry *e) {
    char size[PIO_BYTES_TEXT];
    if (e->backend == PIO_BACKEND_CPU || e->backend == PIO_BACKEND_NULL) return;
    printf("              memory:");
    for (int i = 0; i < e->caps.n_heaps; i++)
        printf("%s %s %s", i ? "," : "", pio_bytes_text(e->caps.heaps[i].bytes, size),
               e->caps.heaps[i].local ? "of its own" : "of the host");
    printf("; at most %s in one piece\n", pio_bytes_text(e->caps.max_buffer_bytes, size));
    print_features("has", features_of(e, true));
    print_features("lacks", features_of(e, false));
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
    if (e->reason[0]) printf("              %s\n", e->reason);
    print_details(e);
}

static void add_details(const entry *e, json_t *object) {
    json_t *heaps = json_array();
    for (int i = 0; i < e->caps.n_heaps; i++)
        json_array_append_new(heaps, json_pack("{s:I, s:b}", "bytes", (json_int_t)e->caps.heaps[i].bytes, "local",
                                               e->caps.heaps[i].local));
    json_object_set_new(object, "device", json_integer(e->index));
    json_object_set_new(object, "name", json_string(e->caps.name));
    json_object_set_new(object, "detail", json_string(e->caps.detail));
    json_object_set_new(object, "kind", json_string(pio_device_kind_name(e->caps.kind)));
    if (e->caps.driver[0]) json_object_set_new(object, "driver", json_string(e->caps.driver));
    json_object_set_new(object, "heaps", heaps);
    json_object_set_new(object, "max_allocation_bytes", json_integer((json_int_t)e->caps.max_buffer_bytes));
    json_object_set_new(object, "has", features_of(e, true));
    json_object_set_new(object, "lacks", features_of(e, false));
}

static json_t *as_json(const entry *e, const pio_config *config) {
    char left[160];
    json_t *object = json_pack("{s:s, s:b, s:b}", "backend", pio_backend_name(e->backend), "usable", e->why_not[0] == 0,
                               "default", e->is_default);
    if (e->index >= 0) add_details(e, object);
    if (e->why_not[0]) json_object_set_new(object, "why_not", json_string(e->why_not));
    if (e->reason[0] && !e->why_not[0]) json_object_set_new(object, "reason", json_string(e->reason));
    if (*without(e, config, left)) json_object_set_new(object, "left_out", json_string(left));
    return object;
}

/* The devices of all drivers, best first. */
static int list_devices(const pio_candidates *list, entry *entries, int capacity) {
    int n = 0;
    for (; n < list->n && n < capacity; n++) {
        const pio_candidate *c = &list->items[n];
        entries[n] = (entry){.backend = c->driver->backend, .index = c->index, .caps = c->caps};
        memcpy(entries[n].why_not, c->why_not, sizeof c->why_not);
    }
    return n;
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

/* Marks the device that a model would get, shows of it what a model would have, and says why the others are not it. */
static pio_status mark_chosen(const pio_candidates *list, entry *entries, const cli_options *options,
                              pio_error *error) {
    pio_chosen_device chosen;
    const pio_candidate *best = NULL;
    pio_status status = pio_choose_device(&options->engine, &chosen, error);
    if (status) return status;
    for (int i = 0; i < list->n; i++)
        if (entries[i].backend == chosen.caps.backend && entries[i].index == chosen.index) {
            best = &list->items[i];
            entries[i].is_default = true;
            entries[i].caps = chosen.caps;
            snprintf(entries[i].reason, sizeof entries[i].reason, "%s%s", chosen.reason, chosen.unasked);
        }
    for (int i = 0; i < list->n && best; i++)
        if (&list->items[i] != best)
            pio_candidate_say(&list->items[i], best, entries[i].reason, sizeof entries[i].reason);
    pio_device_destroy(chosen.device);
    return PIO_OK;
}

int cli_devices(const cli_options *options) {
    enum { CAPACITY = PIO_MAX_CANDIDATES + PIO_BACKEND_COUNT };
    entry entries[CAPACITY];
    pio_error error = {0};
    pio_candidates *list = pio_list_candidates(PIO_AUTO);
    if (!list) {
        pio_fail_memory(&error, "the list of devices", sizeof *list);
        return cli_refuse(&error);
    }
    int n = list_devices(list, entries, CAPACITY);
    pio_status status = mark_chosen(list, entries, options, &error);
    free(list);
    list_missing(entries, CAPACITY, &n);
    for (int i = 0; i < n; i++) exclude(&entries[i], options);
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
