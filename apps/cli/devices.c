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
} entry;

static void print_text(const entry *e, bool is_default) {
    char id[32];
    if (e->index < 0)
        snprintf(id, sizeof id, "%s", pio_backend_name(e->backend));
    else
        snprintf(id, sizeof id, "%s:%d", pio_backend_name(e->backend), e->index);
    printf("%c %-9s ", is_default ? '*' : ' ', id);
    if (e->index < 0)
        printf("not usable: %s\n", e->why_not);
    else if (e->why_not[0])
        printf("%s: not usable: %s\n", e->caps.name, e->why_not);
    else
        printf("%s: %s%s\n", e->caps.name, e->caps.detail, is_default ? " (the default)" : "");
}

static json_t *as_json(const entry *e, bool is_default) {
    json_t *object = json_pack("{s:s, s:b, s:b}", "backend", pio_backend_name(e->backend), "usable", e->why_not[0] == 0,
                               "default", is_default);
    if (e->index >= 0) {
        json_object_set_new(object, "device", json_integer(e->index));
        json_object_set_new(object, "name", json_string(e->caps.name));
        json_object_set_new(object, "detail", json_string(e->caps.detail));
    }
    if (e->why_not[0]) json_object_set_new(object, "why_not", json_string(e->why_not));
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

int cli_devices(const cli_options *options) {
    enum { CAPACITY = 64 };
    entry entries[CAPACITY];
    int n = 0, chosen = -1;
    const pio_driver *driver;
    for (int i = 0; (driver = pio_driver_at(i)); i++) list_driver(driver, entries, CAPACITY, &n);
    list_missing(entries, CAPACITY, &n);
    for (int i = 0; i < n && chosen < 0; i++)
        if (entries[i].index >= 0 && !entries[i].why_not[0] && entries[i].caps.computes) chosen = i;
    json_t *array = json_array();
    for (int i = 0; i < n; i++) {
        if (options->json)
            json_array_append_new(array, as_json(&entries[i], i == chosen));
        else
            print_text(&entries[i], i == chosen);
    }
    if (options->json) return cli_print_json(array);
    json_decref(array);
    return EXIT_DONE;
}
