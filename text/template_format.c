/* "%d of %s" % values, and "{} of {}".format(values): Python's two little languages for numbers and text. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template_text.h"

typedef struct spec {
    char fill[4];
    size_t n_fill;
    char align; /* < > ^ = or 0 */
    char sign;  /* + - or blank */
    char group; /* , or _ or 0 */
    bool alternate;
    int64_t width, precision; /* precision -1: none */
    char type;                /* 0: none */
} spec;

enum { MOST_WIDTH = 100000, MOST_PRECISION = 300 };

static bool fail_spec(pio_template_run *run, const pio_tv *v, char type) {
    if (v->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, v);
    return pio_run_fail(run, PIO_INVALID_ARGUMENT, "the format '%c' does not take a %s", type, pio_tv_type_name(v));
}

/* Groups of three (four for bases of two) digits in the whole part of `digits`. */
static size_t group_digits(const char *digits, char sign, int size, char *room, size_t n_room) {
    size_t whole = strspn(digits, "0123456789abcdefABCDEF"), to = 0;
    for (size_t i = 0; digits[i] && to + 2 < n_room; i++) {
        if (i && i < whole && (whole - i) % (size_t)size == 0) room[to++] = sign;
        room[to++] = digits[i];
    }
    room[to] = 0;
    return to;
}

/* Sign, prefix and digits, padded. */
static bool put_number(pio_template_run *run, pio_run_text *text, const spec *s, bool negative, const char *prefix,
                       const char *digits) {
    char grouped[1024], head[8];
    int size = s->type == 'x' || s->type == 'X' || s->type == 'o' || s->type == 'b' ? 4 : 3;
    if (s->group) {
        group_digits(digits, s->group, size, grouped, sizeof grouped);
        digits = grouped;
    }
    snprintf(head, sizeof head, "%s%s", negative ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "", prefix);
    size_t n_head = strlen(head), n_digits = strlen(digits);
    int64_t pad = s->width - (int64_t)(n_head + n_digits);
    char align = s->align ? s->align : '>';
    int64_t before = align == '>' ? pad : align == '^' ? pad / 2 : 0;
    int64_t inside = align == '=' ? pad : 0, after = pad - before - inside;
    bool ok = true;
    for (; ok && before > 0; before--) ok = pio_run_text_add(run, text, s->fill, s->n_fill);
    ok = ok && pio_run_text_add(run, text, head, n_head);
    for (; ok && inside > 0; inside--) ok = pio_run_text_add(run, text, s->fill, s->n_fill);
    ok = ok && pio_run_text_add(run, text, digits, n_digits);
    for (; ok && after > 0; after--) ok = pio_run_text_add(run, text, s->fill, s->n_fill);
    return ok;
}

static bool put_text(pio_template_run *run, pio_run_text *text, const spec *s, const pio_tv *v) {
    size_t n = s->precision >= 0 ? pio_tv_char_offset(v->u.bytes, v->n, s->precision) : v->n;
    int64_t pad = s->width - pio_tv_count_chars(v->u.bytes, n);
    int64_t before = s->align == '>' ? pad : s->align == '^' ? pad / 2 : 0, after = pad - before;
    bool ok = true;
    for (; ok && before > 0; before--) ok = pio_run_text_add(run, text, s->fill, s->n_fill);
    ok = ok && pio_run_text_add(run, text, v->u.bytes, n);
    for (; ok && after > 0; after--) ok = pio_run_text_add(run, text, s->fill, s->n_fill);
    return ok;
}

static bool put_whole(pio_template_run *run, pio_run_text *text, const spec *s, int64_t value) {
    char digits[72];
    const char *prefix = "";
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    if (s->type == 'b') {
        int n = 0, bit = 63;
        while (bit > 0 && !(magnitude >> bit)) bit--;
        for (; bit >= 0; bit--) digits[n++] = magnitude >> bit & 1 ? '1' : '0';
        digits[n] = 0;
        prefix = "0b";
    } else if (s->type == 'x' || s->type == 'X') {
        snprintf(digits, sizeof digits, s->type == 'x' ? "%llx" : "%llX", (unsigned long long)magnitude);
        prefix = s->type == 'x' ? "0x" : "0X";
    } else if (s->type == 'o') {
        snprintf(digits, sizeof digits, "%llo", (unsigned long long)magnitude);
        prefix = "0o";
    } else {
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)magnitude);
    }
    return put_number(run, text, s, value < 0, s->alternate ? prefix : "", digits);
}

