/* Calls: macros, methods, and the global functions. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "text/template_run.h"

/* ---- rows ---- */

/* Finds parameter `name` in "one two three"; -1: not there. */
static int find_parameter(const char *parameters, const char *name, size_t n) {
    for (int i = 0; *parameters; i++) {
        size_t length = strcspn(parameters, " ");
        if (length == n && !memcmp(parameters, name, n)) return i;
        parameters += length + (parameters[length] == ' ');
    }
    return -1;
}

static int count_parameters(const char *parameters) {
    int n = *parameters != 0;
    for (; *parameters; parameters++) n += *parameters == ' ';
    return n;
}

bool pio_run_call_row(pio_template_run *run, const pio_template_function *row, const char *what, const pio_tv *self,
                      const pio_template_arguments *arguments, pio_tv *out) {
    if (!row->parameters) return row->call(run, self, arguments, out);
    pio_tv values[PIO_TEMPLATE_MOST_PARAMETERS] = {{0}};
    int most = count_parameters(row->parameters);
    if (arguments->n > most)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "%s '%s' takes at most %d arguments, not %d", what, row->name,
                            most, (int)arguments->n);
    for (int32_t i = 0; i < arguments->n; i++) values[i] = arguments->items[i];
    for (int32_t i = 0; i < arguments->n_keywords; i++) {
        const pio_tv *key = &arguments->keywords[i].key;
        int at = find_parameter(row->parameters, key->u.bytes, key->n);
        if (at < 0 || values[at].kind != PIO_TV_MISSING)
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "%s '%s' %s an argument '%.*s'", what, row->name,
                                at < 0 ? "does not take" : "is given twice", (int)PIO_MIN(key->n, 100u), key->u.bytes);
        values[at] = arguments->keywords[i].value;
    }
    for (int i = 0; i < row->least; i++)
        if (values[i].kind == PIO_TV_MISSING)
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "%s '%s' takes at least %d arguments", what, row->name,
                                row->least);
    const pio_template_arguments bound = {.items = values, .n = most};
    return row->call(run, self, &bound, out);
}

bool pio_run_call_filter(pio_template_run *run, const pio_tv *name, const pio_tv *self,
                         const pio_template_arguments *arguments, pio_tv *out) {
    const pio_template_function *row =
        name->kind == PIO_TV_STR ? pio_template_find_filter(name->u.bytes, name->n) : NULL;
    if (row) return pio_run_call_row(run, row, "filter", self, arguments, out);
    return pio_run_fail(run, PIO_UNSUPPORTED, "there is no filter named '%.*s'",
                        name->kind == PIO_TV_STR ? (int)PIO_MIN(name->n, 100u) : 1,
                        name->kind == PIO_TV_STR ? name->u.bytes : "?");
}

bool pio_run_call_test(pio_template_run *run, const pio_tv *name, const pio_tv *self,
                       const pio_template_arguments *arguments, bool *holds) {
    const pio_template_function *row = name->kind == PIO_TV_STR ? pio_template_find_test(name->u.bytes, name->n) : NULL;
    pio_tv value;
    if (!row)
        return pio_run_fail(run, PIO_UNSUPPORTED, "there is no test named '%.*s'",
                            name->kind == PIO_TV_STR ? (int)PIO_MIN(name->n, 100u) : 1,
                            name->kind == PIO_TV_STR ? name->u.bytes : "?");
    if (!pio_run_call_row(run, row, "test", self, arguments, &value)) return false;
    *holds = pio_run_truth(&value);
    return true;
}

/* ---- macros ---- */

static const pio_tv *find_keyword(const pio_template_arguments *arguments, const pio_template_word *name) {
    for (int32_t i = 0; i < arguments->n_keywords; i++)
        if (pio_tv_is_text(&arguments->keywords[i].key, name->bytes, name->n)) return &arguments->keywords[i].value;
    return NULL;
}

