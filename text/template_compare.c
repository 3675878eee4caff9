/* Truth, equality, order, membership and length, as Python has them. */
#include <math.h>
#include <string.h>

#include "text/template_run.h"

bool pio_run_truth(const pio_tv *v) {
    switch (v->kind) {
    case PIO_TV_MISSING:
    case PIO_TV_UNDEFINED:
    case PIO_TV_NONE:
        return false;
    case PIO_TV_BOOL:
        return v->u.truth;
    case PIO_TV_INT:
        return v->u.integer != 0;
    case PIO_TV_FLOAT:
        return v->u.real != 0;
    case PIO_TV_STR:
        return v->n != 0;
    case PIO_TV_LIST:
    case PIO_TV_TUPLE:
        return v->u.list->n != 0;
    case PIO_TV_DICT:
    case PIO_TV_VIEW:
        return v->u.dict->n != 0;
    case PIO_TV_RANGE:
        return v->u.range->n != 0;
    default:
        return true;
    }
}

/* -1, 0 or 1 for numbers, 2 when one is not a number. Ints and floats are compared exactly, not after rounding. */
static int compare_numbers(const pio_tv *a, const pio_tv *b) {
    if (a->kind != PIO_TV_FLOAT && b->kind != PIO_TV_FLOAT) {
        int64_t x = pio_tv_whole(a), y = pio_tv_whole(b);
        return (x > y) - (x < y);
    }
    if (a->kind == PIO_TV_FLOAT && b->kind == PIO_TV_FLOAT) {
        double x = a->u.real, y = b->u.real;
        return isnan(x) || isnan(y) ? 2 : (x > y) - (x < y);
    }
    if (b->kind != PIO_TV_FLOAT) {
        int order = compare_numbers(b, a);
        return order == 2 ? 2 : -order;
    }
    double y = b->u.real;
    int64_t x = pio_tv_whole(a);
    if (isnan(y)) return 2;
    if (y >= 9223372036854775808.0) return -1;
    if (y < -9223372036854775808.0) return 1;
    int64_t whole = (int64_t)y;
    if (x != whole) return x > whole ? 1 : -1;
    double rest = y - (double)whole;
    return (rest < 0) - (rest > 0);
}

static bool equal_lists(pio_template_run *run, const pio_tv_list *a, const pio_tv_list *b, bool *equal) {
    *equal = a == b;
    if (a == b || a->n != b->n) return true;
    *equal = true;
    for (int32_t i = 0; i < a->n && *equal; i++)
        if (!pio_run_equal(run, &a->items[i], &b->items[i], equal)) return false;
    return true;
}

static bool equal_dicts(pio_template_run *run, pio_tv_dict *a, pio_tv_dict *b, bool *equal) {
    *equal = a == b;
    if (a == b || a->n != b->n) return true;
    *equal = true;
    for (int32_t i = 0; i < a->n && *equal; i++) {
        pio_tv *other;
        if (!pio_run_dict_find(run, b, &a->pairs[i].key, &other)) return false;
        *equal = other != NULL;
        if (other && !pio_run_equal(run, &a->pairs[i].value, other, equal)) return false;
    }
    return true;
}

static bool equal_ranges(const pio_tv_range *a, const pio_tv_range *b) {
    return a->n == b->n && (!a->n || (a->start == b->start && (a->n == 1 || a->step == b->step)));
}

