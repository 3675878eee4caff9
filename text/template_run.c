/* A rendering's beginning and end, its limits, and the making of values. */
#include "text/template_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- failing ---- */

bool pio_run_fail(pio_template_run *run, pio_status status, const char *format, ...) {
    if (run->status) return false;
    run->status = status;
    char what[900];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    pio_fail(run->error, status, "template '%s', line %d: %s", run->compiled->name, (int)run->line, what);
    if (run->error) { /* a sentence that was cut may end within a character */
        size_t n = strlen(run->error->text);
        run->error->text[pio_utf8_valid_prefix(run->error->text, n)] = 0;
    }
    return false;
}

bool pio_run_fail_undefined(pio_template_run *run, const pio_tv *value) {
    int n = (int)PIO_MIN(value->n, 200u);
    if (value->variant == PIO_TV_HINT) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "%.*s", n, value->u.bytes);
    if (value->variant == PIO_TV_NO_NAME)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'%.*s' is undefined", n, value->u.bytes);
    const pio_tv owner = {.kind = value->owner};
    return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s has no %s '%.*s'", pio_tv_type_name(&owner),
                        value->variant == PIO_TV_NO_ELEMENT ? "element" : "attribute", n, value->u.bytes);
}

bool pio_run_step(pio_template_run *run, uint64_t n) {
    run->steps += n;
    if (run->steps <= run->limits.steps) return true;
    return pio_run_fail(run, PIO_LIMIT, "rendering takes more than %llu steps", (unsigned long long)run->limits.steps);
}

bool pio_run_work(pio_template_run *run, size_t n_bytes) {
    return pio_run_step(run, n_bytes / 64);
}

bool pio_run_deeper(pio_template_run *run) {
    if (run->depth >= run->limits.depth)
        return pio_run_fail(run, PIO_LIMIT, "calls, statements or values nest more than %d deep",
                            (int)run->limits.depth);
    run->depth++;
    return true;
}

void *pio_run_take(pio_template_run *run, size_t bytes) {
    if (run->status) return NULL;
    void *memory = pio_template_arena_take(&run->arena, bytes);
    if (memory) return memory;
    if (pio_template_arena_limited(&run->arena))
        pio_run_fail(run, PIO_LIMIT, "rendering takes more than %zu bytes of memory", run->limits.memory_bytes);
    else
        run->status = pio_fail_memory(run->error, "rendering a template", bytes);
    return NULL;
}

/* ---- making values ---- */

bool pio_run_copy_text(pio_template_run *run, const char *bytes, size_t n, pio_tv *out) {
    if (n > UINT32_MAX) return pio_run_fail(run, PIO_LIMIT, "a text of %zu bytes is too long", n);
    char *copy = n ? pio_run_take(run, n) : "";
    if (!copy) return false;
    if (n) memcpy(copy, bytes, n);
    *out = pio_tv_str(copy, n);
    return true;
}

bool pio_run_new_list(pio_template_run *run, pio_tv_kind kind, int32_t room, pio_tv *out) {
    pio_tv_list *list = pio_run_take(run, sizeof *list);
    if (!list) return false;
    if (room > 0) {
        list->items = pio_run_take(run, (size_t)room * sizeof *list->items);
        if (!list->items) return false;
        list->capacity = room;
    }
    *out = (pio_tv){.kind = (uint8_t)kind, .u.list = list};
    return true;
}

/* Twice the room: what was there stays behind in the arena. */
static void *grow(pio_template_run *run, const void *items, int32_t n, int32_t *capacity, size_t item_bytes) {
    if (n > INT32_MAX / 2) {
        pio_run_fail(run, PIO_LIMIT, "a list of more than %d items", n);
        return NULL;
    }
    int32_t wanted = PIO_MAX(4, 2 * n);
    void *grown = pio_run_take(run, (size_t)wanted * item_bytes);
    if (!grown) return NULL;
    if (n) memcpy(grown, items, (size_t)n * item_bytes);
    *capacity = wanted;
    return grown;
}

bool pio_run_append(pio_template_run *run, pio_tv_list *list, const pio_tv *item) {
    if (list->n == list->capacity) {
        pio_tv *grown = grow(run, list->items, list->n, &list->capacity, sizeof *list->items);
        if (!grown) return false;
        list->items = grown;
    }
    list->items[list->n++] = *item;
    return pio_run_step(run, 1);
}

bool pio_run_pair(pio_template_run *run, const pio_tv *a, const pio_tv *b, pio_tv *out) {
    const pio_tv first = *a, second = *b;
    if (!pio_run_new_list(run, PIO_TV_TUPLE, 2, out)) return false;
    out->u.list->items[0] = first;
    out->u.list->items[1] = second;
    out->u.list->n = 2;
    return true;
}

