#include "text/template_text.h"

#include <string.h>

#include "text/template_case.h"

bool pio_run_need_text(pio_template_run *run, const pio_tv *v, const char *what) {
    if (v->kind == PIO_TV_STR) return true;
    if (v->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, v);
    return pio_run_fail(run, PIO_INVALID_ARGUMENT, "%s takes a string, not a %s", what, pio_tv_type_name(v));
}

bool pio_run_need_whole(pio_template_run *run, const pio_tv *v, const char *what, int64_t otherwise, int64_t *out) {
    *out = otherwise;
    if (v->kind == PIO_TV_MISSING) return true;
    if (v->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, v);
    if (!pio_tv_is_whole(v))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "%s takes a whole number, not a %s", what, pio_tv_type_name(v));
    *out = pio_tv_whole(v);
    return true;
}

/* ---- case ---- */

static bool add_code(pio_template_run *run, pio_run_text *text, uint32_t code) {
    char bytes[4];
    return pio_run_text_add(run, text, bytes, (size_t)pio_utf8_encode(code, bytes));
}

static bool has_case(uint32_t code) {
    if (code < 0x80) return pio_template_is_alpha(code);
    const char *category = pio_template_category(code);
    return category[0] == 'L' && (category[1] == 'u' || category[1] == 'l' || category[1] == 't');
}

/* A capital sigma at the end of a word becomes the final form. */
static bool is_final_sigma(const char *begin, const char *at, const char *behind, const char *end) {
    if (at == begin) return false;
    const char *last = at - 1;
    while (last > begin && (*last & 0xc0) == 0x80) last--;
    if (!has_case(pio_utf8_next(&last))) return false;
    return behind == end || !has_case(pio_utf8_next(&behind));
}

static bool is_upper_char(uint32_t code) {
    return code < 0x80 ? code >= 'A' && code <= 'Z' : !strcmp(pio_template_category(code), "Lu");
}

bool pio_run_text_case(pio_template_run *run, const pio_tv *text, pio_text_case kind, pio_tv *out) {
    const char *begin = text->u.bytes, *end = begin + text->n;
    pio_run_text result = {0};
    uint8_t variant = text->variant;
    bool in_word = false;
    for (const char *at = begin; at < end;) {
        const char *from = at;
        uint32_t code = pio_utf8_next(&at), to[PIO_TEMPLATE_MOST_CASED];
        bool title = (kind == PIO_CASE_CAPITALIZE && from == begin) || (kind == PIO_CASE_TITLE && !in_word);
        bool upper = kind == PIO_CASE_UPPER || (kind == PIO_CASE_SWAP && !is_upper_char(code));
        int n = title   ? pio_template_title(code, to)
                : upper ? pio_template_upper(code, to)
                        : pio_template_lower(code, to);
        if (!title && !upper && code == 0x3a3 && is_final_sigma(begin, from, at, end)) to[0] = 0x3c2;
        for (int i = 0; i < n; i++)
            if (!add_code(run, &result, to[i])) return false;
        in_word = has_case(code);
        if (code >= 0x80 && !pio_run_step(run, 20)) return false;
    }
    if (!pio_run_text_value(run, &result, out)) return false;
    out->variant = variant;
    return true;
}

/* ---- strip, replace ---- */

static bool strips(const pio_tv *chars, uint32_t code) {
    if (!pio_run_given(chars)) return pio_template_is_space(code);
    for (const char *at = chars->u.bytes, *end = at + chars->n; at < end;)
        if (pio_utf8_next(&at) == code) return true;
    return false;
}

bool pio_run_strip(pio_template_run *run, const pio_tv *text, const pio_tv *chars, bool left, bool right, pio_tv *out) {
    if (pio_run_given(chars) && !pio_run_need_text(run, chars, "strip")) return false;
    const char *at = text->u.bytes, *end = at + text->n;
    size_t pass = pio_run_given(chars) ? chars->n : 1;
    while (left && at < end) {
        const char *next = at;
        if (!strips(chars, pio_utf8_next(&next)) || !pio_run_work(run, pass)) break;
        at = next;
    }
    while (right && at < end) {
        const char *last = end - 1;
        while (last > at && (*last & 0xc0) == 0x80) last--;
        const char *next = last;
        if (!strips(chars, pio_utf8_next(&next)) || !pio_run_work(run, pass)) break;
        end = last;
    }
    uint8_t variant = text->variant;
    *out = pio_tv_str(at, (size_t)(end - at));
    out->variant = variant;
    return !run->status;
}

