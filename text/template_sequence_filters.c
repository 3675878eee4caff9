/* Filters on sequences. Those that the reference makes generators of are iterators here too: they are worked off once,
 * item by item, and are always true. */
#include <string.h>

#include "text/template_text.h"

#define FILTER(name)                                                                                                   \
    static bool name(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, pio_tv *out)
#define ARGUMENT(i) (&arguments->items[i])

static bool undefined_hint(const char *hint, pio_tv *out) {
    *out = pio_tv_undefined(PIO_TV_HINT, PIO_TV_NONE, hint, strlen(hint));
    return true;
}

/* ---- one item, or all ---- */

FILTER(f_first) {
    pio_run_iteration iteration;
    (void)arguments;
    if (!pio_run_iterate(run, self, &iteration)) return false;
    int more = pio_run_next(run, &iteration, out);
    return more > 0 || (more == 0 && undefined_hint("No first item, sequence was empty.", out));
}

FILTER(f_last) {
    (void)arguments;
    pio_tv list;
    if (self->kind == PIO_TV_ITERATOR)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'last' does not take a generator: make it a list first");
    if (!pio_run_to_list(run, self, PIO_TV_LIST, &list)) return false;
    if (!list.u.list->n) return undefined_hint("No last item, sequence was empty.", out);
    *out = list.u.list->items[list.u.list->n - 1];
    return true;
}

FILTER(f_list) {
    (void)arguments;
    return pio_run_to_list(run, self, PIO_TV_LIST, out);
}

FILTER(f_reverse) {
    (void)arguments;
    pio_tv list;
    if (!pio_run_to_list(run, self, PIO_TV_LIST, &list)) return false;
    pio_tv *items = list.u.list->items;
    for (int32_t i = 0, k = list.u.list->n - 1; i < k; i++, k--) {
        pio_tv item = items[i];
        items[i] = items[k];
        items[k] = item;
    }
    const pio_tv nothing = pio_tv_str("", 0);
    if (self->kind == PIO_TV_STR) return pio_run_join(run, &list, &nothing, true, out);
    if (self->kind == PIO_TV_ITERATOR) {
        *out = list;
        return true;
    }
    return pio_run_plain_iterator(run, &list, "reversed", out);
}

FILTER(f_join) {
    pio_tv items = *self, separator = pio_tv_str("", 0), item, part;
    if (ARGUMENT(0)->kind != PIO_TV_MISSING && !pio_run_str(run, ARGUMENT(0), &separator)) return false;
    separator.variant = 0;
    if (pio_run_given(ARGUMENT(1))) {
        pio_run_iteration iteration;
        int more;
        if (!pio_run_iterate(run, self, &iteration) || !pio_run_new_list(run, PIO_TV_LIST, 0, &items)) return false;
        while ((more = pio_run_next(run, &iteration, &item)) > 0)
            if (!pio_run_path(run, &item, ARGUMENT(1), NULL, &part) || !pio_run_append(run, items.u.list, &part))
                return false;
        if (more < 0) return false;
    }
    return pio_run_join(run, &items, &separator, false, out);
}

FILTER(f_sum) {
    pio_run_iteration iteration;
    pio_tv item, part, total = ARGUMENT(1)->kind == PIO_TV_MISSING ? pio_tv_int(0) : *ARGUMENT(1);
    int more;
    if (!pio_run_iterate(run, self, &iteration)) return false;
    if (total.kind == PIO_TV_STR) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'sum' does not add strings");
    while ((more = pio_run_next(run, &iteration, &item)) > 0) {
        const pio_tv before = total;
        if (!pio_run_path(run, &item, ARGUMENT(0), NULL, &part) ||
            !pio_run_binary(run, PIO_OPERATOR_ADD, &before, &part, &total))
            return false;
    }
    *out = total;
    return more == 0;
}

/* The reference notices what is no mapping only when the first pair is asked for. */
static int next_pair(pio_template_run *run, pio_tv_iterator *iterator, pio_tv *out) {
    const pio_tv *of = iterator->state;
    if (of->kind == PIO_TV_UNDEFINED) return 0;
    if (of->kind != PIO_TV_DICT) {
        pio_run_fail(run, PIO_INVALID_ARGUMENT, "'items' takes a mapping, not a %s", pio_tv_type_name(of));
        return -1;
    }
    return pio_run_next(run, &iterator->source, out);
}