bool pio_run_new_dict(pio_template_run *run, pio_tv_kind kind, int32_t room, pio_tv *out) {
    pio_tv_dict *dict = pio_run_take(run, sizeof *dict);
    if (!dict) return false;
    if (room > 0) {
        dict->pairs = pio_run_take(run, (size_t)room * sizeof *dict->pairs);
        if (!dict->pairs) return false;
        dict->capacity = room;
    }
    *out = (pio_tv){.kind = (uint8_t)kind, .u.dict = dict};
    return true;
}

/* Equal keys have equal hashes: 1, 1.0 and true are one key. */
static bool hash_key(pio_template_run *run, const pio_tv *key, uint32_t *hash) {
    uint64_t h = 14695981039346656037u;
    switch (key->kind) {
    case PIO_TV_STR:
        for (uint32_t i = 0; i < key->n; i++) h = (h ^ (unsigned char)key->u.bytes[i]) * 1099511628211u;
        break;
    case PIO_TV_BOOL:
    case PIO_TV_INT:
    case PIO_TV_FLOAT: {
        double real = pio_tv_real(key); /* of ints beyond 2^53 several share one */
        uint64_t bits;
        real += 0.0;
        memcpy(&bits, &real, sizeof bits);
        h = (h ^ bits) * 1099511628211u;
        h ^= h >> 29;
        break;
    }
    case PIO_TV_TUPLE:
        for (int32_t i = 0; i < key->u.list->n; i++) {
            uint32_t part;
            if (!pio_run_deeper(run) || !hash_key(run, &key->u.list->items[i], &part)) return false;
            run->depth--;
            h = (h ^ part) * 1099511628211u;
        }
        break;
    case PIO_TV_LIST:
    case PIO_TV_DICT:
    case PIO_TV_VIEW:
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s cannot be a key", pio_tv_type_name(key));
    default:
        h ^= key->kind;
    }
    *hash = (uint32_t)(h ^ h >> 32);
    return true;
}

enum { SMALL_DICT = 8 };

static bool build_index(pio_template_run *run, pio_tv_dict *dict) {
    if (2 * dict->n >= dict->n_index) {
        dict->n_index = 32;
        while (dict->n_index < 4 * dict->n) dict->n_index *= 2;
        dict->index = pio_run_take(run, (size_t)dict->n_index * sizeof *dict->index);
        if (!dict->index) return false;
        dict->n_indexed = 0;
    }
    for (; dict->n_indexed < dict->n; dict->n_indexed++) {
        uint32_t hash;
        if (!hash_key(run, &dict->pairs[dict->n_indexed].key, &hash)) return false;
        uint32_t mask = (uint32_t)dict->n_index - 1, slot = hash & mask;
        while (dict->index[slot]) slot = (slot + 1) & mask;
        dict->index[slot] = dict->n_indexed + 1;
    }
    return true;
}

bool pio_run_dict_find(pio_template_run *run, pio_tv_dict *dict, const pio_tv *key, pio_tv **found) {
    uint32_t hash;
    bool equal;
    *found = NULL;
    if (dict->n <= SMALL_DICT) {
        if (key->kind != PIO_TV_STR && !hash_key(run, key, &hash)) return false;
        for (int32_t i = 0; i < dict->n; i++) {
            if (!pio_run_equal(run, &dict->pairs[i].key, key, &equal)) return false;
            if (equal) {
                *found = &dict->pairs[i].value;
                break;
            }
        }
        return true;
    }
    if (!hash_key(run, key, &hash) || !build_index(run, dict)) return false;
    uint32_t mask = (uint32_t)dict->n_index - 1;
    for (uint32_t slot = hash & mask; dict->index[slot]; slot = (slot + 1) & mask) {
        pio_tv_pair *pair = &dict->pairs[dict->index[slot] - 1];
        if (!pio_run_equal(run, &pair->key, key, &equal) || !pio_run_step(run, 1)) return false;
        if (equal) {
            *found = &pair->value;
            return true;
        }
    }
    return true;
}

bool pio_run_dict_set(pio_template_run *run, pio_tv_dict *dict, const pio_tv *key, const pio_tv *value) {
    pio_tv *found;
    if (!pio_run_dict_find(run, dict, key, &found)) return false;
    if (found) {
        *found = *value;
        return true;
    }
    if (dict->n == dict->capacity) {
        pio_tv_pair *grown = grow(run, dict->pairs, dict->n, &dict->capacity, sizeof *dict->pairs);
        if (!grown) return false;
        dict->pairs = grown;
    }
    dict->pairs[dict->n++] = (pio_tv_pair){*key, *value};
    return pio_run_step(run, 1);
}

