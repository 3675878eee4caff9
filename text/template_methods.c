/* Methods of dicts, lists, tuples, loops, cyclers and namespaces; those of strings are in template_str_methods.c. */
#include <string.h>

#include "text/template_text.h"

#define METHOD(name)                                                                                                   \
    static bool name(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, pio_tv *out)
#define ARGUMENT(i) (&arguments->items[i])

static bool view(const pio_tv *self, pio_tv_view kind, pio_tv *out) {
    *out = (pio_tv){.kind = PIO_TV_VIEW, .variant = (uint8_t)kind, .u.dict = self->u.dict};
    return true;
}

METHOD(dict_keys) {
    (void)run, (void)arguments;
    return view(self, PIO_TV_KEYS, out);
}
METHOD(dict_values) {
    (void)run, (void)arguments;
    return view(self, PIO_TV_VALUES, out);
}
METHOD(dict_items) {
    (void)run, (void)arguments;
    return view(self, PIO_TV_ITEMS, out);
}
METHOD(dict_get) {
    pio_tv *found;
    if (!pio_run_dict_find(run, self->u.dict, ARGUMENT(0), &found)) return false;
    *out = found ? *found : ARGUMENT(1)->kind == PIO_TV_MISSING ? pio_tv_none() : *ARGUMENT(1);
    return true;
}
METHOD(copy) {
    (void)arguments;
    if (self->kind == PIO_TV_LIST) return pio_run_to_list(run, self, PIO_TV_LIST, out);
    const pio_tv_dict *from = self->u.dict;
    pio_tv dict;
    if (!pio_run_new_dict(run, PIO_TV_DICT, from->n, &dict)) return false;
    if (from->n) memcpy(dict.u.dict->pairs, from->pairs, (size_t)from->n * sizeof *from->pairs);
    dict.u.dict->n = from->n;
    *out = dict;
    return pio_run_step(run, (uint64_t)from->n);
}

METHOD(list_index) {
    bool equal;
    int64_t n, start, stop;
    if (!pio_run_length(run, self, &n) || !pio_run_need_whole(run, ARGUMENT(1), "index", 0, &start) ||
        !pio_run_need_whole(run, ARGUMENT(2), "index", n, &stop))
        return false;
    if (start < 0) start = PIO_MAX(start + n, INT64_C(0));
    if (stop < 0) stop += n;
    for (int64_t i = start; i < PIO_MIN(stop, n); i++) {
        const pio_tv item = self->kind == PIO_TV_RANGE ? pio_run_range_item(self->u.range, i) : self->u.list->items[i];
        if (!pio_run_equal(run, &item, ARGUMENT(0), &equal) || !pio_run_step(run, 1)) return false;
        if (!equal) continue;
        *out = pio_tv_int(i);
        return true;
    }
    return pio_run_fail(run, PIO_INVALID_ARGUMENT, "index() finds no such item in a %s", pio_tv_type_name(self));
}
METHOD(list_count) {
    pio_run_iteration iteration;
    pio_tv item;
    bool equal;
    int more;
    int64_t n = 0;
    if (!pio_run_iterate(run, self, &iteration)) return false;
    while ((more = pio_run_next(run, &iteration, &item)) > 0) {
        if (!pio_run_equal(run, &item, ARGUMENT(0), &equal)) return false;
        n += equal;
    }
    *out = pio_tv_int(n);
    return more == 0;
}

/* What would change a value is there, but not for templates. */
METHOD(refused) {
    (void)arguments, (void)out;
    return pio_run_fail(run, PIO_INVALID_ARGUMENT,
                        "a template cannot change a %s: methods like append, pop and update "
                        "are refused",
                        pio_tv_type_name(self));
}

METHOD(loop_cycle) {
    return pio_run_loop_method(run, self, arguments, true, out);
}
METHOD(loop_changed) {
    return pio_run_loop_method(run, self, arguments, false, out);
}

METHOD(cycler_next) {
    (void)run, (void)arguments;
    pio_tv_cycler *cycler = self->u.cycler;
    *out = cycler->items[cycler->at];
    cycler->at = (cycler->at + 1) % cycler->n;
    return true;
}
METHOD(cycler_reset) {
    (void)run, (void)arguments;
    self->u.cycler->at = 0;
    *out = pio_tv_none();
    return true;
}

static const pio_template_function dict_methods[] = {
    {"items", "", 0, dict_items, 0},        {"keys", "", 0, dict_keys, 0},  {"values", "", 0, dict_values, 0},
    {"get", "key default", 1, dict_get, 0}, {"copy", "", 0, copy, 0},       {"update", NULL, 0, refused, 0},
    {"pop", NULL, 0, refused, 0},           {"clear", NULL, 0, refused, 0}, {"popitem", NULL, 0, refused, 0},
    {"setdefault", NULL, 0, refused, 0}};

static const pio_template_function list_methods[] = {{"index", "value start stop", 1, list_index, 0},
                                                     {"count", "value", 1, list_count, 0},
                                                     {"copy", "", 0, copy, 0},
                                                     {"append", NULL, 0, refused, 0},
                                                     {"extend", NULL, 0, refused, 0},
                                                     {"insert", NULL, 0, refused, 0},
                                                     {"pop", NULL, 0, refused, 0},
                                                     {"remove", NULL, 0, refused, 0},
                                                     {"clear", NULL, 0, refused, 0},
                                                     {"sort", NULL, 0, refused, 0},
                                                     {"reverse", NULL, 0, refused, 0}};

static const pio_template_function tuple_methods[] = {{"index", "value start stop", 1, list_index, 0},
                                                      {"count", "value", 1, list_count, 0}};
static const pio_template_function loop_methods[] = {{"cycle", NULL, 0, loop_cycle, 0},
                                                     {"changed", NULL, 0, loop_changed, 0}};
static const pio_template_function cycler_methods[] = {{"next", "", 0, cycler_next, 0},
                                                       {"reset", "", 0, cycler_reset, 0}};

const pio_template_function *pio_template_find_method(pio_tv_kind kind, const char *name, size_t n) {
    switch (kind) {
    case PIO_TV_STR:
        return pio_template_find_row(pio_template_str_methods, pio_template_n_str_methods, name, n);
    case PIO_TV_DICT:
        return pio_template_find_row(dict_methods, PIO_COUNT(dict_methods), name, n);
    case PIO_TV_LIST:
        return pio_template_find_row(list_methods, PIO_COUNT(list_methods), name, n);
    case PIO_TV_TUPLE:
    case PIO_TV_RANGE:
        return pio_template_find_row(tuple_methods, PIO_COUNT(tuple_methods), name, n);
    case PIO_TV_LOOP:
        return pio_template_find_row(loop_methods, PIO_COUNT(loop_methods), name, n);
    case PIO_TV_CYCLER:
        return pio_template_find_row(cycler_methods, PIO_COUNT(cycler_methods), name, n);
    default:
        return NULL;
    }
}