/* Positional arguments, then keywords, then defaults, in the macro's own scope. */
static bool bind_parameters(pio_template_run *run, const pio_template_node *node,
                            const pio_template_arguments *arguments, int32_t *n_used_keywords) {
    int32_t at = 0;
    const pio_tv missing = {.kind = PIO_TV_MISSING};
    *n_used_keywords = 0;
    for (const pio_template_node *p = node->a; p; p = p->next, at++) {
        const pio_tv *given = at < arguments->n ? &arguments->items[at] : find_keyword(arguments, p->name);
        if (at >= arguments->n && given) ++*n_used_keywords;
        if (!pio_run_set(run, p->name, given ? given : &missing)) return false;
    }
    at = 0;
    for (const pio_template_node *p = node->a; p; p = p->next, at++) {
        pio_tv value;
        if (at < arguments->n || find_keyword(arguments, p->name)) continue;
        if (p->a) {
            if (!pio_run_evaluate(run, p->a, &value)) return false;
        } else {
            char text[160];
            int n = snprintf(text, sizeof text, "parameter '%.100s' was not provided", p->name->bytes);
            if (!pio_run_copy_text(run, text, (size_t)n, &value)) return false;
            value.kind = PIO_TV_UNDEFINED;
            value.variant = PIO_TV_HINT;
        }
        if (!pio_run_set(run, p->name, &value)) return false;
    }
    return true;
}

static bool is_parameter(const pio_template_node *node, const pio_tv *key) {
    for (const pio_template_node *p = node->a; p; p = p->next)
        if (pio_tv_is_text(key, p->name->bytes, p->name->n)) return true;
    return false;
}

/* caller, kwargs and varargs, for macros that speak of them; arguments that have no place are an error. */
static bool bind_extras(pio_template_run *run, const pio_tv_macro *macro, const pio_template_arguments *arguments,
                        int32_t n_used_keywords) {
    static const char no_caller[] = "No caller defined";
    const pio_template_node *node = macro->node;
    const pio_template *t = run->compiled;
    const char *name = macro->is_caller ? "caller" : node->name->bytes;
    int32_t n_parameters = 0, n_extra = arguments->n_keywords - n_used_keywords;
    for (const pio_template_node *p = node->a; p; p = p->next) n_parameters++;
    const pio_tv caller_name = pio_tv_str("caller", 6);
    bool explicit_caller = is_parameter(node, &caller_name), takes_caller = false;
    if ((node->macro_flags & PIO_MACRO_CALLER) && !explicit_caller) {
        const pio_tv *given = find_keyword(arguments, t->caller);
        pio_tv undefined = pio_tv_undefined(PIO_TV_HINT, PIO_TV_NONE, no_caller, sizeof no_caller - 1);
        if (!pio_run_set(run, t->caller, given ? given : &undefined)) return false;
        takes_caller = true;
        n_extra -= given != NULL;
    }
    if (node->macro_flags & PIO_MACRO_KWARGS) {
        pio_tv kwargs;
        if (!pio_run_new_dict(run, PIO_TV_DICT, 0, &kwargs)) return false;
        for (int32_t i = 0; i < arguments->n_keywords; i++) {
            const pio_tv_pair *pair = &arguments->keywords[i];
            if (is_parameter(node, &pair->key) || (takes_caller && pio_tv_is_text(&pair->key, "caller", 6))) continue;
            if (!pio_run_dict_set(run, kwargs.u.dict, &pair->key, &pair->value)) return false;
        }
        if (!pio_run_set(run, t->kwargs, &kwargs)) return false;
    } else if (n_extra) {
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "macro '%s' is given a keyword that it does not take, or twice",
                            name);
    }
    if (node->macro_flags & PIO_MACRO_VARARGS) {
        pio_tv varargs;
        if (!pio_run_new_list(run, PIO_TV_TUPLE, 0, &varargs)) return false;
        for (int32_t i = n_parameters; i < arguments->n; i++)
            if (!pio_run_append(run, varargs.u.list, &arguments->items[i])) return false;
        return pio_run_set(run, t->varargs, &varargs);
    }
    if (arguments->n > n_parameters)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "macro '%s' takes not more than %d arguments, but is given %d",
                            name, (int)n_parameters, (int)arguments->n);
    return true;
}

static bool call_macro(pio_template_run *run, const pio_tv_macro *macro, const pio_template_arguments *arguments,
                       pio_tv *out) {
    if (!pio_run_deeper(run)) return false;
    pio_template_scope *before = run->scope;
    int32_t n_used_keywords;
    bool ok = pio_run_begin_scope(run, macro->scope, macro->node->undefined) &&
              bind_parameters(run, macro->node, arguments, &n_used_keywords) &&
              bind_extras(run, macro, arguments, n_used_keywords) &&
              pio_run_capture(run, macro->node->items, out) != PIO_FLOW_FAILED;
    run->scope = before;
    run->depth--;
    return ok;
}

