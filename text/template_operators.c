/* Arithmetic, as Python has it but for 64-bit whole numbers. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/template_run.h"

static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**"};

static bool too_large(pio_template_run *run, pio_template_operator op) {
    return pio_run_fail(run, PIO_UNSUPPORTED, "the result of '%s' does not fit in 64 bits", signs[op]);
}

static int64_t floor_div(int64_t a, int64_t b) {
    int64_t quotient = a / b;
    return quotient * b != a && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

static bool integer_power(pio_template_run *run, int64_t base, int64_t exponent, pio_tv *out) {
    int64_t result = 1;
    while (exponent > 0) {
        if (exponent & 1 && PIO_MUL_OVERFLOWS(result, base, &result)) return too_large(run, PIO_OPERATOR_POW);
        exponent >>= 1;
        if (exponent && PIO_MUL_OVERFLOWS(base, base, &base)) return too_large(run, PIO_OPERATOR_POW);
    }
    *out = pio_tv_int(result);
    return true;
}

static bool integers(pio_template_run *run, pio_template_operator op, int64_t a, int64_t b, pio_tv *out) {
    int64_t result = 0;
    switch (op) {
    case PIO_OPERATOR_ADD:
        if (PIO_ADD_OVERFLOWS(a, b, &result)) return too_large(run, op);
        break;
    case PIO_OPERATOR_SUB:
        if (b == INT64_MIN ? a >= 0 : PIO_ADD_OVERFLOWS(a, -b, &result)) return too_large(run, op);
        if (b == INT64_MIN) result = a - b;
        break;
    case PIO_OPERATOR_MUL:
        if (PIO_MUL_OVERFLOWS(a, b, &result)) return too_large(run, op);
        break;
    case PIO_OPERATOR_DIV:
        *out = pio_tv_float((double)a / (double)b);
        return true;
    case PIO_OPERATOR_FLOORDIV:
        if (a == INT64_MIN && b == -1) return too_large(run, op);
        result = floor_div(a, b);
        break;
    case PIO_OPERATOR_MOD:
        result = b == -1 ? 0 : a - floor_div(a, b) * b;
        break;
    default:
        if (b >= 0) return integer_power(run, a, b, out);
        *out = pio_tv_float(pow((double)a, (double)b));
        return true;
    }
    *out = pio_tv_int(result);
    return true;
}

/* Python's float modulo has the sign of the divisor, and floor division agrees with it. */
static double modulo(double a, double b) {
    double rest = fmod(a, b);
    if (rest == 0) return copysign(0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

static double floor_quotient(double a, double b) {
    double quotient = (a - modulo(a, b)) / b, whole;
    if (quotient == 0) return copysign(0, a / b);
    whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1 : whole;
}

static bool reals(pio_template_run *run, pio_template_operator op, double a, double b, pio_tv *out) {
    double result = 0;
    switch (op) {
    case PIO_OPERATOR_ADD:
        result = a + b;
        break;
    case PIO_OPERATOR_SUB:
        result = a - b;
        break;
    case PIO_OPERATOR_MUL:
        result = a * b;
        break;
    case PIO_OPERATOR_DIV:
        result = a / b;
        break;
    case PIO_OPERATOR_FLOORDIV:
        result = floor_quotient(a, b);
        break;
    case PIO_OPERATOR_MOD:
        result = modulo(a, b);
        break;
    default:
        result = pow(a, b);
        if (isnan(result) && !isnan(a) && !isnan(b))
            return pio_run_fail(run, PIO_UNSUPPORTED, "'**' gives a complex number");
        if (isinf(result) && !isinf(a) && !isinf(b))
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "the result of '**' is too large");
    }
    *out = pio_tv_float(result);
    return true;
}

static bool numbers(pio_template_run *run, pio_template_operator op, const pio_tv *a, const pio_tv *b, pio_tv *out) {
    bool divides = op == PIO_OPERATOR_DIV || op == PIO_OPERATOR_FLOORDIV || op == PIO_OPERATOR_MOD;
    double divisor = pio_tv_real(b);
    if ((divides && divisor == 0) || (op == PIO_OPERATOR_POW && pio_tv_real(a) == 0 && divisor < 0))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "division by zero");
    if (pio_tv_is_whole(a) && pio_tv_is_whole(b)) return integers(run, op, pio_tv_whole(a), pio_tv_whole(b), out);
    return reals(run, op, pio_tv_real(a), divisor, out);
}