FILTER(f_items) {
    (void)arguments;
    static const pio_tv_dict empty;
    const pio_tv_dict *dict = self->kind == PIO_TV_DICT ? self->u.dict : &empty;
    const pio_tv view = {.kind = PIO_TV_VIEW, .variant = PIO_TV_ITEMS, .u.dict = (pio_tv_dict *)dict};
    pio_tv *of = pio_run_take(run, sizeof *of);
    if (!of) return false;
    *of = *self;
    return pio_run_new_iterator(run, &view, "generator", next_pair, of, out);
}

/* ---- map, select, reject ---- */

typedef struct chosen {
    pio_template_arguments arguments; /* behind the name of the filter or test */
    pio_tv name;                      /* MISSING: none */
    pio_tv path, otherwise;           /* MISSING: the item itself; undefined stays undefined */
    bool negated;
} chosen;

static int next_mapped(pio_template_run *run, pio_tv_iterator *iterator, pio_tv *out) {
    const chosen *c = iterator->state;
    pio_tv item;
    int more = pio_run_next(run, &iterator->source, &item);
    if (more <= 0) return more;
    if (c->name.kind != PIO_TV_MISSING) return pio_run_call_filter(run, &c->name, &item, &c->arguments, out) ? 1 : -1;
    return pio_run_path(run, &item, &c->path, c->otherwise.kind == PIO_TV_MISSING ? NULL : &c->otherwise, out) ? 1 : -1;
}

static int next_selected(pio_template_run *run, pio_tv_iterator *iterator, pio_tv *out) {
    const chosen *c = iterator->state;
    pio_tv value;
    int more;
    while ((more = pio_run_next(run, &iterator->source, out)) > 0) {
        bool holds;
        value = *out;
        if (c->path.kind != PIO_TV_MISSING && !pio_run_path(run, out, &c->path, NULL, &value)) return -1;
        if (c->name.kind == PIO_TV_MISSING)
            holds = pio_run_truth(&value);
        else if (!pio_run_call_test(run, &c->name, &value, &c->arguments, &holds))
            return -1;
        if (holds != c->negated) return 1;
    }
    return more;
}

/* Copies the arguments from the n-th on: they outlive the call. */
static chosen *keep_arguments(pio_template_run *run, const pio_template_arguments *from, int32_t n) {
    chosen *c = pio_run_take(run, sizeof *c);
    int32_t n_items = PIO_MAX(from->n - n, 0);
    pio_tv *items = pio_run_take(run, (size_t)n_items * sizeof *items);
    pio_tv_pair *keywords = pio_run_take(run, (size_t)from->n_keywords * sizeof *keywords);
    if (!c || !items || !keywords) return NULL;
    if (n_items) memcpy(items, from->items + n, (size_t)n_items * sizeof *items);
    if (from->n_keywords) memcpy(keywords, from->keywords, (size_t)from->n_keywords * sizeof *keywords);
    c->arguments = (pio_template_arguments){items, n_items, keywords, from->n_keywords};
    return c;
}

/* The reference asks nothing of an empty sequence, not even for good arguments. */
static bool nothing_to_do(pio_template_run *run, const pio_tv *self, pio_tv *out, bool *ok) {
    static const pio_tv_list empty;
    if (pio_run_truth(self)) return false;
    const pio_tv list = {.kind = PIO_TV_LIST, .u.list = (pio_tv_list *)&empty};
    *ok = pio_run_plain_iterator(run, &list, "generator", out);
    return true;
}

FILTER(f_map) {
    bool ok;
    if (nothing_to_do(run, self, out, &ok)) return ok;
    chosen *c = keep_arguments(run, arguments, 1);
    if (!c) return false;
    if (arguments->n) {
        c->name = arguments->items[0];
        return pio_run_new_iterator(run, self, "generator", next_mapped, c, out);
    }
    for (int32_t i = 0; i < arguments->n_keywords; i++) {
        const pio_tv_pair *pair = &arguments->keywords[i];
        if (pio_tv_is_text(&pair->key, "attribute", 9))
            c->path = pair->value;
        else if (pio_tv_is_text(&pair->key, "default", 7))
            c->otherwise = pio_run_given(&pair->value) ? pair->value : c->otherwise;
        else
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'map' does not take an argument '%.*s'",
                                (int)PIO_MIN(pair->key.n, 100u), pair->key.u.bytes);
    }
    if (c->path.kind == PIO_TV_MISSING)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'map' takes a filter's name, or attribute=");
    return pio_run_new_iterator(run, self, "generator", next_mapped, c, out);
}

