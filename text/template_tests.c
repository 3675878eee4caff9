/* The tests behind `is`. */
#include <string.h>

#include "text/template_case.h"
#include "text/template_run.h"

#define TEST(name)                                                                                                     \
    static bool name(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, pio_tv *out)
#define ARGUMENT(i) (&arguments->items[i])

static bool answer(pio_tv *out, bool truth) {
    *out = pio_tv_bool(truth);
    return true;
}

TEST(is_defined) {
    (void)run, (void)arguments;
    return answer(out, self->kind != PIO_TV_UNDEFINED);
}
TEST(is_undefined) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_UNDEFINED);
}
TEST(is_none) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_NONE);
}
TEST(is_boolean) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_BOOL);
}
TEST(is_true) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_BOOL && self->u.truth);
}
TEST(is_false) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_BOOL && !self->u.truth);
}
TEST(is_integer) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_INT);
}
TEST(is_float) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_FLOAT);
}
TEST(is_number) {
    (void)run, (void)arguments;
    return answer(out, pio_tv_is_number(self));
}
TEST(is_string) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_STR);
}
TEST(is_mapping) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_DICT);
}
TEST(is_iterable) {
    (void)run, (void)arguments;
    return answer(out, pio_run_is_iterable(self));
}
TEST(is_sequence) {
    (void)run, (void)arguments; /* what has a length and items: views of dicts have no items */
    return answer(out, pio_run_has_length(self) && self->kind != PIO_TV_VIEW && self->kind != PIO_TV_LOOP);
}
TEST(is_callable) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_MACRO || self->kind == PIO_TV_METHOD || self->kind == PIO_TV_FUNCTION ||
                           self->kind == PIO_TV_LOOP || self->kind == PIO_TV_JOINER || self->kind == PIO_TV_UNDEFINED);
}
TEST(is_escaped) {
    (void)run, (void)arguments;
    return answer(out, self->kind == PIO_TV_STR && self->variant);
}
TEST(is_filter) {
    (void)arguments;
    if (self->kind == PIO_TV_LIST || self->kind == PIO_TV_DICT)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s is no name", pio_tv_type_name(self));
    return answer(out, self->kind == PIO_TV_STR && pio_template_find_filter(self->u.bytes, self->n));
}
TEST(is_test) {
    (void)arguments;
    if (self->kind == PIO_TV_LIST || self->kind == PIO_TV_DICT)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s is no name", pio_tv_type_name(self));
    return answer(out, self->kind == PIO_TV_STR && pio_template_find_test(self->u.bytes, self->n));
}

static bool remainder_of(pio_template_run *run, const pio_tv *value, const pio_tv *by, int64_t is, pio_tv *out) {
    pio_tv rest;
    bool equal;
    const pio_tv wanted = pio_tv_int(is);
    if (!pio_run_binary(run, PIO_OPERATOR_MOD, value, by, &rest)) return false;
    return pio_run_equal(run, &rest, &wanted, &equal) && answer(out, equal);
}
TEST(is_odd) {
    (void)arguments;
    const pio_tv two = pio_tv_int(2);
    return remainder_of(run, self, &two, 1, out);
}
TEST(is_even) {
    (void)arguments;
    const pio_tv two = pio_tv_int(2);
    return remainder_of(run, self, &two, 0, out);
}
TEST(is_divisible) {
    return remainder_of(run, self, ARGUMENT(0), 0, out);
}

