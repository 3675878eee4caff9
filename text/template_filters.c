/* Filters on numbers and single values, and the finding of filters; those on text and on sequences have files of their
 * own. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/template_text.h"

#define FILTER(name)                                                                                                   \
    static bool name(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, pio_tv *out)
#define ARGUMENT(i) (&arguments->items[i])

FILTER(f_default) {
    (void)run;
    bool missing = self->kind == PIO_TV_UNDEFINED || (pio_run_truth(ARGUMENT(1)) && !pio_run_truth(self));
    *out = !missing ? *self : ARGUMENT(0)->kind == PIO_TV_MISSING ? pio_tv_str("", 0) : *ARGUMENT(0);
    return true;
}

static bool whole_of(double real, int64_t *out) {
    if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0)) return false;
    *out = (int64_t)real;
    return true;
}

FILTER(f_int) {
    int64_t whole, base;
    double real;
    if (!pio_run_need_whole(run, ARGUMENT(1), "int", 10, &base)) return false;
    *out = ARGUMENT(0)->kind == PIO_TV_MISSING ? pio_tv_int(0) : *ARGUMENT(0);
    if (self->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, self);
    bool text = self->kind == PIO_TV_STR;
    if (pio_tv_is_whole(self)) {
        *out = pio_tv_int(pio_tv_whole(self));
    } else if (self->kind == PIO_TV_FLOAT || text) {
        if (text && base >= 0 && base <= 36 && base != 1 &&
            pio_run_parse_int(self->u.bytes, self->n, (int)base, &whole)) {
            *out = pio_tv_int(whole);
        } else if (!text || pio_run_parse_float(self->u.bytes, self->n, &real)) {
            if (!text) real = self->u.real;
            if (isfinite(real) && !whole_of(real, &whole))
                return pio_run_fail(run, PIO_UNSUPPORTED, "'int' gives a number that does not fit in 64 bits");
            if (isfinite(real)) *out = pio_tv_int(whole);
        }
    }
    return true;
}

FILTER(f_float) {
    double real;
    if (self->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, self);
    *out = ARGUMENT(0)->kind == PIO_TV_MISSING ? pio_tv_float(0) : *ARGUMENT(0);
    if (pio_tv_is_number(self))
        *out = pio_tv_float(pio_tv_real(self));
    else if (self->kind == PIO_TV_STR && pio_run_parse_float(self->u.bytes, self->n, &real))
        *out = pio_tv_float(real);
    return true;
}

FILTER(f_abs) {
    (void)arguments;
    const pio_tv zero = pio_tv_int(0);
    bool negative;
    if (self->kind == PIO_TV_FLOAT) {
        *out = pio_tv_float(fabs(self->u.real));
        return true;
    }
    if (!pio_tv_is_whole(self) && self->kind != PIO_TV_UNDEFINED)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'abs' takes a number, not a %s", pio_tv_type_name(self));
    return pio_run_less(run, PIO_OPERATOR_LT, self, &zero, &negative) && pio_run_negate(run, self, !negative, out);
}

/* Rounds to `digits` decimals: the decimal text that is nearest, ties as the number's exact value has them. */
static double round_decimals(double real, int64_t digits) {
    char text[400];
    if (!isfinite(real) || digits > 22 + 300) return real;
    if (digits >= 0) {
        snprintf(text, sizeof text, "%.*f", (int)PIO_MIN(digits, INT64_C(340)), real);
        double result = real;
        pio_run_parse_float(text, strlen(text), &result);
        return result;
    }
    if (digits < -308) return copysign(0, real);
    double scale = pow(10, (double)-digits);
    return nearbyint(real / scale) * scale;
}

FILTER(f_round) {
    int64_t digits;
    const pio_tv *method = ARGUMENT(1);
    bool common = method->kind == PIO_TV_MISSING || pio_tv_is_text(method, "common", 6);
    bool ceiling = pio_tv_is_text(method, "ceil", 4);
    if (!common && !ceiling && !pio_tv_is_text(method, "floor", 5))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'round' rounds by common, ceil or floor");
    if (!pio_run_need_whole(run, ARGUMENT(0), "round", 0, &digits)) return false;
    if (self->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, self);
    if (!pio_tv_is_number(self))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'round' takes a number, not a %s", pio_tv_type_name(self));
    double real = pio_tv_real(self);
    if (common && self->kind != PIO_TV_FLOAT && digits >= 0) {
        *out = pio_tv_int(pio_tv_whole(self));
    } else if (common) {
        *out = pio_tv_float(round_decimals(real, digits));
        if (self->kind != PIO_TV_FLOAT) *out = pio_tv_int((int64_t)out->u.real);
    } else {
        double scale = pow(10, (double)digits);
        if (!isfinite(real * scale)) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'round' cannot round this number");
        *out = pio_tv_float((ceiling ? ceil(real * scale) : floor(real * scale)) / scale);
    }
    return true;
}

FILTER(f_string) {
    (void)arguments;
    return pio_run_str(run, self, out);
}

FILTER(f_length) {
    (void)arguments;
    int64_t n;
    if (!pio_run_length(run, self, &n)) return false;
    *out = pio_tv_int(n);
    return true;
}

FILTER(f_safe) {
    (void)arguments;
    if (!pio_run_str(run, self, out)) return false;
    out->variant = 1;
    return true;
}