/* ---- sequences ---- */

/* A plain string beside markup is escaped. */
static bool add_side(pio_template_run *run, pio_run_text *text, const pio_tv *side, bool markup) {
    if (markup && !side->variant) return pio_run_add_escaped(run, text, side->u.bytes, side->n);
    return pio_run_text_add(run, text, side->u.bytes, side->n);
}

static bool join_texts(pio_template_run *run, const pio_tv *a, const pio_tv *b, pio_tv *out) {
    bool markup = a->variant || b->variant;
    pio_run_text text = {0};
    if (!add_side(run, &text, a, markup) || !add_side(run, &text, b, markup) || !pio_run_text_value(run, &text, out))
        return false;
    out->variant = markup;
    return true;
}

static bool join_lists(pio_template_run *run, const pio_tv *a, const pio_tv *b, pio_tv *out) {
    const pio_tv_list *x = a->u.list, *y = b->u.list;
    pio_tv list;
    if (!pio_run_new_list(run, (pio_tv_kind)a->kind, 0, &list)) return false;
    for (int32_t i = 0; i < x->n; i++)
        if (!pio_run_append(run, list.u.list, &x->items[i])) return false;
    for (int32_t i = 0; i < y->n; i++)
        if (!pio_run_append(run, list.u.list, &y->items[i])) return false;
    *out = list;
    return true;
}

static bool repeat(pio_template_run *run, const pio_tv *of, int64_t times, pio_tv *out) {
    pio_run_text text = {0};
    pio_tv list;
    bool is_text = of->kind == PIO_TV_STR;
    if (!is_text && !pio_run_new_list(run, (pio_tv_kind)of->kind, 0, &list)) return false;
    bool empty = is_text ? !of->n : !of->u.list->n;
    size_t bytes, item_bytes = is_text ? of->n : (size_t)of->u.list->n * sizeof(pio_tv);
    if (times > 0 && (PIO_MUL_OVERFLOWS(item_bytes, (size_t)times, &bytes) || bytes > run->limits.memory_bytes))
        return pio_run_fail(run, PIO_LIMIT, "rendering takes more than %zu bytes of memory", run->limits.memory_bytes);
    for (int64_t i = 0; i < times && !empty; i++) {
        if (!pio_run_step(run, 1)) return false;
        if (is_text && !pio_run_text_add(run, &text, of->u.bytes, of->n)) return false;
        for (int32_t k = 0; !is_text && k < of->u.list->n; k++)
            if (!pio_run_append(run, list.u.list, &of->u.list->items[k])) return false;
    }
    if (!is_text) {
        *out = list;
        return true;
    }
    uint8_t variant = of->variant;
    if (!pio_run_text_value(run, &text, out)) return false;
    out->variant = variant;
    return true;
}

static bool is_sequence(const pio_tv *v) {
    return v->kind == PIO_TV_STR || v->kind == PIO_TV_LIST || v->kind == PIO_TV_TUPLE;
}