static bool put_real(pio_template_run *run, pio_run_text *text, const spec *s, double value) {
    char digits[720], pattern[16];
    bool negative = signbit(value) && !isnan(value);
    double magnitude = fabs(value) * (s->type == '%' ? 100 : 1);
    int precision = (int)(s->precision < 0 ? 6 : s->precision);
    char type = s->type;
    if (!isfinite(value)) {
        bool big = type == 'F' || type == 'E' || type == 'G';
        return put_number(run, text, s, negative, "", isnan(value) ? (big ? "NAN" : "nan") : big ? "INF" : "inf");
    }
    if (!type && s->precision < 0) {
        pio_run_float_text(magnitude, digits);
    } else {
        if (!type) type = 'g';
        if (type == '%') type = 'f';
        snprintf(pattern, sizeof pattern, "%%%s.*%c", s->alternate ? "#" : "", type);
        int n = snprintf(digits, sizeof digits - 4, pattern, precision, magnitude);
        if (!s->type && !strpbrk(digits, ".en")) strcpy(digits + n, ".0");
    }
    if (s->type == '%') strcat(digits, "%");
    return put_number(run, text, s, negative, "", digits);
}

/* ---- % ---- */

typedef struct percent {
    pio_template_run *run;
    const char *at, *end;
    const pio_tv *values;
    int32_t next; /* of a tuple; 1 behind a single value */
} percent;

static bool next_value(percent *p, pio_tv *out) {
    bool tuple = p->values->kind == PIO_TV_TUPLE;
    int32_t n = tuple ? p->values->u.list->n : 1;
    if (p->next >= n) return pio_run_fail(p->run, PIO_INVALID_ARGUMENT, "a '%%' format has more places than values");
    *out = tuple ? p->values->u.list->items[p->next] : *p->values;
    p->next++;
    return true;
}

/* "(name)" behind a percent sign. */
static bool named_value(percent *p, pio_tv *out) {
    const char *begin = ++p->at;
    int depth = 1;
    for (; p->at < p->end && depth; p->at++) depth += *p->at == '(' ? 1 : *p->at == ')' ? -1 : 0;
    if (depth) return pio_run_fail(p->run, PIO_INVALID_ARGUMENT, "a '%%(' has no ')'");
    if (p->values->kind != PIO_TV_DICT)
        return pio_run_fail(p->run, PIO_INVALID_ARGUMENT, "a '%%(name)' takes its value from a dict");
    const pio_tv key = pio_tv_str(begin, (size_t)(p->at - 1 - begin));
    pio_tv *found;
    if (!pio_run_dict_find(p->run, p->values->u.dict, &key, &found)) return false;
    if (!found)
        return pio_run_fail(p->run, PIO_INVALID_ARGUMENT, "a '%%' format asks for '%.*s', which is not given",
                            (int)PIO_MIN(key.n, 100u), key.u.bytes);
    *out = *found;
    return true;
}

static bool read_size(percent *p, int64_t most, int64_t *out) {
    pio_tv value;
    if (p->at < p->end && *p->at == '*') {
        p->at++;
        if (!next_value(p, &value) || !pio_run_need_whole(p->run, &value, "'*' in a format", 0, out)) return false;
    } else {
        for (*out = 0; p->at < p->end && *p->at >= '0' && *p->at <= '9' && *out <= most; p->at++)
            *out = *out * 10 + (*p->at - '0');
    }
    return (*out <= most && *out >= -most) ||
           pio_run_fail(p->run, PIO_LIMIT, "a format asks for more than %lld characters", (long long)most);
}

