/* Attributes, items and slices. */
#include <stdio.h>
#include <string.h>

#include "text/template_run.h"

static bool is_name(const char *name, size_t n, const char *what) {
    return strlen(what) == n && !memcmp(name, what, n);
}

/* An undefined value that remembers what was looked for, and in what. */
static bool undefined_attribute(const pio_tv *of, const char *name, size_t n, pio_tv *out) {
    *out = pio_tv_undefined(PIO_TV_NO_ATTRIBUTE, (pio_tv_kind)of->kind, name, n);
    return true;
}

/* What Python's getattr finds: methods, and the fields of loops, namespaces, macros and groups. */
static bool find_attribute(pio_template_run *run, const pio_tv *of, const char *name, size_t n, pio_tv *out,
                           bool *found) {
    *found = false;
    if (of->kind == PIO_TV_LOOP) return pio_run_loop_attribute(run, of->u.loop, name, n, out, found);
    if (of->kind == PIO_TV_NAMESPACE) {
        const pio_tv key = pio_tv_str(name, n);
        pio_tv *value;
        if (!pio_run_dict_find(run, of->u.dict, &key, &value)) return false;
        if ((*found = value != NULL)) *out = *value;
        return true;
    }
    if (of->kind == PIO_TV_TUPLE && of->tag && (is_name(name, n, "grouper") || is_name(name, n, "list"))) {
        *out = of->u.list->items[name[0] == 'l'];
        return *found = true;
    }
    if (of->kind == PIO_TV_MACRO && is_name(name, n, "name") && !of->u.macro->is_caller) {
        *out = pio_tv_str(of->u.macro->node->name->bytes, of->u.macro->node->name->n);
        return *found = true;
    }
    if (of->kind == PIO_TV_CYCLER && is_name(name, n, "current")) {
        *out = of->u.cycler->items[of->u.cycler->at];
        return *found = true;
    }
    if (of->kind == PIO_TV_RANGE &&
        (is_name(name, n, "start") || is_name(name, n, "stop") || is_name(name, n, "step"))) {
        const pio_tv_range *range = of->u.range;
        *out = pio_tv_int(name[2] == 'a' ? range->start : name[2] == 'o' ? range->stop : range->step);
        return *found = true;
    }
    const pio_template_function *row = pio_template_find_method((pio_tv_kind)of->kind, name, n);
    if (!row) return true;
    pio_tv_method *method = pio_run_take(run, sizeof *method);
    if (!method) return false;
    *method = (pio_tv_method){*of, row};
    *out = (pio_tv){.kind = PIO_TV_METHOD, .u.method = method};
    return *found = true;
}

static bool list_item(const pio_tv *of, int64_t at, pio_tv *out) {
    const pio_tv_list *list = of->u.list;
    if (at < 0) at += list->n;
    if (at < 0 || at >= list->n) return false;
    *out = list->items[at];
    return true;
}

static bool text_item(const pio_tv *of, int64_t at, pio_tv *out) {
    if (at < 0) at += pio_tv_count_chars(of->u.bytes, of->n);
    size_t offset = at < 0 ? of->n : pio_tv_char_offset(of->u.bytes, of->n, at);
    if (offset >= of->n) return false;
    *out = pio_tv_str(of->u.bytes + offset, pio_utf8_length((unsigned char)of->u.bytes[offset]));
    out->variant = of->variant;
    return true;
}

/* What Python's [] finds. */
static bool find_item(pio_template_run *run, const pio_tv *of, const pio_tv *key, pio_tv *out, bool *found) {
    *found = false;
    if (of->kind == PIO_TV_DICT) {
        if (key->kind == PIO_TV_LIST || key->kind == PIO_TV_DICT) return true; /* no key: as if it were not there */
        pio_tv *value;
        if (!pio_run_dict_find(run, of->u.dict, key, &value)) return false;
        if ((*found = value != NULL)) *out = *value;
        return true;
    }
    if (!pio_tv_is_whole(key)) return true;
    int64_t at = pio_tv_whole(key);
    if (of->kind == PIO_TV_LIST || of->kind == PIO_TV_TUPLE) {
        *found = list_item(of, at, out);
    } else if (of->kind == PIO_TV_STR) {
        if (!pio_run_work(run, of->n)) return false;
        *found = text_item(of, at, out);
    } else if (of->kind == PIO_TV_RANGE) {
        if (at < 0) at += of->u.range->n;
        *found = at >= 0 && at < of->u.range->n;
        if (*found) *out = pio_run_range_item(of->u.range, at);
    }
    return true;
}