static bool select_or_reject(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments,
                             bool by_attribute, bool negated, pio_tv *out) {
    bool ok;
    if (nothing_to_do(run, self, out, &ok)) return ok;
    chosen *c = keep_arguments(run, arguments, 1 + by_attribute);
    if (!c) return false;
    c->negated = negated;
    if (by_attribute && !arguments->n)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'%s' takes the name of an attribute",
                            negated ? "rejectattr" : "selectattr");
    if (by_attribute) c->path = arguments->items[0];
    if (arguments->n > by_attribute) c->name = arguments->items[by_attribute];
    return pio_run_new_iterator(run, self, "generator", next_selected, c, out);
}
FILTER(f_select) {
    return select_or_reject(run, self, arguments, false, false, out);
}
FILTER(f_reject) {
    return select_or_reject(run, self, arguments, false, true, out);
}
FILTER(f_selectattr) {
    return select_or_reject(run, self, arguments, true, false, out);
}
FILTER(f_rejectattr) {
    return select_or_reject(run, self, arguments, true, true, out);
}

/* ---- sorting ---- */

/* What items are compared by: the value at a path (several, separated by commas, if `many`), letters in lower case
 * unless case counts. */
static bool key_of(pio_template_run *run, const pio_tv *item, const pio_tv *path, const pio_tv *otherwise,
                   bool with_case, pio_tv *out) {
    pio_tv value;
    if (!pio_run_path(run, item, path, otherwise, &value)) return false;
    if (with_case || value.kind != PIO_TV_STR) {
        *out = value;
        return true;
    }
    return pio_run_text_case(run, &value, PIO_CASE_LOWER, out);
}

static bool keys_of(pio_template_run *run, const pio_tv *item, const pio_tv *path, bool with_case, pio_tv *out) {
    if (path->kind != PIO_TV_STR || !memchr(path->u.bytes, ',', path->n))
        return key_of(run, item, path, NULL, with_case, out);
    pio_tv list, key;
    if (!pio_run_new_list(run, PIO_TV_LIST, 0, &list)) return false;
    for (const char *at = path->u.bytes, *end = at + path->n, *stop;; at = stop + 1) {
        stop = memchr(at, ',', (size_t)(end - at));
        const pio_tv part = pio_tv_str(at, (size_t)((stop ? stop : end) - at));
        if (!key_of(run, item, &part, NULL, with_case, &key) || !pio_run_append(run, list.u.list, &key)) return false;
        if (!stop) break;
    }
    *out = list;
    return true;
}

typedef struct keyed {
    pio_tv key, item;
} keyed;

typedef struct order {
    const pio_tv *path, *otherwise; /* otherwise NULL: what is not there is undefined */
    bool with_case, descending;
    bool as_lists; /* keys are compared as the members of lists are: equal ones need no order */
} order;

static bool precedes(pio_template_run *run, const order *o, const pio_tv *a, const pio_tv *b, bool *less) {
    bool equal;
    *less = false;
    if (!o->as_lists) return pio_run_less(run, PIO_OPERATOR_LT, a, b, less);
    if (!pio_run_equal(run, a, b, &equal)) return false;
    return equal || pio_run_less(run, PIO_OPERATOR_LT, a, b, less);
}

/* Merges two sorted halves; equal items keep their order, also in a descending sort. */
static bool merge_sort(pio_template_run *run, const order *o, keyed *items, keyed *room, int32_t n) {
    if (n < 2) return true;
    int32_t half = n / 2, a = 0, b = half, to = 0;
    if (!merge_sort(run, o, items, room, half) || !merge_sort(run, o, items + half, room, n - half)) return false;
    while (a < half && b < n) {
        bool swap;
        const pio_tv *x = &items[a].key, *y = &items[b].key;
        if (!precedes(run, o, o->descending ? x : y, o->descending ? y : x, &swap)) return false;
        room[to++] = swap ? items[b++] : items[a++];
    }
    while (a < half) room[to++] = items[a++];
    while (b < n) room[to++] = items[b++];
    memcpy(items, room, (size_t)n * sizeof *items);
    return true;
}

