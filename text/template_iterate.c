/* Going through values item by item. */
#include <string.h>

#include "text/template_run.h"

bool pio_run_is_iterable(const pio_tv *v) {
    return (pio_run_has_length(v) && v->kind != PIO_TV_LOOP) || v->kind == PIO_TV_ITERATOR || v->kind == PIO_TV_LOOP;
}

bool pio_run_iterate(pio_template_run *run, const pio_tv *v, pio_run_iteration *iteration) {
    *iteration = (pio_run_iteration){.source = *v};
    if (v->kind == PIO_TV_LOOP) return pio_run_fail(run, PIO_UNSUPPORTED, "iterating over 'loop' itself is not served");
    if (pio_run_is_iterable(v)) return true;
    return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s cannot be iterated over", pio_tv_type_name(v));
}

pio_tv pio_run_range_item(const pio_tv_range *range, int64_t at) {
    return pio_tv_int(range->start + at * range->step);
}

static int next_of_dict(pio_template_run *run, pio_run_iteration *iteration, pio_tv *out) {
    const pio_tv *v = &iteration->source;
    if (iteration->at >= v->u.dict->n) return 0;
    const pio_tv_pair *pair = &v->u.dict->pairs[iteration->at++];
    if (v->kind == PIO_TV_DICT || v->variant == PIO_TV_KEYS)
        *out = pair->key;
    else if (v->variant == PIO_TV_VALUES)
        *out = pair->value;
    else
        return pio_run_pair(run, &pair->key, &pair->value, out) ? 1 : -1;
    return 1;
}

int pio_run_next(pio_template_run *run, pio_run_iteration *iteration, pio_tv *out) {
    const pio_tv *v = &iteration->source;
    if (!pio_run_step(run, 1)) return -1;
    switch (v->kind) {
    case PIO_TV_LIST:
    case PIO_TV_TUPLE:
        if (iteration->at >= v->u.list->n) return 0;
        *out = v->u.list->items[iteration->at++];
        return 1;
    case PIO_TV_DICT:
    case PIO_TV_VIEW:
        return next_of_dict(run, iteration, out);
    case PIO_TV_STR: {
        if (iteration->at >= v->n) return 0;
        const char *at = v->u.bytes + iteration->at;
        unsigned n = pio_utf8_length((unsigned char)*at);
        iteration->at += n;
        *out = pio_tv_str(at, n); /* of markup too: only indexing keeps that */
        return 1;
    }
    case PIO_TV_RANGE:
        if (iteration->at >= v->u.range->n) return 0;
        *out = pio_run_range_item(v->u.range, iteration->at++);
        return 1;
    case PIO_TV_ITERATOR: {
        if (v->u.iterator->ended) return 0;
        if (!pio_run_deeper(run)) return -1;
        int more = v->u.iterator->next(run, v->u.iterator, out);
        run->depth--;
        if (more <= 0) v->u.iterator->ended = true;
        return more;
    }
    default:
        return 0;
    }
}

bool pio_run_to_list(pio_template_run *run, const pio_tv *v, pio_tv_kind kind, pio_tv *out) {
    pio_run_iteration iteration;
    pio_tv item, list;
    int more;
    if (!pio_run_iterate(run, v, &iteration) || !pio_run_new_list(run, kind, 0, &list)) return false;
    while ((more = pio_run_next(run, &iteration, &item)) > 0)
        if (!pio_run_append(run, list.u.list, &item)) return false;
    *out = list;
    return more == 0;
}

bool pio_run_new_iterator(pio_template_run *run, const pio_tv *v, const char *type_name,
                          int (*next)(pio_template_run *, pio_tv_iterator *, pio_tv *), void *state, pio_tv *out) {
    pio_tv_iterator *iterator = pio_run_take(run, sizeof *iterator);
    if (!iterator || !pio_run_iterate(run, v, &iterator->source)) return false;
    iterator->next = next;
    iterator->type_name = type_name;
    iterator->state = state;
    *out = (pio_tv){.kind = PIO_TV_ITERATOR, .u.iterator = iterator};
    return true;
}

static int next_plain(pio_template_run *run, pio_tv_iterator *iterator, pio_tv *out) {
    return pio_run_next(run, &iterator->source, out);
}

bool pio_run_plain_iterator(pio_template_run *run, const pio_tv *v, const char *type_name, pio_tv *out) {
    return pio_run_new_iterator(run, v, type_name, next_plain, NULL, out);
}
