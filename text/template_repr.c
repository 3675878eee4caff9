/* Values as text: Python's str and repr, JSON as Python writes it, HTML escapes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template_case.h"
#include "text/template_run.h"

static bool add(pio_template_run *run, pio_run_text *text, const char *literal) {
    return pio_run_text_add(run, text, literal, strlen(literal));
}

int pio_run_float_text(double real, char room[40]) {
    if (isnan(real)) return sprintf(room, "nan");
    if (isinf(real)) return sprintf(room, real < 0 ? "-inf" : "inf");
    char digits[40];
    int precision = 1;
    do snprintf(digits, sizeof digits, "%.*e", precision - 1, real);
    while (strtod(digits, NULL) != real && ++precision <= 17);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -4 || exponent >= 16) { /* d.ddde-05: C writes it as Python does */
        return sprintf(room, "%s", digits);
    }
    int decimals = precision - 1 - exponent;
    int n = sprintf(room, "%.*f", PIO_MAX(decimals, 0), real);
    if (decimals <= 0) n += sprintf(room + n, ".0");
    return n;
}

bool pio_run_add_escaped(pio_template_run *run, pio_run_text *text, const char *bytes, size_t n) {
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        const char *entity = bytes[i] == '&'    ? "&amp;"
                             : bytes[i] == '<'  ? "&lt;"
                             : bytes[i] == '>'  ? "&gt;"
                             : bytes[i] == '\'' ? "&#39;"
                             : bytes[i] == '"'  ? "&#34;"
                                                : NULL;
        if (!entity) continue;
        if (!pio_run_text_add(run, text, bytes + from, i - from) || !add(run, text, entity)) return false;
        from = i + 1;
    }
    return pio_run_text_add(run, text, bytes + from, n - from);
}

/* ---- str and repr ---- */