/* An empty `old` stands before every character and at the end. */
static bool replace_empty(pio_template_run *run, const pio_tv *text, const pio_tv *new_text, int64_t count,
                          pio_tv *out) {
    pio_run_text result = {0};
    const char *at = text->u.bytes, *end = at + text->n;
    for (int64_t i = 0;; i++) {
        if ((count < 0 || i < count) && !pio_run_text_add(run, &result, new_text->u.bytes, new_text->n)) return false;
        if (at == end) return pio_run_text_value(run, &result, out);
        size_t n = pio_utf8_length((unsigned char)*at);
        if (!pio_run_text_add(run, &result, at, n)) return false;
        at += n;
    }
}

bool pio_run_replace(pio_template_run *run, const pio_tv *text, const pio_tv *old, const pio_tv *new_text,
                     int64_t count, pio_tv *out) {
    if (!old->n) return replace_empty(run, text, new_text, count, out);
    pio_run_text result = {0};
    const char *at = text->u.bytes, *end = at + text->n;
    for (; count; count--) {
        const char *found = memmem(at, (size_t)(end - at), old->u.bytes, old->n);
        if (!found) break;
        if (!pio_run_text_add(run, &result, at, (size_t)(found - at)) ||
            !pio_run_text_add(run, &result, new_text->u.bytes, new_text->n) || !pio_run_step(run, 1))
            return false;
        at = found + old->n;
    }
    return pio_run_text_add(run, &result, at, (size_t)(end - at)) && pio_run_text_value(run, &result, out);
}

/* ---- lines, join, pad ---- */

static bool ends_line(uint32_t code) {
    return (code >= 10 && code <= 13) || (code >= 0x1c && code <= 0x1e) || code == 0x85 || code == 0x2028 ||
           code == 0x2029;
}

bool pio_run_split_lines(pio_template_run *run, const pio_tv *text, bool keep, pio_tv *out) {
    pio_tv list;
    if (!pio_run_new_list(run, PIO_TV_LIST, 0, &list) || !pio_run_work(run, text->n)) return false;
    const char *at = text->u.bytes, *end = at + text->n, *begin = at;
    while (at < end) {
        const char *stop = at;
        uint32_t code = pio_utf8_next(&at);
        if (!ends_line(code)) {
            if (at < end) continue;
            stop = at;
        } else if (code == '\r' && at < end && *at == '\n') {
            at++;
        }
        pio_tv line = pio_tv_str(begin, (size_t)((keep ? at : stop) - begin));
        line.variant = text->variant;
        if (!pio_run_append(run, list.u.list, &line)) return false;
        begin = at;
    }
    *out = list;
    return true;
}

bool pio_run_join(pio_template_run *run, const pio_tv *items, const pio_tv *separator, bool strict, pio_tv *out) {
    pio_run_iteration iteration;
    pio_run_text text = {0};
    pio_tv item;
    int more;
    if (!pio_run_iterate(run, items, &iteration)) return false;
    for (int64_t n = 0; (more = pio_run_next(run, &iteration, &item)) > 0; n++) {
        if (strict && !pio_run_need_text(run, &item, "join")) return false;
        if (n && !pio_run_text_add(run, &text, separator->u.bytes, separator->n)) return false;
        if (strict && separator->variant && !item.variant) {
            if (!pio_run_add_escaped(run, &text, item.u.bytes, item.n)) return false;
        } else if (!pio_run_add_str(run, &text, &item)) {
            return false;
        }
    }
    return more == 0 && pio_run_text_value(run, &text, out);
}

bool pio_run_pad(pio_template_run *run, const pio_tv *text, int64_t width, char align, const char *fill, size_t n_fill,
                 pio_tv *out) {
    pio_run_text result = {0};
    uint8_t variant = text->variant;
    int64_t n = pio_tv_count_chars(text->u.bytes, text->n), pad = PIO_MAX(width - n, INT64_C(0));
    int64_t left = align == '>' ? pad : align == '<' ? 0 : pad / 2 + (pad & width & 1);
    for (int64_t i = 0; i < left; i++)
        if (!pio_run_text_add(run, &result, fill, n_fill) || !pio_run_step(run, 1)) return false;
    if (!pio_run_text_add(run, &result, text->u.bytes, text->n)) return false;
    for (int64_t i = left; i < pad; i++)
        if (!pio_run_text_add(run, &result, fill, n_fill) || !pio_run_step(run, 1)) return false;
    if (!pio_run_text_value(run, &result, out)) return false;
    out->variant = variant;
    return true;
}