/* *out is a list of the items in order; *keys (may be NULL) gets their keys. */
static bool sort_items(pio_template_run *run, const pio_tv *self, const order *o, keyed **keys, pio_tv *out) {
    pio_tv list;
    if (!pio_run_to_list(run, self, PIO_TV_LIST, &list)) return false;
    int32_t n = list.u.list->n;
    keyed *items = pio_run_take(run, 2 * (size_t)n * sizeof *items);
    if (!items) return false;
    for (int32_t i = 0; i < n; i++) {
        items[i].item = list.u.list->items[i];
        bool ok = o->as_lists ? keys_of(run, &items[i].item, o->path, o->with_case, &items[i].key)
                              : key_of(run, &items[i].item, o->path, o->otherwise, o->with_case, &items[i].key);
        if (!ok) return false;
    }
    if (!merge_sort(run, o, items, items + n, n)) return false;
    for (int32_t i = 0; i < n; i++) list.u.list->items[i] = items[i].item;
    if (keys) *keys = items;
    *out = list;
    return true;
}

FILTER(f_sort) {
    const order o = {.path = ARGUMENT(2),
                     .with_case = pio_run_truth(ARGUMENT(1)),
                     .descending = pio_run_truth(ARGUMENT(0)),
                     .as_lists = true};
    return sort_items(run, self, &o, NULL, out);
}

FILTER(f_dictsort) {
    bool by_value = pio_tv_is_text(ARGUMENT(1), "value", 5);
    if (ARGUMENT(1)->kind != PIO_TV_MISSING && !by_value && !pio_tv_is_text(ARGUMENT(1), "key", 3))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'dictsort' sorts by key or value");
    if (self->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, self);
    if (self->kind != PIO_TV_DICT)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'dictsort' takes a dict, not a %s", pio_tv_type_name(self));
    const pio_tv view = {.kind = PIO_TV_VIEW, .variant = PIO_TV_ITEMS, .u.dict = self->u.dict};
    const pio_tv path = pio_tv_int(by_value);
    const order o = {.path = &path, .with_case = pio_run_truth(ARGUMENT(0)), .descending = pio_run_truth(ARGUMENT(2))};
    return sort_items(run, &view, &o, NULL, out);
}

static bool extreme(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, bool greatest,
                    pio_tv *out) {
    pio_run_iteration iteration;
    pio_tv item, key, best = {0};
    int more;
    if (!pio_run_iterate(run, self, &iteration)) return false;
    while ((more = pio_run_next(run, &iteration, &item)) > 0) {
        bool better = best.kind == PIO_TV_MISSING;
        if (!key_of(run, &item, ARGUMENT(1), NULL, pio_run_truth(ARGUMENT(0)), &key)) return false;
        if (!better && !pio_run_less(run, greatest ? PIO_OPERATOR_GT : PIO_OPERATOR_LT, &key, &best, &better))
            return false;
        if (!better) continue;
        best = key;
        *out = item;
    }
    if (more == 0 && best.kind == PIO_TV_MISSING) undefined_hint("No aggregated item, sequence was empty.", out);
    return more == 0;
}
FILTER(f_min) {
    return extreme(run, self, arguments, false, out);
}
FILTER(f_max) {
    return extreme(run, self, arguments, true, out);
}

FILTER(f_groupby) {
    keyed *keys;
    pio_tv sorted, groups, group, list, of;
    const pio_tv *otherwise = pio_run_given(ARGUMENT(1)) ? ARGUMENT(1) : NULL;
    const order o = {.path = ARGUMENT(0), .otherwise = otherwise, .with_case = pio_run_truth(ARGUMENT(2))};
    if (!sort_items(run, self, &o, &keys, &sorted) || !pio_run_new_list(run, PIO_TV_LIST, 0, &groups)) return false;
    for (int32_t i = 0, n = sorted.u.list->n, k; i < n; i = k) {
        bool equal = true;
        if (!pio_run_new_list(run, PIO_TV_LIST, 0, &list)) return false;
        for (k = i; k < n; k++) {
            if (!pio_run_equal(run, &keys[i].key, &keys[k].key, &equal)) return false;
            if (!equal) break;
            if (!pio_run_append(run, list.u.list, &sorted.u.list->items[k])) return false;
        }
        if (!pio_run_path(run, &sorted.u.list->items[i], ARGUMENT(0), otherwise, &of) ||
            !pio_run_pair(run, &of, &list, &group))
            return false;
        group.tag = 1;
        if (!pio_run_append(run, groups.u.list, &group)) return false;
    }
    *out = groups;
    return true;
}

/* ---- unique, batch, slice ---- */

typedef struct unique_state {
    pio_tv seen; /* a dict */
    pio_tv path;
    bool with_case;
} unique_state;