static bool equal_parts(pio_template_run *run, const pio_tv *a, const pio_tv *b, bool *equal) {
    switch (a->kind) {
    case PIO_TV_LIST:
    case PIO_TV_TUPLE:
        return equal_lists(run, a->u.list, b->u.list, equal);
    case PIO_TV_DICT:
        return equal_dicts(run, a->u.dict, b->u.dict, equal);
    case PIO_TV_VIEW: {
        *equal = a->u.dict == b->u.dict && a->variant == b->variant && a->variant != PIO_TV_VALUES;
        if (*equal || a->variant != b->variant || a->variant == PIO_TV_VALUES) return true;
        if (a->variant == PIO_TV_ITEMS) return equal_dicts(run, a->u.dict, b->u.dict, equal);
        *equal = a->u.dict->n == b->u.dict->n;
        for (int32_t i = 0; i < a->u.dict->n && *equal; i++) {
            pio_tv *other;
            if (!pio_run_dict_find(run, b->u.dict, &a->u.dict->pairs[i].key, &other)) return false;
            *equal = other != NULL;
        }
        return true;
    }
    case PIO_TV_METHOD:
        *equal = a->u.method->row == b->u.method->row;
        return !*equal || pio_run_equal(run, &a->u.method->self, &b->u.method->self, equal);
    default:
        return true;
    }
}

bool pio_run_equal(pio_template_run *run, const pio_tv *a, const pio_tv *b, bool *equal) {
    *equal = false;
    if (pio_tv_is_number(a) && pio_tv_is_number(b)) {
        *equal = compare_numbers(a, b) == 0;
        return true;
    }
    if (a->kind != b->kind) return true;
    switch (a->kind) {
    case PIO_TV_UNDEFINED:
    case PIO_TV_NONE:
    case PIO_TV_MISSING:
        *equal = true;
        return true;
    case PIO_TV_STR:
        *equal = a->n == b->n && !memcmp(a->u.bytes, b->u.bytes, a->n);
        return pio_run_work(run, *equal ? a->n : 0);
    case PIO_TV_RANGE:
        *equal = equal_ranges(a->u.range, b->u.range);
        return true;
    case PIO_TV_LIST:
    case PIO_TV_TUPLE:
    case PIO_TV_DICT:
    case PIO_TV_VIEW:
    case PIO_TV_METHOD: {
        if (!pio_run_deeper(run) || !pio_run_step(run, 1)) return false;
        bool ok = equal_parts(run, a, b, equal);
        run->depth--;
        return ok;
    }
    default:
        *equal = a->u.bytes == b->u.bytes;
        return true;
    }
}

static bool holds_for(pio_template_operator op, int order) {
    switch (op) {
    case PIO_OPERATOR_LT:
        return order < 0;
    case PIO_OPERATOR_LE:
        return order <= 0;
    case PIO_OPERATOR_GT:
        return order == 1;
    default:
        return order == 0 || order == 1;
    }
}

static bool less_lists(pio_template_run *run, pio_template_operator op, const pio_tv_list *a, const pio_tv_list *b,
                       bool *holds) {
    bool equal = true;
    for (int32_t i = 0; i < a->n && i < b->n; i++) {
        if (!pio_run_equal(run, &a->items[i], &b->items[i], &equal)) return false;
        if (!equal) return pio_run_less(run, op, &a->items[i], &b->items[i], holds);
    }
    *holds = holds_for(op, (a->n > b->n) - (a->n < b->n));
    return true;
}

bool pio_run_less(pio_template_run *run, pio_template_operator op, const pio_tv *a, const pio_tv *b, bool *holds) {
    static const char *const signs[] = {
        [PIO_OPERATOR_LT] = "<", [PIO_OPERATOR_LE] = "<=", [PIO_OPERATOR_GT] = ">", [PIO_OPERATOR_GE] = ">="};
    *holds = false;
    if (a->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, a);
    if (b->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, b);
    if (pio_tv_is_number(a) && pio_tv_is_number(b)) {
        int order = compare_numbers(a, b);
        *holds = order != 2 && holds_for(op, order);
        return true;
    }
    if (a->kind == PIO_TV_STR && b->kind == PIO_TV_STR) { /* bytes of UTF-8 sort as their characters do */
        int order = memcmp(a->u.bytes, b->u.bytes, PIO_MIN(a->n, b->n));
        order = order ? (order > 0) - (order < 0) : (a->n > b->n) - (a->n < b->n);
        *holds = holds_for(op, order);
        return pio_run_step(run, 1);
    }
    if (a->kind == b->kind && (a->kind == PIO_TV_LIST || a->kind == PIO_TV_TUPLE)) {
        if (!pio_run_deeper(run)) return false;
        bool ok = less_lists(run, op, a->u.list, b->u.list, holds);
        run->depth--;
        return ok && pio_run_step(run, 1);
    }
    return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'%s' is not defined between a %s and a %s", signs[op],
                        pio_tv_type_name(a), pio_tv_type_name(b));
}