static bool put_percent(percent *p, pio_run_text *text, spec *s, const pio_tv *v) {
    pio_template_run *run = p->run;
    pio_run_text part = {0};
    pio_tv shown;
    char bytes[4]; /* of a character that is given by its number */
    switch (s->type) {
    case 's':
    case 'r':
    case 'a':
        if (!(s->type == 's' ? pio_run_add_str(run, &part, v) : pio_run_add_repr(run, &part, v)) ||
            !pio_run_text_value(run, &part, &shown))
            return false;
        s->align = s->align == '<' ? '<' : '>';
        memcpy(s->fill, " ", 2);
        return put_text(run, text, s, &shown);
    case 'c':
        if (pio_tv_is_whole(v) && pio_tv_whole(v) >= 0 && pio_tv_whole(v) <= 0x10ffff &&
            (pio_tv_whole(v) & ~INT64_C(0x7ff)) != 0xd800) {
            shown = pio_tv_str(bytes, (size_t)pio_utf8_encode((uint32_t)pio_tv_whole(v), bytes));
        } else if (v->kind == PIO_TV_STR && pio_tv_count_chars(v->u.bytes, v->n) == 1) {
            shown = *v;
        } else {
            return fail_spec(run, v, 'c');
        }
        s->align = s->align == '<' ? '<' : '>';
        return put_text(run, text, s, &shown);
    case 'd':
    case 'i':
    case 'u':
        s->type = 'd';
        if (v->kind == PIO_TV_FLOAT && fabs(v->u.real) < 9e18) return put_whole(run, text, s, (int64_t)v->u.real);
        return pio_tv_is_whole(v) ? put_whole(run, text, s, pio_tv_whole(v)) : fail_spec(run, v, 'd');
    case 'x':
    case 'X':
    case 'o':
        return pio_tv_is_whole(v) ? put_whole(run, text, s, pio_tv_whole(v)) : fail_spec(run, v, s->type);
    default:
        return pio_tv_is_number(v) ? put_real(run, text, s, pio_tv_real(v)) : fail_spec(run, v, s->type);
    }
}

/* One "%..." at p->at, which is behind the sign. */
static bool percent_place(percent *p, pio_run_text *text) {
    spec s = {.fill = " ", .n_fill = 1, .precision = -1};
    pio_tv value = {0};
    bool named = p->at < p->end && *p->at == '(', zero = false;
    if (named && !named_value(p, &value)) return false;
    for (; p->at < p->end && strchr("#0- +", *p->at) && *p->at; p->at++) {
        if (*p->at == '#') s.alternate = true;
        if (*p->at == '0') zero = true;
        if (*p->at == '-') s.align = '<';
        if (*p->at == '+' || (*p->at == ' ' && !s.sign)) s.sign = *p->at;
    }
    if (!read_size(p, MOST_WIDTH, &s.width)) return false;
    if (s.width < 0) {
        s.align = '<';
        s.width = -s.width;
    }
    if (p->at < p->end && *p->at == '.') {
        p->at++;
        if (!read_size(p, MOST_PRECISION, &s.precision)) return false;
        s.precision = PIO_MAX(s.precision, INT64_C(0));
    }
    while (p->at < p->end && (*p->at == 'l' || *p->at == 'h' || *p->at == 'L')) p->at++;
    if (p->at == p->end) return pio_run_fail(p->run, PIO_INVALID_ARGUMENT, "a '%%' format ends too early");
    s.type = *p->at++;
    if (s.type == '%') return pio_run_text_add(p->run, text, "%", 1);
    if (!strchr("diuxXoeEfFgGcrsa", s.type))
        return pio_run_fail(p->run, PIO_INVALID_ARGUMENT, "'%%%c' is no format", s.type > ' ' ? s.type : '?');
    if (zero && s.align != '<') {
        memcpy(s.fill, "0", 2);
        s.align = '=';
    }
    if (!named && !next_value(p, &value)) return false;
    return put_percent(p, text, &s, &value);
}

bool pio_run_percent(pio_template_run *run, const pio_tv *format, const pio_tv *values, pio_tv *out) {
    percent p = {.run = run, .at = format->u.bytes, .end = format->u.bytes + format->n, .values = values};
    pio_run_text text = {0};
    bool named = false;
    while (p.at < p.end) {
        const char *sign = memchr(p.at, '%', (size_t)(p.end - p.at)), *stop = sign ? sign : p.end;
        if (!pio_run_text_add(run, &text, p.at, (size_t)(stop - p.at))) return false;
        p.at = stop;
        if (!sign) break;
        p.at++;
        named |= p.at < p.end && *p.at == '(';
        if (!percent_place(&p, &text)) return false;
    }
    /* what has items counts as a mapping, and mappings need not be used */
    bool mapping = values->kind == PIO_TV_DICT || values->kind == PIO_TV_LIST || values->kind == PIO_TV_RANGE ||
                   values->kind == PIO_TV_UNDEFINED;
    bool unused = values->kind == PIO_TV_TUPLE ? p.next < values->u.list->n : !p.next && !mapping;
    if (unused && !named) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a '%%' format has fewer places than values");
    uint8_t variant = format->variant;
    if (!pio_run_text_value(run, &text, out)) return false;
    out->variant = variant;
    return true;
}