static bool add_text_repr(pio_template_run *run, pio_run_text *text, const pio_tv *v) {
    bool has_single = memchr(v->u.bytes, '\'', v->n), has_double = memchr(v->u.bytes, '"', v->n);
    char quote = has_single && !has_double ? '"' : '\'', room[16];
    const char *at = v->u.bytes, *end = at + v->n, *from = at;
    if (!pio_run_text_add(run, text, &quote, 1)) return false;
    while (at < end) {
        const char *begin = at;
        uint32_t c = pio_utf8_next(&at);
        if (!pio_template_is_common(c) && !pio_run_step(run, 20)) return false;
        if (c != '\\' && c != (uint32_t)quote && pio_template_is_printable(c)) continue;
        if (c == '\n' || c == '\t' || c == '\r')
            sprintf(room, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (c == '\\' || c == (uint32_t)quote)
            sprintf(room, "\\%c", (char)c);
        else
            snprintf(room, sizeof room, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
        if (!pio_run_text_add(run, text, from, (size_t)(begin - from)) || !add(run, text, room)) return false;
        from = at;
    }
    return pio_run_text_add(run, text, from, (size_t)(at - from)) && pio_run_text_add(run, text, &quote, 1);
}

static bool add_items_repr(pio_template_run *run, pio_run_text *text, const pio_tv *v, const char *open,
                           const char *close) {
    pio_run_iteration iteration;
    pio_tv item;
    int more, n = 0;
    if (!add(run, text, open) || !pio_run_iterate(run, v, &iteration)) return false;
    for (; (more = pio_run_next(run, &iteration, &item)) > 0; n++) {
        if (n && !add(run, text, ", ")) return false;
        if (!pio_run_add_repr(run, text, &item)) return false;
    }
    if (v->kind == PIO_TV_TUPLE && n == 1 && !add(run, text, ",")) return false;
    return more == 0 && add(run, text, close);
}

static bool add_dict_repr(pio_template_run *run, pio_run_text *text, const pio_tv_dict *dict) {
    if (!add(run, text, "{")) return false;
    for (int32_t i = 0; i < dict->n; i++) {
        if (i && !add(run, text, ", ")) return false;
        if (!pio_run_add_repr(run, text, &dict->pairs[i].key) || !add(run, text, ": ") ||
            !pio_run_add_repr(run, text, &dict->pairs[i].value))
            return false;
    }
    return add(run, text, "}");
}

static bool add_container_repr(pio_template_run *run, pio_run_text *text, const pio_tv *v) {
    switch (v->kind) {
    case PIO_TV_LIST:
        return add_items_repr(run, text, v, "[", "]");
    case PIO_TV_TUPLE:
        return add_items_repr(run, text, v, "(", ")");
    case PIO_TV_VIEW:
        return add_items_repr(run, text, v,
                              v->variant == PIO_TV_KEYS     ? "dict_keys(["
                              : v->variant == PIO_TV_VALUES ? "dict_values(["
                                                            : "dict_items([",
                              "])");
    case PIO_TV_NAMESPACE:
        return add(run, text, "<Namespace ") && add_dict_repr(run, text, v->u.dict) && add(run, text, ">");
    default:
        return add_dict_repr(run, text, v->u.dict);
    }
}

static bool add_object_repr(pio_template_run *run, pio_run_text *text, const pio_tv *v) {
    char room[128];
    bool found;
    pio_tv index, length;
    switch (v->kind) {
    case PIO_TV_RANGE:
        if (v->u.range->step == 1)
            snprintf(room, sizeof room, "range(%lld, %lld)", (long long)v->u.range->start, (long long)v->u.range->stop);
        else
            snprintf(room, sizeof room, "range(%lld, %lld, %lld)", (long long)v->u.range->start,
                     (long long)v->u.range->stop, (long long)v->u.range->step);
        return add(run, text, room);
    case PIO_TV_MACRO: {
        const pio_template_node *node = v->u.macro->node;
        if (v->u.macro->is_caller) return add(run, text, "<Macro anonymous>");
        const pio_tv name = pio_tv_str(node->name->bytes, node->name->n);
        return add(run, text, "<Macro ") && pio_run_add_repr(run, text, &name) && add(run, text, ">");
    }
    case PIO_TV_LOOP:
        if (!pio_run_loop_attribute(run, v->u.loop, "index", 5, &index, &found) ||
            !pio_run_loop_attribute(run, v->u.loop, "length", 6, &length, &found))
            return false;
        snprintf(room, sizeof room, "<LoopContext %lld/%lld>", (long long)index.u.integer, (long long)length.u.integer);
        return add(run, text, room);
    default:
        return pio_run_fail(run, PIO_UNSUPPORTED, "a %s has no text that could be printed", pio_tv_type_name(v));
    }
}

bool pio_run_add_repr(pio_template_run *run, pio_run_text *text, const pio_tv *v) {
    char room[40];
    switch (v->kind) {
    case PIO_TV_MISSING:
    case PIO_TV_UNDEFINED:
        return add(run, text, "Undefined");
    case PIO_TV_NONE:
        return add(run, text, "None");
    case PIO_TV_BOOL:
        return add(run, text, v->u.truth ? "True" : "False");
    case PIO_TV_INT:
        snprintf(room, sizeof room, "%lld", (long long)v->u.integer);
        return add(run, text, room);
    case PIO_TV_FLOAT:
        return pio_run_text_add(run, text, room, (size_t)pio_run_float_text(v->u.real, room));
    case PIO_TV_STR:
        return (!v->variant || add(run, text, "Markup(")) && add_text_repr(run, text, v) &&
               (!v->variant || add(run, text, ")"));
    case PIO_TV_LIST:
    case PIO_TV_TUPLE:
    case PIO_TV_DICT:
    case PIO_TV_VIEW:
    case PIO_TV_NAMESPACE: {
        if (!pio_run_deeper(run)) return false;
        bool ok = add_container_repr(run, text, v);
        run->depth--;
        return ok;
    }
    default:
        return add_object_repr(run, text, v);
    }
}

bool pio_run_add_str(pio_template_run *run, pio_run_text *text, const pio_tv *v) {
    if (v->kind == PIO_TV_STR) return pio_run_text_add(run, text, v->u.bytes, v->n);
    if (v->kind == PIO_TV_UNDEFINED || v->kind == PIO_TV_MISSING) return !run->status;
    return pio_run_add_repr(run, text, v);
}

bool pio_run_str(pio_template_run *run, const pio_tv *v, pio_tv *out) {
    if (v->kind == PIO_TV_STR) {
        *out = *v;
        return true;
    }
    pio_run_text text = {0};
    return pio_run_add_str(run, &text, v) && pio_run_text_value(run, &text, out);
}

bool pio_run_print(pio_template_run *run, const pio_tv *v) {
    pio_tv text;
    if (!pio_run_str(run, v, &text)) return false;
    if (text.n > run->limits.output_bytes - PIO_MIN(run->limits.output_bytes, run->out->n_bytes - run->out_begin))
        return pio_run_fail(run, PIO_LIMIT, "rendering gives more than %zu bytes of text", run->limits.output_bytes);
    if (!pio_text_append(run->out, text.u.bytes, text.n)) {
        if (!run->status) run->status = pio_fail_memory(run->error, "a rendered template", text.n);
        return false;
    }
    return pio_run_work(run, text.n);
}

/* ---- JSON: json.dumps of Python ---- */

static bool add_json_text(pio_template_run *run, pio_run_text *text, const pio_tv *v, bool ascii) {
    const char *at = v->u.bytes, *end = at + v->n, *from = at;
    char room[16];
    if (!add(run, text, "\"")) return false;
    while (at < end) {
        const char *begin = at;
        uint32_t c = pio_utf8_next(&at);
        if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x7f || !ascii || c == 0x7f)) continue;
        const char *names = "\"\"\\\\\nn\rr\tt\ff\bb", *p = names;
        while (*p && (uint32_t)(unsigned char)*p != c) p += 2;
        if (*p)
            sprintf(room, "\\%c", p[1]);
        else if (c < 0x10000)
            snprintf(room, sizeof room, "\\u%04x", (unsigned)c);
        else
            snprintf(room, sizeof room, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
                     (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
        if (!pio_run_text_add(run, text, from, (size_t)(begin - from)) || !add(run, text, room)) return false;
        from = at;
    }
    return pio_run_text_add(run, text, from, (size_t)(at - from)) && add(run, text, "\"");
}

static bool add_json_scalar(pio_template_run *run, pio_run_text *text, const pio_tv *v, const pio_run_json *style) {
    switch (v->kind) {
    case PIO_TV_STR:
        return add_json_text(run, text, v, style->ascii);
    case PIO_TV_NONE:
        return add(run, text, "null");
    case PIO_TV_BOOL:
        return add(run, text, v->u.truth ? "true" : "false");
    case PIO_TV_FLOAT:
        if (isnan(v->u.real)) return add(run, text, "NaN");
        if (isinf(v->u.real)) return add(run, text, v->u.real < 0 ? "-Infinity" : "Infinity");
        return pio_run_add_repr(run, text, v);
    case PIO_TV_INT:
        return pio_run_add_repr(run, text, v);
    default:
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a value of type %s cannot be written as JSON",
                            pio_tv_type_name(v));
    }
}

static bool add_line(pio_template_run *run, pio_run_text *text, const pio_run_json *style, int level) {
    if (!style->indented) return true;
    bool ok = add(run, text, "\n");
    for (int i = 0; ok && i < level; i++) ok = pio_run_text_add(run, text, style->indent.u.bytes, style->indent.n);
    return ok;
}

static bool add_json(pio_template_run *run, pio_run_text *text, const pio_tv *v, const pio_run_json *style, int level);

static bool add_json_key(pio_template_run *run, pio_run_text *text, const pio_tv *key, const pio_run_json *style) {
    if (key->kind == PIO_TV_STR) return add_json_scalar(run, text, key, style);
    if (key->kind != PIO_TV_NONE && !pio_tv_is_number(key))
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s cannot be a key in JSON", pio_tv_type_name(key));
    return add(run, text, "\"") && add_json_scalar(run, text, key, style) && add(run, text, "\"");
}

static int compare_keys(const void *a, const void *b) {
    const pio_tv *x = &((const pio_tv_pair *)a)->key, *y = &((const pio_tv_pair *)b)->key;
    if (x->kind != PIO_TV_STR || y->kind != PIO_TV_STR) {
        double p = pio_tv_real(x), q = pio_tv_real(y);
        return (p > q) - (p < q);
    }
    int order = memcmp(x->u.bytes, y->u.bytes, PIO_MIN(x->n, y->n));
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* The pairs in the order of their keys, which must be of one sort. */
static const pio_tv_pair *sorted_pairs(pio_template_run *run, const pio_tv_dict *dict) {
    pio_tv_pair *pairs = pio_run_take(run, (size_t)dict->n * sizeof *pairs);
    if (!pairs) return NULL;
    memcpy(pairs, dict->pairs, (size_t)dict->n * sizeof *pairs);
    for (int32_t i = 0; i < dict->n; i++) {
        bool text = pairs[i].key.kind == PIO_TV_STR;
        if (text == (pairs[0].key.kind == PIO_TV_STR) && (text || pio_tv_is_number(&pairs[i].key) || dict->n == 1))
            continue;
        pio_run_fail(run, PIO_INVALID_ARGUMENT, "keys of several types cannot be sorted");
        return NULL;
    }
    if (dict->n > 1) qsort(pairs, (size_t)dict->n, sizeof *pairs, compare_keys);
    return pio_run_step(run, (uint64_t)dict->n) ? pairs : NULL;
}

static bool add_json_dict(pio_template_run *run, pio_run_text *text, const pio_tv_dict *dict, const pio_run_json *style,
                          int level) {
    if (!dict->n) return add(run, text, "{}");
    const pio_tv_pair *pairs = style->sort_keys ? sorted_pairs(run, dict) : dict->pairs;
    if (!pairs || !add(run, text, "{")) return false;
    for (int32_t i = 0; i < dict->n; i++) {
        if (i && !pio_run_text_add(run, text, style->item_gap.u.bytes, style->item_gap.n)) return false;
        if (!add_line(run, text, style, level + 1) || !add_json_key(run, text, &pairs[i].key, style) ||
            !pio_run_text_add(run, text, style->key_gap.u.bytes, style->key_gap.n) ||
            !add_json(run, text, &pairs[i].value, style, level + 1))
            return false;
    }
    return add_line(run, text, style, level) && add(run, text, "}");
}

static bool add_json_list(pio_template_run *run, pio_run_text *text, const pio_tv_list *list, const pio_run_json *style,
                          int level) {
    if (!list->n) return add(run, text, "[]");
    if (!add(run, text, "[")) return false;
    for (int32_t i = 0; i < list->n; i++) {
        if (i && !pio_run_text_add(run, text, style->item_gap.u.bytes, style->item_gap.n)) return false;
        if (!add_line(run, text, style, level + 1) || !add_json(run, text, &list->items[i], style, level + 1))
            return false;
    }
    return add_line(run, text, style, level) && add(run, text, "]");
}

static bool add_json(pio_template_run *run, pio_run_text *text, const pio_tv *v, const pio_run_json *style, int level) {
    bool dict = v->kind == PIO_TV_DICT, list = v->kind == PIO_TV_LIST || v->kind == PIO_TV_TUPLE;
    if (v->kind == PIO_TV_UNDEFINED)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "an undefined value cannot be written as JSON");
    if (!dict && !list) return add_json_scalar(run, text, v, style);
    if (!pio_run_deeper(run)) return false;
    bool ok =
        dict ? add_json_dict(run, text, v->u.dict, style, level) : add_json_list(run, text, v->u.list, style, level);
    run->depth--;
    return ok;
}

bool pio_run_add_json(pio_template_run *run, pio_run_text *text, const pio_tv *v, const pio_run_json *style) {
    return add_json(run, text, v, style, 0);
}