FILTER(f_escape) {
    pio_tv text;
    pio_run_text escaped = {0};
    (void)arguments;
    if (!pio_run_str(run, self, &text)) return false;
    if (text.variant) {
        *out = text;
        return true;
    }
    if (!pio_run_add_escaped(run, &escaped, text.u.bytes, text.n) || !pio_run_text_value(run, &escaped, out))
        return false;
    out->variant = 1;
    return true;
}

FILTER(f_forceescape) {
    pio_tv text;
    if (!pio_run_str(run, self, &text)) return false;
    text.variant = 0;
    return f_escape(run, &text, arguments, out);
}

FILTER(f_attr) {
    if (!pio_run_need_text(run, ARGUMENT(0), "attr")) return false;
    const pio_tv *name = ARGUMENT(0);
    /* only attributes, not items */
    if (self->kind == PIO_TV_DICT && !pio_template_find_method(PIO_TV_DICT, name->u.bytes, name->n)) {
        *out = pio_tv_undefined(PIO_TV_NO_ATTRIBUTE, PIO_TV_DICT, name->u.bytes, name->n);
        return true;
    }
    return pio_run_attribute(run, self, name->u.bytes, name->n, out);
}

static bool tojson_text(pio_template_run *run, const pio_tv *v, const char *otherwise, pio_tv *out) {
    *out = pio_tv_str(otherwise, strlen(otherwise));
    if (!pio_run_given(v)) return true;
    if (!pio_run_need_text(run, v, "tojson")) return false;
    *out = *v;
    return true;
}

FILTER(f_tojson) {
    const pio_tv *indent = ARGUMENT(1), *gaps = ARGUMENT(2);
    pio_run_json style = {.ascii = pio_run_truth(ARGUMENT(0)),
                          .sort_keys = pio_run_truth(ARGUMENT(3)),
                          .indented = pio_run_given(indent)};
    pio_run_text spaces = {0}, text = {0};
    pio_tv item, key;
    if (style.indented && pio_tv_is_whole(indent)) {
        for (int64_t i = 0; i < pio_tv_whole(indent); i++)
            if (!pio_run_text_add(run, &spaces, " ", 1)) return false;
        if (!pio_run_text_value(run, &spaces, &style.indent)) return false;
    } else if (style.indented) {
        if (!pio_run_need_text(run, indent, "tojson's indent")) return false;
        style.indent = *indent;
    }
    item = key = pio_tv_none();
    if (pio_run_given(gaps)) {
        if ((gaps->kind != PIO_TV_TUPLE && gaps->kind != PIO_TV_LIST) || gaps->u.list->n != 2)
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "tojson's separators are two strings");
        item = gaps->u.list->items[0];
        key = gaps->u.list->items[1];
    }
    return tojson_text(run, &item, style.indented ? "," : ", ", &style.item_gap) &&
           tojson_text(run, &key, ": ", &style.key_gap) && pio_run_add_json(run, &text, self, &style) &&
           pio_run_text_value(run, &text, out);
}

FILTER(f_filesizeformat) {
    static const char *const names[2][8] = {{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"},
                                            {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}};
    const pio_tv missing = {.kind = PIO_TV_MISSING};
    const pio_template_arguments none = {.items = &missing, .n = 1};
    pio_tv number = {0};
    double parsed;
    if (!f_float(run, self, &none, &number)) return false;
    if (!pio_tv_is_number(self) && (self->kind != PIO_TV_STR || !pio_run_parse_float(self->u.bytes, self->n, &parsed)))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'filesizeformat' takes a number, not this %s",
                            pio_tv_type_name(self));
    bool binary = pio_run_truth(ARGUMENT(0));
    double base = binary ? 1024 : 1000, unit = base;
    char text[64];
    if (number.u.real == 1) {
        snprintf(text, sizeof text, "1 Byte");
    } else if (number.u.real < base) {
        snprintf(text, sizeof text, "%.0f Bytes", trunc(number.u.real));
    } else {
        int i = 0;
        for (unit *= base; i < 7 && number.u.real >= unit; i++) unit *= base;
        snprintf(text, sizeof text, "%.1f %s", base * number.u.real / unit, names[binary][i]);
    }
    return pio_run_copy_text(run, text, strlen(text), out);
}

const pio_template_function pio_template_number_filters[] = {
    {"default", "default_value boolean", 0, f_default, 0},
    {"d", "default_value boolean", 0, f_default, 0},
    {"int", "default base", 0, f_int, 0},
    {"float", "default", 0, f_float, 0},
    {"abs", "", 0, f_abs, 0},
    {"round", "precision method", 0, f_round, 0},
    {"string", "", 0, f_string, 0},
    {"length", "", 0, f_length, 0},
    {"count", "", 0, f_length, 0},
    {"safe", "", 0, f_safe, 0},
    {"escape", "", 0, f_escape, 0},
    {"e", "", 0, f_escape, 0},
    {"forceescape", "", 0, f_forceescape, 0},
    {"attr", "name", 1, f_attr, 0},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, f_tojson, 0},
    {"filesizeformat", "binary", 0, f_filesizeformat, 0},
};
const size_t pio_template_n_number_filters = PIO_COUNT(pio_template_number_filters);

const pio_template_function *pio_template_find_filter(const char *name, size_t n) {
    const pio_template_function *row =
        pio_template_find_row(pio_template_number_filters, pio_template_n_number_filters, name, n);
    if (!row) row = pio_template_find_row(pio_template_text_filters, pio_template_n_text_filters, name, n);
    if (!row) row = pio_template_find_row(pio_template_sequence_filters, pio_template_n_sequence_filters, name, n);
    return row;
}
