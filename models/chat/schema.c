#include "models/chat/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

/* Schemas come from outside and may refer to themselves: a look-up ends after so many of their objects. */
enum { MOST_VISITS = 256 };

typedef struct walk {
    const json_t *root;
    int visits_left;
} walk;

/* ---- references ---- */

/* The member or item that one step of a JSON pointer names; ~1 stands for / and ~0 for ~. */
static const json_t *step_to(const json_t *from, const char *name, size_t n) {
    char key[256];
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (k + 1 >= sizeof key) return NULL;
        bool escaped = name[i] == '~' && i + 1 < n && (name[i + 1] == '0' || name[i + 1] == '1');
        if (escaped) i++;
        key[k++] = !escaped ? name[i] : name[i] == '1' ? '/' : '~';
    }
    key[k] = 0;
    return json_is_array(from) ? json_array_get(from, strtoul(key, NULL, 10)) : json_object_get(from, key);
}

static const json_t *refers_to(const walk *w, const json_t *schema) {
    const char *at = json_string_value(json_object_get(schema, "$ref"));
    if (!at || *at != '#') return NULL;
    const json_t *found = w->root;
    for (at++; found && *at == '/';) {
        size_t n = strcspn(++at, "/");
        found = step_to(found, at, n);
        at += n;
    }
    return *at ? NULL : found;
}

/* ---- types ---- */

static uint32_t type_of_name(const char *name) {
    static const struct {
        const char *name;
        uint32_t type;
    } names[] = {
        {"string", PIO_TYPE_STRING}, {"integer", PIO_TYPE_INTEGER}, {"number", PIO_TYPE_NUMBER},
        {"array", PIO_TYPE_ARRAY},   {"boolean", PIO_TYPE_BOOLEAN}, {"object", PIO_TYPE_OBJECT},
        {"null", PIO_TYPE_NULL},     {"str", PIO_TYPE_STRING},      {"int", PIO_TYPE_INTEGER},
        {"float", PIO_TYPE_NUMBER},  {"double", PIO_TYPE_NUMBER},   {"bool", PIO_TYPE_BOOLEAN},
        {"dict", PIO_TYPE_OBJECT},   {"list", PIO_TYPE_ARRAY},
    };
    for (size_t i = 0; name && i < PIO_COUNT(names); i++)
        if (!strcmp(names[i].name, name)) return names[i].type;
    return 0;
}

static uint32_t type_of_value(const json_t *value) {
    if (!value) return 0;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return PIO_TYPE_OBJECT;
    case JSON_ARRAY:
        return PIO_TYPE_ARRAY;
    case JSON_STRING:
        return PIO_TYPE_STRING;
    case JSON_INTEGER:
        return PIO_TYPE_INTEGER;
    case JSON_REAL:
        return PIO_TYPE_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return PIO_TYPE_BOOLEAN;
    default:
        return PIO_TYPE_NULL;
    }
}

static uint32_t named_types(const json_t *type) {
    uint32_t types = type_of_name(json_string_value(type));
    for (size_t i = 0; i < json_array_size(type); i++)
        types |= type_of_name(json_string_value(json_array_get(type, i)));
    return types;
}

static uint32_t values_types(const json_t *schema) {
    const json_t *values = json_object_get(schema, "enum");
    uint32_t types = type_of_value(json_object_get(schema, "const"));
    for (size_t i = 0; i < json_array_size(values); i++) types |= type_of_value(json_array_get(values, i));
    return types;
}

/* Both hold, where both say something; a number may be whole. */
static uint32_t both(uint32_t a, uint32_t b) {
    if (!a || !b) return a | b;
    if (a & PIO_TYPE_NUMBER) a |= PIO_TYPE_INTEGER;
    if (b & PIO_TYPE_NUMBER) b |= PIO_TYPE_INTEGER;
    return a & b;
}

static uint32_t types_of(walk *w, const json_t *schema) {
    if (!json_is_object(schema) || w->visits_left-- <= 0) return 0;
    uint32_t types = both(named_types(json_object_get(schema, "type")), values_types(schema));
    types = both(types, types_of(w, refers_to(w, schema)));
    static const char *const any[] = {"anyOf", "oneOf"};
    for (size_t k = 0; k < PIO_COUNT(any); k++) {
        const json_t *branches = json_object_get(schema, any[k]);
        uint32_t either = 0;
        for (size_t i = 0; i < json_array_size(branches); i++) either |= types_of(w, json_array_get(branches, i));
        types = both(types, either);
    }
    const json_t *all = json_object_get(schema, "allOf");
    for (size_t i = 0; i < json_array_size(all); i++) types = both(types, types_of(w, json_array_get(all, i)));
    if (types && json_is_true(json_object_get(schema, "nullable"))) types |= PIO_TYPE_NULL;
    return types;
}

/* ---- properties ---- */

typedef struct property {
    bool found, names_any;
    uint32_t types;
} property;

static void look_up(walk *w, const json_t *schema, const char *key, property *out) {
    static const char *const parts[] = {"anyOf", "oneOf", "allOf"};
    if (!json_is_object(schema) || w->visits_left-- <= 0) return;
    const json_t *properties = json_object_get(schema, "properties"), *own = json_object_get(properties, key);
    if (json_object_size(properties)) out->names_any = true;
    if (own) {
        out->found = true;
        out->types |= types_of(w, own);
    }
    look_up(w, refers_to(w, schema), key, out);
    for (size_t k = 0; k < PIO_COUNT(parts); k++) {
        const json_t *branches = json_object_get(schema, parts[k]);
        for (size_t i = 0; i < json_array_size(branches); i++) look_up(w, json_array_get(branches, i), key, out);
    }
}

uint32_t pio_schema_types(const json_t *parameters, const char *key) {
    walk w = {.root = parameters, .visits_left = MOST_VISITS};
    property p = {.found = false};
    look_up(&w, parameters, key, &p);
    return p.found ? p.types : types_of(&w, json_object_get(parameters, "additionalProperties"));
}

bool pio_schema_has(const json_t *parameters, const char *key, bool *names_any) {
    walk w = {.root = parameters, .visits_left = MOST_VISITS};
    property p = {.found = false};
    look_up(&w, parameters, key, &p);
    *names_any = p.names_any;
    return p.found;
}