/* Names that begin with '_' reach into the reference's own language. */
static bool refuse_private(pio_template_run *run, const char *name, size_t n) {
    if (!n || name[0] != '_') return true;
    return pio_run_fail(run, PIO_UNSUPPORTED, "the attribute '%.*s' is not accessible: its name begins with '_'",
                        (int)PIO_MIN(n, (size_t)100), name);
}

bool pio_run_attribute(pio_template_run *run, const pio_tv *of, const char *name, size_t n, pio_tv *out) {
    bool found;
    if (of->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, of);
    if (!find_attribute(run, of, name, n, out, &found)) return false;
    if (found) return true;
    const pio_tv key = pio_tv_str(name, n);
    if (!find_item(run, of, &key, out, &found)) return false;
    if (found) return true;
    if (n > 2 && !memcmp(name, "__", 2)) return refuse_private(run, name, n);
    return undefined_attribute(of, name, n, out);
}

bool pio_run_item(pio_template_run *run, const pio_tv *of, const pio_tv *key, pio_tv *out) {
    bool found;
    if (of->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, of);
    if (!find_item(run, of, key, out, &found)) return false;
    if (found) return true;
    if (key->kind == PIO_TV_STR) {
        if (!find_attribute(run, of, key->u.bytes, key->n, out, &found)) return false;
        if (found) return true;
        if (key->n > 2 && !memcmp(key->u.bytes, "__", 2)) return refuse_private(run, key->u.bytes, key->n);
        return undefined_attribute(of, key->u.bytes, key->n, out);
    }
    pio_run_text text = {0};
    pio_tv shown;
    if (!pio_run_add_repr(run, &text, key) || !pio_run_text_value(run, &text, &shown)) return false;
    *out = pio_tv_undefined(PIO_TV_NO_ELEMENT, (pio_tv_kind)of->kind, shown.u.bytes, shown.n);
    return true;
}

/* ---- slices ---- */

static bool slice_bound(pio_template_run *run, const pio_tv *bound, int64_t otherwise, int64_t n, bool backwards,
                        int64_t *out) {
    *out = otherwise;
    if (bound->kind == PIO_TV_NONE || bound->kind == PIO_TV_MISSING) return true;
    if (!pio_tv_is_whole(bound))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a slice is bounded by whole numbers, not by a %s",
                            pio_tv_type_name(bound));
    int64_t at = pio_tv_whole(bound);
    if (at < 0) at = at < -n ? -1 : at + n;
    int64_t least = backwards ? -1 : 0, most = backwards ? n - 1 : n;
    *out = PIO_MIN(PIO_MAX(at, least), most);
    return true;
}

static bool slice_list(pio_template_run *run, const pio_tv *of, int64_t start, int64_t step, int64_t n, pio_tv *out) {
    if (!pio_run_new_list(run, (pio_tv_kind)of->kind, (int32_t)n, out)) return false;
    for (int64_t i = 0; i < n; i++) out->u.list->items[i] = of->u.list->items[start + i * step];
    out->u.list->n = (int32_t)n;
    return pio_run_step(run, (uint64_t)n);
}

static bool slice_text(pio_template_run *run, const pio_tv *of, int64_t start, int64_t step, int64_t n, pio_tv *out) {
    const char *end = of->u.bytes + of->n;
    const char *at = of->u.bytes + pio_tv_char_offset(of->u.bytes, of->n, start);
    pio_run_text text = {0};
    if (!pio_run_work(run, of->n)) return false;
    if (step == 1) {
        *out = pio_tv_str(at, pio_tv_char_offset(at, (size_t)(end - at), n));
        return true;
    }
    for (int64_t i = 0; i < n; i++) {
        if (!pio_run_text_add(run, &text, at, pio_utf8_length((unsigned char)*at))) return false;
        for (int64_t k = 0; k < step && at < end && i + 1 < n; k++) at += pio_utf8_length((unsigned char)*at);
        for (int64_t k = 0; k > step && at > of->u.bytes && i + 1 < n; k--) do
                at--;
            while (at > of->u.bytes && (*at & 0xc0) == 0x80);
    }
    return pio_run_text_value(run, &text, out);
}