/* ---- format() ---- */

typedef struct braces {
    pio_template_run *run;
    const pio_template_arguments *arguments;
    int32_t next;
    bool manual; /* numbers are written out */
} braces;

static bool is_align(char c) {
    return c == '<' || c == '>' || c == '^' || c == '=';
}

static bool read_spec(pio_template_run *run, const pio_tv *text, spec *s) {
    const char *at = text->u.bytes, *end = at + text->n;
    *s = (spec){.fill = " ", .n_fill = 1, .precision = -1};
    size_t first = at < end ? pio_utf8_length((unsigned char)*at) : 0;
    if (first && (size_t)(end - at) > first && is_align(at[first])) {
        memcpy(s->fill, at, first);
        s->n_fill = first;
        s->align = at[first];
        at += first + 1;
    } else if (at < end && is_align(*at)) {
        s->align = *at++;
    }
    if (at < end && (*at == '+' || *at == '-' || *at == ' ')) s->sign = *at++;
    if (at < end && *at == '#') s->alternate = *at++ == '#';
    if (at < end && *at == '0') {
        if (!s->align) {
            s->align = '=';
            memcpy(s->fill, "0", 2);
        }
        at++;
    }
    for (; at < end && *at >= '0' && *at <= '9' && s->width <= MOST_WIDTH; at++) s->width = s->width * 10 + *at - '0';
    if (at < end && (*at == ',' || *at == '_')) s->group = *at++;
    if (at < end && *at == '.') {
        at++;
        for (s->precision = 0; at < end && *at >= '0' && *at <= '9' && s->precision <= MOST_PRECISION; at++)
            s->precision = s->precision * 10 + *at - '0';
    }
    if (at < end) s->type = *at++;
    if (s->width > MOST_WIDTH || s->precision > MOST_PRECISION)
        return pio_run_fail(run, PIO_LIMIT, "a format asks for more than %d characters", MOST_PRECISION);
    if (at < end || (s->type && !strchr("bdoxXneEfFgG%s", s->type)))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'%.*s' is no format", (int)PIO_MIN(text->n, 100u),
                            text->u.bytes);
    return true;
}

static bool put_value(pio_template_run *run, pio_run_text *text, const pio_tv *v, const pio_tv *spec_text) {
    spec s;
    if (!spec_text->n) return pio_run_add_str(run, text, v);
    if (!read_spec(run, spec_text, &s)) return false;
    if (v->kind == PIO_TV_STR) {
        if ((s.type && s.type != 's') || s.align == '=') return fail_spec(run, v, s.type ? s.type : '=');
        return put_text(run, text, &s, v);
    }
    if (!pio_tv_is_number(v) || s.type == 's' || (v->kind == PIO_TV_BOOL && !s.type))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "the format '%.*s' does not take a %s",
                            (int)PIO_MIN(spec_text->n, 100u), spec_text->u.bytes, pio_tv_type_name(v));
    bool whole = !s.type || strchr("bdoxXn", s.type);
    if (v->kind == PIO_TV_FLOAT && s.type && whole) return fail_spec(run, v, s.type);
    if (pio_tv_is_whole(v) && whole) return put_whole(run, text, &s, pio_tv_whole(v));
    return put_real(run, text, &s, pio_tv_real(v));
}