/* ---- JSON ---- */

static bool from_json_object(pio_template_run *run, json_t *json, pio_tv *out) {
    if (!pio_run_new_dict(run, PIO_TV_DICT, (int32_t)PIO_MIN(json_object_size(json), (size_t)INT32_MAX / 2), out))
        return false;
    pio_tv_dict *dict = out->u.dict;
    const char *key;
    json_t *member;
    json_object_foreach(json, key, member) {
        pio_tv_pair *pair = &dict->pairs[dict->n];
        if (!pio_run_from_json(run, member, &pair->value)) return false;
        pair->key = pio_tv_str(key, json_object_iter_key_len(json_object_key_to_iter(key)));
        dict->n++;
    }
    return true;
}

static bool from_json_array(pio_template_run *run, json_t *json, pio_tv *out) {
    if (!pio_run_new_list(run, PIO_TV_LIST, (int32_t)PIO_MIN(json_array_size(json), (size_t)INT32_MAX / 2), out))
        return false;
    pio_tv_list *list = out->u.list;
    for (; list->n < list->capacity; list->n++)
        if (!pio_run_from_json(run, json_array_get(json, (size_t)list->n), &list->items[list->n])) return false;
    return true;
}

bool pio_run_from_json(pio_template_run *run, json_t *json, pio_tv *out) {
    switch (json_typeof(json)) {
    case JSON_STRING:
        *out = pio_tv_str(json_string_value(json), json_string_length(json));
        return true;
    case JSON_INTEGER:
        *out = pio_tv_int(json_integer_value(json));
        return true;
    case JSON_REAL:
        *out = pio_tv_float(json_real_value(json));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = pio_tv_bool(json_is_true(json));
        return true;
    case JSON_NULL:
        *out = pio_tv_none();
        return true;
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    if (!pio_run_deeper(run)) return false;
    bool ok = json_is_object(json) ? from_json_object(run, json, out) : from_json_array(run, json, out);
    run->depth--;
    return ok && pio_run_step(run, 1);
}

/* ---- growing text ---- */

bool pio_run_text_add(pio_template_run *run, pio_run_text *text, const char *bytes, size_t n) {
    if (run->status) return false;
    if (n > text->capacity - text->n) {
        size_t capacity = PIO_MAX(2 * text->capacity, text->n + n + 32);
        char *grown = n < UINT32_MAX && text->n < UINT32_MAX ? pio_run_take(run, capacity) : NULL;
        if (!grown) return pio_run_fail(run, PIO_LIMIT, "a text of more than %zu bytes is too long", text->n);
        if (text->n) memcpy(grown, text->bytes, text->n);
        text->bytes = grown;
        text->capacity = capacity;
    }
    if (n) memcpy(text->bytes + text->n, bytes, n);
    text->n += n;
    return pio_run_work(run, n);
}

bool pio_run_text_value(pio_template_run *run, const pio_run_text *text, pio_tv *out) {
    if (run->status) return false;
    if (text->n > UINT32_MAX) return pio_run_fail(run, PIO_LIMIT, "a text of %zu bytes is too long", text->n);
    *out = pio_tv_str(text->n ? text->bytes : "", text->n);
    return true;
}

/* ---- rendering ---- */

static pio_status check_input(const pio_template *t, json_t *variables, pio_error *error) {
    if (json_is_object(variables)) return PIO_OK;
    return pio_fail(error, PIO_INVALID_ARGUMENT, "template '%s': the variables are not a JSON object", t->name);
}

pio_status pio_template_render(const pio_template *compiled, json_t *variables, const pio_template_limits *limits,
                               pio_text *out, pio_error *error) {
    pio_status status = check_input(compiled, variables, error);
    if (status) return status;
    pio_template_run run = {.compiled = compiled, .out = out, .out_begin = out->n_bytes, .error = error, .line = 1};
    if (limits) run.limits = *limits;
    if (!run.limits.steps) run.limits.steps = 50000000;
    if (run.limits.depth <= 0) run.limits.depth = 1000;
    if (!run.limits.memory_bytes) run.limits.memory_bytes = (size_t)256 << 20;
    if (!run.limits.output_bytes) run.limits.output_bytes = (size_t)64 << 20;
    run.arena.limit_bytes = run.limits.memory_bytes;
    pio_tv input;
    if (pio_run_from_json(&run, variables, &input)) {
        run.input = input.u.dict;
        run.scope = pio_run_begin_scope(&run, NULL, compiled->undefined);
        if (run.scope) pio_run_statements(&run, compiled->body);
    }
    pio_template_arena_free(&run.arena);
    if (run.status) out->n_bytes = run.out_begin;
    return run.status;
}