static int next_unique(pio_template_run *run, pio_tv_iterator *iterator, pio_tv *out) {
    unique_state *s = iterator->state;
    pio_tv key, *found;
    int more;
    while ((more = pio_run_next(run, &iterator->source, out)) > 0) {
        if (!key_of(run, out, &s->path, NULL, s->with_case, &key)) return -1;
        if (!pio_run_dict_find(run, s->seen.u.dict, &key, &found)) return -1;
        if (found) continue;
        return pio_run_dict_set(run, s->seen.u.dict, &key, &key) ? 1 : -1;
    }
    return more;
}

FILTER(f_unique) {
    unique_state *state = pio_run_take(run, sizeof *state);
    if (!state || !pio_run_new_dict(run, PIO_TV_DICT, 0, &state->seen)) return false;
    state->with_case = pio_run_truth(ARGUMENT(0));
    state->path = *ARGUMENT(1);
    return pio_run_new_iterator(run, self, "generator", next_unique, state, out);
}

FILTER(f_batch) {
    int64_t size;
    pio_run_iteration iteration;
    pio_tv batches, batch = {0}, item;
    int more;
    if (!pio_run_need_whole(run, ARGUMENT(0), "batch", 0, &size) || !pio_run_iterate(run, self, &iteration) ||
        !pio_run_new_list(run, PIO_TV_LIST, 0, &batches))
        return false;
    while ((more = pio_run_next(run, &iteration, &item)) > 0) {
        if (batch.kind == PIO_TV_MISSING || batch.u.list->n == size) {
            if (!pio_run_new_list(run, PIO_TV_LIST, 0, &batch) || !pio_run_append(run, batches.u.list, &batch))
                return false;
        }
        if (!pio_run_append(run, batch.u.list, &item)) return false;
    }
    if (more < 0) return false;
    if (pio_run_given(ARGUMENT(1)))
        while (batch.kind != PIO_TV_MISSING && batch.u.list->n < size)
            if (!pio_run_append(run, batch.u.list, ARGUMENT(1))) return false;
    return pio_run_plain_iterator(run, &batches, "generator", out);
}

FILTER(f_slice) {
    int64_t slices, at = 0;
    pio_tv items, parts, part;
    if (!pio_run_need_whole(run, ARGUMENT(0), "slice", 0, &slices) ||
        !pio_run_to_list(run, self, PIO_TV_LIST, &items) || !pio_run_new_list(run, PIO_TV_LIST, 0, &parts))
        return false;
    if (!slices) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'slice' cannot make 0 slices");
    for (int64_t i = 0; i < slices; i++) {
        int64_t n = items.u.list->n / slices + (i < items.u.list->n % slices);
        if (!pio_run_new_list(run, PIO_TV_LIST, 0, &part)) return false;
        for (int64_t k = 0; k < n; k++)
            if (!pio_run_append(run, part.u.list, &items.u.list->items[at++])) return false;
        if (pio_run_given(ARGUMENT(1)) && i >= items.u.list->n % slices &&
            !pio_run_append(run, part.u.list, ARGUMENT(1)))
            return false;
        if (!pio_run_append(run, parts.u.list, &part)) return false;
    }
    return pio_run_plain_iterator(run, &parts, "generator", out);
}

const pio_template_function pio_template_sequence_filters[] = {
    {"first", "", 0, f_first, 0},
    {"last", "", 0, f_last, 0},
    {"list", "", 0, f_list, 0},
    {"reverse", "", 0, f_reverse, 0},
    {"join", "d attribute", 0, f_join, 0},
    {"sum", "attribute start", 0, f_sum, 0},
    {"items", "", 0, f_items, 0},
    {"map", NULL, 0, f_map, 0},
    {"select", NULL, 0, f_select, 0},
    {"reject", NULL, 0, f_reject, 0},
    {"selectattr", NULL, 0, f_selectattr, 0},
    {"rejectattr", NULL, 0, f_rejectattr, 0},
    {"sort", "reverse case_sensitive attribute", 0, f_sort, 0},
    {"dictsort", "case_sensitive by reverse", 0, f_dictsort, 0},
    {"min", "case_sensitive attribute", 0, f_min, 0},
    {"max", "case_sensitive attribute", 0, f_max, 0},
    {"groupby", "attribute default case_sensitive", 1, f_groupby, 0},
    {"unique", "case_sensitive attribute", 0, f_unique, 0},
    {"batch", "linecount fill_with", 1, f_batch, 0},
    {"slice", "slices fill_with", 1, f_slice, 0},
};
const size_t pio_template_n_sequence_filters = PIO_COUNT(pio_template_sequence_filters);