static bool contains_text(pio_template_run *run, const pio_tv *container, const pio_tv *item, bool *contains) {
    if (item->kind != PIO_TV_STR)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'in <string>' asks for a string, not for a %s",
                            pio_tv_type_name(item));
    *contains = !item->n || memmem(container->u.bytes, container->n, item->u.bytes, item->n);
    return pio_run_work(run, container->n);
}

static bool contains_item(pio_template_run *run, const pio_tv *container, const pio_tv *item, bool *contains) {
    pio_run_iteration iteration;
    pio_tv value;
    int more;
    if (!pio_run_iterate(run, container, &iteration)) return false;
    while ((more = pio_run_next(run, &iteration, &value)) > 0) {
        if (!pio_run_equal(run, &value, item, contains)) return false;
        if (*contains) return true;
    }
    return more == 0;
}

bool pio_run_contains(pio_template_run *run, const pio_tv *container, const pio_tv *item, bool *contains) {
    pio_tv *found;
    *contains = false;
    if (container->kind == PIO_TV_STR) return contains_text(run, container, item, contains);
    if (container->kind == PIO_TV_DICT || (container->kind == PIO_TV_VIEW && container->variant == PIO_TV_KEYS)) {
        if (!pio_run_dict_find(run, container->u.dict, item, &found)) return false;
        *contains = found != NULL;
        return true;
    }
    if (!pio_run_is_iterable(container))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'in' asks for something to search, not for a %s",
                            pio_tv_type_name(container));
    return contains_item(run, container, item, contains);
}

bool pio_run_compare(pio_template_run *run, pio_template_operator op, const pio_tv *a, const pio_tv *b, bool *holds) {
    bool ok = true;
    switch (op) {
    case PIO_OPERATOR_EQ:
    case PIO_OPERATOR_NE:
        ok = pio_run_equal(run, a, b, holds);
        break;
    case PIO_OPERATOR_IN:
    case PIO_OPERATOR_NOT_IN:
        ok = pio_run_contains(run, b, a, holds);
        break;
    default:
        return pio_run_less(run, op, a, b, holds);
    }
    if (op == PIO_OPERATOR_NE || op == PIO_OPERATOR_NOT_IN) *holds = !*holds;
    return ok;
}

bool pio_run_has_length(const pio_tv *v) {
    switch (v->kind) {
    case PIO_TV_UNDEFINED:
    case PIO_TV_STR:
    case PIO_TV_LIST:
    case PIO_TV_TUPLE:
    case PIO_TV_DICT:
    case PIO_TV_VIEW:
    case PIO_TV_RANGE:
    case PIO_TV_LOOP:
        return true;
    default:
        return false;
    }
}

bool pio_run_length(pio_template_run *run, const pio_tv *v, int64_t *n) {
    *n = 0;
    switch (v->kind) {
    case PIO_TV_UNDEFINED:
        return true;
    case PIO_TV_STR:
        *n = pio_tv_count_chars(v->u.bytes, v->n);
        return pio_run_work(run, v->n);
    case PIO_TV_LIST:
    case PIO_TV_TUPLE:
        *n = v->u.list->n;
        return true;
    case PIO_TV_DICT:
    case PIO_TV_VIEW:
        *n = v->u.dict->n;
        return true;
    case PIO_TV_RANGE:
        *n = v->u.range->n;
        return true;
    case PIO_TV_LOOP: {
        pio_tv length;
        bool found;
        if (!pio_run_loop_attribute(run, v->u.loop, "length", 6, &length, &found)) return false;
        *n = length.u.integer;
        return true;
    }
    default:
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s has no length", pio_tv_type_name(v));
    }
}