/* ---- anything ---- */

static bool call_joiner(pio_tv_cycler *joiner, pio_tv *out) {
    *out = joiner->at ? joiner->items[0] : pio_tv_str("", 0);
    joiner->at = 1;
    return true;
}

bool pio_run_call(pio_template_run *run, const pio_tv *callee, const pio_template_arguments *arguments, pio_tv *out) {
    switch (callee->kind) {
    case PIO_TV_UNDEFINED:
        return pio_run_fail_undefined(run, callee);
    case PIO_TV_MACRO:
        return call_macro(run, callee->u.macro, arguments, out);
    case PIO_TV_METHOD:
        return pio_run_call_row(run, callee->u.method->row, "method", &callee->u.method->self, arguments, out);
    case PIO_TV_FUNCTION:
        return pio_run_call_row(run, callee->u.function, "function", NULL, arguments, out);
    case PIO_TV_LOOP:
        if (arguments->n != 1)
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'loop' is called with what to go through, and no more");
        return pio_run_recurse(run, callee->u.loop, &arguments->items[0], out);
    case PIO_TV_JOINER:
        return call_joiner(callee->u.cycler, out);
    default:
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a %s cannot be called", pio_tv_type_name(callee));
    }
}

/* ---- global functions ---- */

static bool call_range(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments,
                       pio_tv *out) {
    (void)self;
    enum { MOST = 100000 }; /* as the reference's sandbox has it */
    int64_t parts[3] = {0, 0, 1};
    int n = 0;
    for (; n < 3 && arguments->items[n].kind != PIO_TV_MISSING; n++) {
        if (arguments->items[n].kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, &arguments->items[n]);
        if (!pio_tv_is_whole(&arguments->items[n]))
            return pio_run_fail(run, PIO_INVALID_ARGUMENT, "range() takes whole numbers, not a %s",
                                pio_tv_type_name(&arguments->items[n]));
        parts[n] = pio_tv_whole(&arguments->items[n]);
    }
    int64_t start = n == 1 ? 0 : parts[0], stop = n == 1 ? parts[0] : parts[1], step = parts[2], count = 0;
    if (!step) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "the step of range() cannot be 0");
    const int64_t far = INT64_C(1) << 60;
    if (start > far || start < -far || stop > far || stop < -far || step > far || step < -far)
        return pio_run_fail(run, PIO_UNSUPPORTED, "the bounds of range() are too large");
    if (step > 0 && stop > start) count = (stop - start - 1) / step + 1;
    if (step < 0 && stop < start) count = (start - stop - 1) / -step + 1;
    if (count > MOST)
        return pio_run_fail(run, PIO_LIMIT, "range() gives %lld items, more than %d", (long long)count, MOST);
    pio_tv_range *range = pio_run_take(run, sizeof *range);
    if (!range) return false;
    *range = (pio_tv_range){start, stop, step, count};
    *out = (pio_tv){.kind = PIO_TV_RANGE, .u.range = range};
    return true;
}

/* dict(...) and namespace(...): a mapping or pairs, then keywords. */
static bool make_dict(pio_template_run *run, const pio_template_arguments *arguments, pio_tv_kind kind, pio_tv *out) {
    pio_tv dict;
    if (!pio_run_new_dict(run, kind, 0, &dict)) return false;
    if (arguments->n > 1) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "dict() takes one mapping, and keywords");
    if (arguments->n && arguments->items[0].kind == PIO_TV_DICT) {
        const pio_tv_dict *from = arguments->items[0].u.dict;
        for (int32_t i = 0; i < from->n; i++)
            if (!pio_run_dict_set(run, dict.u.dict, &from->pairs[i].key, &from->pairs[i].value)) return false;
    } else if (arguments->n) {
        pio_run_iteration iteration;
        pio_tv item, pair;
        int more;
        if (!pio_run_iterate(run, &arguments->items[0], &iteration)) return false;
        while ((more = pio_run_next(run, &iteration, &item)) > 0) {
            if (!pio_run_to_list(run, &item, PIO_TV_TUPLE, &pair)) return false;
            if (pair.u.list->n != 2)
                return pio_run_fail(run, PIO_INVALID_ARGUMENT, "dict() takes pairs, not %d values",
                                    (int)pair.u.list->n);
            if (!pio_run_dict_set(run, dict.u.dict, &pair.u.list->items[0], &pair.u.list->items[1])) return false;
        }
        if (more < 0) return false;
    }
    for (int32_t i = 0; i < arguments->n_keywords; i++)
        if (!pio_run_dict_set(run, dict.u.dict, &arguments->keywords[i].key, &arguments->keywords[i].value))
            return false;
    *out = dict;
    return true;
}