bool pio_run_binary(pio_template_run *run, pio_template_operator op, const pio_tv *a, const pio_tv *b, pio_tv *out) {
    if (a->kind == PIO_TV_STR && op == PIO_OPERATOR_MOD) return pio_run_percent(run, a, b, out);
    if (a->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, a);
    if (b->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, b);
    if (pio_tv_is_number(a) && pio_tv_is_number(b)) return numbers(run, op, a, b, out);
    if (op == PIO_OPERATOR_ADD && a->kind == b->kind && is_sequence(a))
        return a->kind == PIO_TV_STR ? join_texts(run, a, b, out) : join_lists(run, a, b, out);
    if (op == PIO_OPERATOR_MUL && is_sequence(a) && pio_tv_is_whole(b)) return repeat(run, a, pio_tv_whole(b), out);
    if (op == PIO_OPERATOR_MUL && is_sequence(b) && pio_tv_is_whole(a)) return repeat(run, b, pio_tv_whole(a), out);
    return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'%s' is not defined between a %s and a %s", signs[op],
                        pio_tv_type_name(a), pio_tv_type_name(b));
}

bool pio_run_negate(pio_template_run *run, const pio_tv *a, bool plus, pio_tv *out) {
    if (a->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, a);
    if (a->kind == PIO_TV_FLOAT) {
        *out = pio_tv_float(plus ? a->u.real : -a->u.real);
        return true;
    }
    if (!pio_tv_is_whole(a)) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s has no sign", pio_tv_type_name(a));
    if (!plus && pio_tv_whole(a) == INT64_MIN) return too_large(run, PIO_OPERATOR_SUB);
    *out = pio_tv_int(plus ? pio_tv_whole(a) : -pio_tv_whole(a));
    return true;
}

/* ---- numbers from text ---- */

static void trim(const char **bytes, size_t *n) {
    while (*n && pio_template_is_space((unsigned char)**bytes) && (unsigned char)**bytes < 0x80) ++*bytes, --*n;
    while (*n && (unsigned char)(*bytes)[*n - 1] < 0x80 && pio_template_is_space((unsigned char)(*bytes)[*n - 1])) --*n;
}

/* Copies digits without the underscores that may stand between them. */
static bool plain_digits(const char *bytes, size_t n, char *room, size_t room_bytes) {
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '_') {
            if (!i || i + 1 == n || bytes[i + 1] == '_' || !strchr("0123456789abcdefABCDEFxXoO", bytes[i - 1]))
                return false;
            continue;
        }
        if (to + 1 >= room_bytes || !bytes[i]) return false;
        room[to++] = bytes[i];
    }
    room[to] = 0;
    return to > 0;
}

bool pio_run_parse_int(const char *bytes, size_t n, int base, int64_t *out) {
    char room[128], *end;
    trim(&bytes, &n);
    if (!plain_digits(bytes, n, room, sizeof room)) return false;
    char *at = room + (*room == '-' || *room == '+');
    if (!((*at >= '0' && *at <= '9') || (*at | 0x20) >= 'a')) return false;
    char prefix = at[0] == '0' ? at[1] | 0x20 : 0;
    int named = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (named && (base == named || base == 0)) {
        memmove(at, at + 2, strlen(at + 2) + 1);
        base = named;
        if (!*at || *at == '-' || *at == '+') return false;
    }
    if (!base) base = 10;
    if (base == 10 && (*at | 0x20) >= 'a') return false;
    errno = 0;
    long long value = strtoll(room, &end, base);
    if (errno || *end || end == room) return false;
    *out = value;
    return true;
}

bool pio_run_parse_float(const char *bytes, size_t n, double *out) {
    static const char *const words[] = {"nan", "inf", "infinity"};
    char room[400], *end;
    trim(&bytes, &n);
    if (!plain_digits(bytes, n, room, sizeof room)) return false;
    const char *at = room + (*room == '-' || *room == '+');
    bool word = false;
    for (size_t i = 0; i < PIO_COUNT(words); i++) {
        size_t k = 0;
        while (at[k] && words[i][k] && (at[k] | 0x20) == words[i][k]) k++;
        word |= !at[k] && !words[i][k];
    }
    if (!word)
        for (const char *p = at; *p; p++)
            if (!strchr("0123456789.eE+-", *p)) return false;
    *out = strtod(room, &end);
    return !*end && end != room;
}