static bool compare(pio_template_run *run, pio_template_operator op, const pio_tv *a, const pio_tv *b, pio_tv *out) {
    bool holds;
    return pio_run_compare(run, op, a, b, &holds) && answer(out, holds);
}
TEST(is_equal) {
    return compare(run, PIO_OPERATOR_EQ, self, ARGUMENT(0), out);
}
TEST(is_unequal) {
    return compare(run, PIO_OPERATOR_NE, self, ARGUMENT(0), out);
}
TEST(is_less) {
    return compare(run, PIO_OPERATOR_LT, self, ARGUMENT(0), out);
}
TEST(is_less_or_equal) {
    return compare(run, PIO_OPERATOR_LE, self, ARGUMENT(0), out);
}
TEST(is_greater) {
    return compare(run, PIO_OPERATOR_GT, self, ARGUMENT(0), out);
}
TEST(is_greater_or_equal) {
    return compare(run, PIO_OPERATOR_GE, self, ARGUMENT(0), out);
}
TEST(is_in) {
    return compare(run, PIO_OPERATOR_IN, self, ARGUMENT(0), out);
}

/* Identity: of values that Python keeps only one of, and of objects. Equal numbers and strings count as one here. */
TEST(is_same) {
    const pio_tv *other = ARGUMENT(0);
    bool equal = false;
    if (self->kind != other->kind) return answer(out, false);
    if (self->kind == PIO_TV_LIST || self->kind == PIO_TV_TUPLE) return answer(out, self->u.list == other->u.list);
    if (self->kind == PIO_TV_DICT) return answer(out, self->u.dict == other->u.dict);
    return pio_run_equal(run, self, other, &equal) && answer(out, equal);
}

TEST(is_lower) {
    (void)arguments;
    pio_tv text;
    return pio_run_str(run, self, &text) && answer(out, pio_template_is_cased(text.u.bytes, text.n, false)) &&
           pio_run_work(run, text.n);
}
TEST(is_upper) {
    (void)arguments;
    pio_tv text;
    return pio_run_str(run, self, &text) && answer(out, pio_template_is_cased(text.u.bytes, text.n, true)) &&
           pio_run_work(run, text.n);
}

static const pio_template_function tests[] = {
    {"defined", "", 0, is_defined, 0},
    {"undefined", "", 0, is_undefined, 0},
    {"none", "", 0, is_none, 0},
    {"boolean", "", 0, is_boolean, 0},
    {"true", "", 0, is_true, 0},
    {"false", "", 0, is_false, 0},
    {"integer", "", 0, is_integer, 0},
    {"float", "", 0, is_float, 0},
    {"number", "", 0, is_number, 0},
    {"string", "", 0, is_string, 0},
    {"mapping", "", 0, is_mapping, 0},
    {"iterable", "", 0, is_iterable, 0},
    {"sequence", "", 0, is_sequence, 0},
    {"callable", "", 0, is_callable, 0},
    {"escaped", "", 0, is_escaped, 0},
    {"filter", "", 0, is_filter, 0},
    {"test", "", 0, is_test, 0},
    {"odd", "", 0, is_odd, 0},
    {"even", "", 0, is_even, 0},
    {"divisibleby", "num", 1, is_divisible, 0},
    {"eq", "other", 1, is_equal, 0},
    {"==", "other", 1, is_equal, 0},
    {"equalto", "other", 1, is_equal, 0},
    {"ne", "other", 1, is_unequal, 0},
    {"!=", "other", 1, is_unequal, 0},
    {"lt", "other", 1, is_less, 0},
    {"<", "other", 1, is_less, 0},
    {"lessthan", "other", 1, is_less, 0},
    {"le", "other", 1, is_less_or_equal, 0},
    {"<=", "other", 1, is_less_or_equal, 0},
    {"gt", "other", 1, is_greater, 0},
    {">", "other", 1, is_greater, 0},
    {"greaterthan", "other", 1, is_greater, 0},
    {"ge", "other", 1, is_greater_or_equal, 0},
    {">=", "other", 1, is_greater_or_equal, 0},
    {"in", "seq", 1, is_in, 0},
    {"sameas", "other", 1, is_same, 0},
    {"lower", "", 0, is_lower, 0},
    {"upper", "", 0, is_upper, 0},
};

const pio_template_function *pio_template_find_test(const char *name, size_t n) {
    return pio_template_find_row(tests, PIO_COUNT(tests), name, n);
}