static bool call_dict(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, pio_tv *out) {
    (void)self;
    return make_dict(run, arguments, PIO_TV_DICT, out);
}

static bool call_namespace(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments,
                           pio_tv *out) {
    (void)self;
    if (!make_dict(run, arguments, PIO_TV_NAMESPACE, out)) return false;
    for (int32_t i = 0; i < out->u.dict->n; i++) {
        const pio_tv *key = &out->u.dict->pairs[i].key;
        if (key->kind == PIO_TV_STR && key->n && key->u.bytes[0] == '_')
            return pio_run_fail(run, PIO_UNSUPPORTED, "'%.*s' cannot be set: its name begins with '_'",
                                (int)PIO_MIN(key->n, 100u), key->u.bytes);
    }
    return true;
}

static bool call_cycler(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments,
                        pio_tv *out) {
    (void)self;
    if (!arguments->n || arguments->n_keywords)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "cycler() takes at least one value, and no keywords");
    pio_tv_cycler *cycler = pio_run_take(run, sizeof *cycler);
    pio_tv *items = pio_run_take(run, (size_t)arguments->n * sizeof *items);
    if (!cycler || !items) return false;
    memcpy(items, arguments->items, (size_t)arguments->n * sizeof *items);
    *cycler = (pio_tv_cycler){items, arguments->n, 0};
    *out = (pio_tv){.kind = PIO_TV_CYCLER, .u.cycler = cycler};
    return true;
}

static bool call_joiner_global(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments,
                               pio_tv *out) {
    (void)self;
    pio_tv_cycler *joiner = pio_run_take(run, sizeof *joiner);
    pio_tv *item = pio_run_take(run, sizeof *item);
    if (!joiner || !item) return false;
    *item = arguments->items[0].kind == PIO_TV_MISSING ? pio_tv_str(", ", 2) : arguments->items[0];
    *joiner = (pio_tv_cycler){item, 1, 0};
    *out = (pio_tv){.kind = PIO_TV_JOINER, .u.cycler = joiner};
    return true;
}

static bool call_raise(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments,
                       pio_tv *out) {
    (void)self;
    pio_tv text;
    if (!pio_run_str(run, &arguments->items[0], &text)) return false;
    *out = text;
    return pio_run_fail(run, PIO_INVALID_ARGUMENT, "%.*s", (int)PIO_MIN(text.n, 800u), text.u.bytes);
}

static bool call_strftime(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments,
                          pio_tv *out) {
    (void)self;
    const pio_tv *format = &arguments->items[0];
    char pattern[256], text[1024];
    if (format->kind != PIO_TV_STR || format->n >= sizeof pattern - 1)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "strftime_now() takes a string of at most %zu bytes",
                            sizeof pattern - 2);
    /* a sign in front tells an empty result from one that is too long */
    snprintf(pattern, sizeof pattern, ".%.*s", (int)format->n, format->u.bytes);
    time_t now = time(NULL);
    struct tm local;
    size_t n = localtime_r(&now, &local) ? strftime(text, sizeof text, pattern, &local) : 0;
    if (!n) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "strftime_now() cannot serve '%s'", pattern + 1);
    return pio_run_copy_text(run, text + 1, n - 1, out);
}

static const pio_template_function globals[] = {
    {"range", "start stop step", 1, call_range, 0}, {"dict", NULL, 0, call_dict, 0},
    {"namespace", NULL, 0, call_namespace, 0},      {"cycler", NULL, 0, call_cycler, 0},
    {"joiner", "sep", 0, call_joiner_global, 0},    {"raise_exception", "message", 1, call_raise, 0},
    {"strftime_now", "format", 1, call_strftime, 0}};

const pio_template_function *pio_template_find_row(const pio_template_function *rows, size_t n_rows, const char *name,
                                                   size_t n) {
    for (size_t i = 0; i < n_rows; i++)
        if (strlen(rows[i].name) == n && !memcmp(rows[i].name, name, n)) return &rows[i];
    return NULL;
}

const pio_template_function *pio_template_find_global(const char *name, size_t n) {
    return pio_template_find_row(globals, PIO_COUNT(globals), name, n);
}