/* The value that "name.attribute[item]" stands for. */
static bool field_value(braces *b, const char *at, const char *end, pio_tv *out) {
    pio_template_run *run = b->run;
    const char *stop = at;
    while (stop < end && *stop != '.' && *stop != '[') stop++;
    int64_t number = b->next;
    bool digits = stop > at && pio_run_parse_int(at, (size_t)(stop - at), 10, &number) && number >= 0;
    if (stop == at || digits) {
        if (stop > at) b->manual = true;
        if (stop == at && b->manual)
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "format() mixes numbered and unnumbered places");
        if (stop == at) b->next++;
        if (number >= b->arguments->n)
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "format() has more places than values");
        *out = b->arguments->items[number];
    } else {
        int32_t i = 0;
        while (i < b->arguments->n_keywords && !pio_tv_is_text(&b->arguments->keywords[i].key, at, (size_t)(stop - at)))
            i++;
        if (i == b->arguments->n_keywords)
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "format() asks for '%.*s', which is not given",
                                (int)PIO_MIN(stop - at, (ptrdiff_t)100), at);
        *out = b->arguments->keywords[i].value;
    }
    while (stop < end) {
        const pio_tv of = *out;
        bool item = *stop++ == '[';
        const char *begin = stop;
        while (stop < end && (item ? *stop != ']' : *stop != '.' && *stop != '[')) stop++;
        pio_tv key = pio_tv_str(begin, (size_t)(stop - begin));
        if (item && pio_run_parse_int(begin, (size_t)(stop - begin), 10, &number)) key = pio_tv_int(number);
        if (!(item ? pio_run_item(run, &of, &key, out) : pio_run_attribute(run, &of, begin, key.n, out))) return false;
        if (item && stop < end) stop++;
    }
    return true;
}

static bool format_braces(braces *b, const char *at, const char *end, int depth, pio_run_text *text);

/* What stands in { }. */
static bool format_place(braces *b, const char *at, const char *end, int depth, pio_run_text *text) {
    const char *name_end = at;
    int brackets = 0;
    for (; name_end < end && (brackets || (*name_end != ':' && *name_end != '!')); name_end++)
        brackets += *name_end == '[' ? 1 : *name_end == ']' ? -1 : 0;
    pio_tv value, spec_text, shown;
    pio_run_text nested = {0}, part = {0};
    if (!field_value(b, at, name_end, &value)) return false;
    if (name_end < end && *name_end == '!') {
        char conversion = name_end + 1 < end ? name_end[1] : 0;
        name_end += 2;
        if (!strchr("rs", conversion) || !conversion || (name_end < end && *name_end != ':'))
            return pio_run_fail(b->run, PIO_INVALID_ARGUMENT, "format() knows the conversions !r and !s");
        if (!(conversion == 'r' ? pio_run_add_repr(b->run, &part, &value) : pio_run_add_str(b->run, &part, &value)) ||
            !pio_run_text_value(b->run, &part, &shown))
            return false;
        value = shown;
    }
    if (name_end < end) name_end++;
    if (!format_braces(b, PIO_MIN(name_end, end), end, depth + 1, &nested) ||
        !pio_run_text_value(b->run, &nested, &spec_text))
        return false;
    return put_value(b->run, text, &value, &spec_text);
}

static bool format_braces(braces *b, const char *at, const char *end, int depth, pio_run_text *text) {
    if (depth > 2) return pio_run_fail(b->run, PIO_INVALID_ARGUMENT, "places of format() nest too deep");
    while (at < end) {
        const char *begin = at;
        while (at < end && *at != '{' && *at != '}') at++;
        if (!pio_run_text_add(b->run, text, begin, (size_t)(at - begin))) return false;
        if (at == end) break;
        if (at + 1 < end && at[1] == *at && !(depth && *at == '}')) {
            if (!pio_run_text_add(b->run, text, at, 1)) return false;
            at += 2;
            continue;
        }
        const char *close = at + 1;
        int open = 1;
        for (; *at == '{' && close < end && open; close++) open += *close == '{' ? 1 : *close == '}' ? -1 : 0;
        if (*at == '}' || open)
            return pio_run_fail(b->run, PIO_INVALID_ARGUMENT, "a '%c' in format() has no partner", *at);
        if (!format_place(b, at + 1, close - 1, depth, text)) return false;
        at = close;
    }
    return true;
}

bool pio_run_format(pio_template_run *run, const pio_tv *format, const pio_template_arguments *arguments, pio_tv *out) {
    braces b = {.run = run, .arguments = arguments};
    pio_run_text text = {0};
    if (!format_braces(&b, format->u.bytes, format->u.bytes + format->n, 0, &text)) return false;
    uint8_t variant = format->variant;
    if (!pio_run_text_value(run, &text, out)) return false;
    out->variant = variant;
    return true;
}