static bool slice_range(pio_template_run *run, const pio_tv *of, int64_t start, int64_t step, int64_t n, pio_tv *out) {
    pio_tv_range *range = pio_run_take(run, sizeof *range);
    if (!range) return false;
    range->start = of->u.range->start + start * of->u.range->step;
    range->step = step * of->u.range->step; /* ranges are short, and so are these products */
    range->stop = range->start + n * range->step;
    range->n = n;
    *out = (pio_tv){.kind = PIO_TV_RANGE, .u.range = range};
    return true;
}

bool pio_run_slice(pio_template_run *run, const pio_tv *of, const pio_tv bounds[3], pio_tv *out) {
    int64_t n, start, stop, step = 1;
    if (of->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, of);
    bool list = of->kind == PIO_TV_LIST || of->kind == PIO_TV_TUPLE;
    if (!list && of->kind != PIO_TV_STR && of->kind != PIO_TV_RANGE)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s cannot be sliced", pio_tv_type_name(of));
    if (!pio_run_length(run, of, &n)) return false;
    if (pio_tv_is_whole(&bounds[2])) {
        step = pio_tv_whole(&bounds[2]);
    } else if (bounds[2].kind != PIO_TV_NONE && bounds[2].kind != PIO_TV_MISSING) {
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a slice's step is a whole number, not a %s",
                            pio_tv_type_name(&bounds[2]));
    }
    if (!step) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a slice's step cannot be 0");
    step = PIO_MIN(PIO_MAX(step, -(INT64_C(1) << 40)), INT64_C(1) << 40);
    if (!slice_bound(run, &bounds[0], step > 0 ? 0 : n - 1, n, step < 0, &start) ||
        !slice_bound(run, &bounds[1], step > 0 ? n : -1, n, step < 0, &stop))
        return false;
    int64_t span = step > 0 ? stop - start : start - stop, stride = step > 0 ? step : -step;
    int64_t count = span > 0 ? (span - 1) / stride + 1 : 0;
    if (!count) start = 0;
    bool ok = list                     ? slice_list(run, of, start, step, count, out)
              : of->kind == PIO_TV_STR ? slice_text(run, of, start, step, count, out)
                                       : slice_range(run, of, start, step, count, out);
    if (ok && of->kind == PIO_TV_STR) out->variant = of->variant;
    return ok;
}

/* ---- paths ---- */

bool pio_run_path(pio_template_run *run, const pio_tv *of, const pio_tv *path, const pio_tv *otherwise, pio_tv *out) {
    *out = *of;
    if (path->kind == PIO_TV_NONE || path->kind == PIO_TV_MISSING) return true;
    if (path->kind != PIO_TV_STR) {
        pio_tv item = *out;
        if (!pio_run_item(run, &item, path, out)) return false;
        if (otherwise && out->kind == PIO_TV_UNDEFINED) *out = *otherwise;
        return true;
    }
    const char *at = path->u.bytes, *end = at + path->n;
    for (;;) {
        const char *dot = memchr(at, '.', (size_t)(end - at)), *stop = dot ? dot : end;
        pio_tv item = *out, part = pio_tv_str(at, (size_t)(stop - at));
        int64_t number;
        bool digits = stop > at;
        for (const char *p = at; p < stop; p++) digits &= *p >= '0' && *p <= '9';
        if (digits && pio_run_parse_int(at, (size_t)(stop - at), 10, &number)) part = pio_tv_int(number);
        if (!pio_run_item(run, &item, &part, out)) return false;
        if (otherwise && out->kind == PIO_TV_UNDEFINED) *out = *otherwise;
        if (!dot) return true;
        at = dot + 1;
    }
}
