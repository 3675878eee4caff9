/* Evaluating expressions. */
#include <string.h>

#include "text/template_run.h"

/* ---- arguments of calls ---- */

static bool spread(pio_template_run *run, const pio_tv *value, pio_tv_list *items) {
    pio_run_iteration iteration;
    pio_tv item;
    int more;
    if (!pio_run_iterate(run, value, &iteration)) return false;
    while ((more = pio_run_next(run, &iteration, &item)) > 0)
        if (!pio_run_append(run, items, &item)) return false;
    return more == 0;
}

static bool add_keyword(pio_template_run *run, pio_tv_dict *keywords, const pio_tv *key, const pio_tv *value) {
    pio_tv *found;
    if (key->kind != PIO_TV_STR)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "the keywords of a call are strings, not a %s",
                            pio_tv_type_name(key));
    if (!pio_run_dict_find(run, keywords, key, &found)) return false;
    if (found)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "a call gives '%.*s' twice", (int)PIO_MIN(key->n, 100u),
                            key->u.bytes);
    return pio_run_dict_set(run, keywords, key, value);
}

static bool spread_keywords(pio_template_run *run, const pio_tv *value, pio_tv_dict *keywords) {
    if (value->kind == PIO_TV_UNDEFINED) return pio_run_fail_undefined(run, value);
    if (value->kind != PIO_TV_DICT)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'**' takes a dict, not a %s", pio_tv_type_name(value));
    for (int32_t i = 0; i < value->u.dict->n; i++)
        if (!add_keyword(run, keywords, &value->u.dict->pairs[i].key, &value->u.dict->pairs[i].value)) return false;
    return true;
}

/* The arguments behind `first`, and `caller` (may be NULL) as a keyword. */
static bool evaluate_arguments(pio_template_run *run, const pio_template_node *first, const pio_tv *caller,
                               pio_template_arguments *out) {
    *out = (pio_template_arguments){0};
    if (!first && !caller) return true;
    pio_tv items, keywords, value;
    if (!pio_run_new_list(run, PIO_TV_LIST, 0, &items) || !pio_run_new_dict(run, PIO_TV_DICT, 0, &keywords))
        return false;
    for (const pio_template_node *node = first; node; node = node->next) {
        if (!pio_run_evaluate(run, node->a, &value)) return false;
        bool ok = true;
        if (node->kind == PIO_NODE_KEYWORD) {
            const pio_tv key = pio_tv_str(node->name->bytes, node->name->n);
            ok = add_keyword(run, keywords.u.dict, &key, &value);
        } else if (node->kind == PIO_NODE_STAR) {
            ok = spread(run, &value, items.u.list);
        } else if (node->kind == PIO_NODE_DOUBLE_STAR) {
            ok = spread_keywords(run, &value, keywords.u.dict);
        } else {
            ok = pio_run_append(run, items.u.list, &value);
        }
        if (!ok) return false;
    }
    if (caller) {
        const pio_tv key = pio_tv_str("caller", 6);
        if (!add_keyword(run, keywords.u.dict, &key, caller)) return false;
    }
    *out = (pio_template_arguments){items.u.list->items, items.u.list->n, keywords.u.dict->pairs, keywords.u.dict->n};
    return true;
}

bool pio_run_call_node(pio_template_run *run, const pio_template_node *node, const pio_tv *caller, pio_tv *out) {
    pio_tv callee;
    pio_template_arguments arguments;
    if (!pio_run_evaluate(run, node->a, &callee) || !evaluate_arguments(run, node->arguments, caller, &arguments))
        return false;
    run->line = node->line;
    return pio_run_call(run, &callee, &arguments, out);
}

/* ---- filters and tests ---- */

static bool apply_row(pio_template_run *run, const pio_template_node *node, const pio_tv *self, const char *what,
                      pio_tv *out) {
    pio_template_arguments arguments;
    if (!node->row) return pio_run_fail(run, PIO_UNSUPPORTED, "there is no %s named '%s'", what, node->name->bytes);
    if (!evaluate_arguments(run, node->arguments, NULL, &arguments)) return false;
    run->line = node->line;
    return pio_run_call_row(run, node->row, what, self, &arguments, out);
}

bool pio_run_filters(pio_template_run *run, const pio_template_node *node, const pio_tv *text, pio_tv *out) {
    pio_tv self = *text;
    if (!pio_run_deeper(run)) return false;
    bool ok = !node->a || pio_run_filters(run, node->a, text, &self);
    run->depth--;
    return ok && apply_row(run, node, &self, "filter", out);
}

static bool filter_or_test(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    pio_tv self;
    if (!pio_run_evaluate(run, node->a, &self)) return false;
    run->line = node->line;
    return apply_row(run, node, &self, node->kind == PIO_NODE_FILTER ? "filter" : "test", out);
}

/* ---- literals ---- */

static bool literal_list(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    pio_tv list, item;
    if (!pio_run_new_list(run, node->kind == PIO_NODE_TUPLE ? PIO_TV_TUPLE : PIO_TV_LIST, 0, &list)) return false;
    for (const pio_template_node *n = node->items; n; n = n->next)
        if (!pio_run_evaluate(run, n, &item) || !pio_run_append(run, list.u.list, &item)) return false;
    *out = list;
    return true;
}

static bool literal_dict(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    pio_tv dict, key, value;
    if (!pio_run_new_dict(run, PIO_TV_DICT, 0, &dict)) return false;
    for (const pio_template_node *n = node->items; n; n = n->next->next)
        if (!pio_run_evaluate(run, n, &key) || !pio_run_evaluate(run, n->next, &value) ||
            !pio_run_dict_set(run, dict.u.dict, &key, &value))
            return false;
    *out = dict;
    return true;
}

/* ---- the rest ---- */

static bool evaluate_slice(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    pio_tv of, bounds[3] = {{0}, {0}, {0}};
    if (!pio_run_evaluate(run, node->a, &of) || (node->b && !pio_run_evaluate(run, node->b, &bounds[0])) ||
        (node->c && !pio_run_evaluate(run, node->c, &bounds[1])) ||
        (node->d && !pio_run_evaluate(run, node->d, &bounds[2])))
        return false;
    run->line = node->line;
    return pio_run_slice(run, &of, bounds, out);
}

static bool evaluate_concat(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    pio_run_text text = {0};
    pio_tv part;
    for (const pio_template_node *n = node->items; n; n = n->next)
        if (!pio_run_evaluate(run, n, &part) || !pio_run_add_str(run, &text, &part)) return false;
    return pio_run_text_value(run, &text, out);
}

static bool evaluate_compare(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    pio_tv left, right;
    bool holds = true;
    if (!pio_run_evaluate(run, node->a, &left)) return false;
    for (const pio_template_node *n = node->items; n && holds; n = n->next) {
        if (!pio_run_evaluate(run, n->a, &right)) return false;
        run->line = n->line;
        if (!pio_run_compare(run, (pio_template_operator)n->op, &left, &right, &holds)) return false;
        left = right;
    }
    *out = pio_tv_bool(holds);
    return true;
}

static bool evaluate_choice(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    static const char hint[] = "the inline if-expression evaluated to false and has no else";
    pio_tv condition;
    if (!pio_run_evaluate(run, node->b, &condition)) return false;
    if (pio_run_truth(&condition)) return pio_run_evaluate(run, node->a, out);
    if (node->c) return pio_run_evaluate(run, node->c, out);
    *out = pio_tv_undefined(PIO_TV_HINT, PIO_TV_NONE, hint, sizeof hint - 1);
    return true;
}

static bool evaluate_pair(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    pio_tv a, b;
    if (!pio_run_evaluate(run, node->a, &a)) return false;
    if (node->kind == PIO_NODE_AND || node->kind == PIO_NODE_OR) {
        if (pio_run_truth(&a) == (node->kind == PIO_NODE_AND)) return pio_run_evaluate(run, node->b, out);
        *out = a;
        return true;
    }
    if (!pio_run_evaluate(run, node->b, &b)) return false;
    run->line = node->line;
    if (node->kind == PIO_NODE_ITEM) return pio_run_item(run, &a, &b, out);
    return pio_run_binary(run, (pio_template_operator)node->op, &a, &b, out);
}

static bool evaluate_single(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    pio_tv a;
    if (!pio_run_evaluate(run, node->a, &a)) return false;
    run->line = node->line;
    if (node->kind == PIO_NODE_ATTRIBUTE) return pio_run_attribute(run, &a, node->name->bytes, node->name->n, out);
    if (node->kind != PIO_NODE_NOT) return pio_run_negate(run, &a, node->kind == PIO_NODE_PLUS, out);
    *out = pio_tv_bool(!pio_run_truth(&a));
    return true;
}

static bool evaluate(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    switch (node->kind) {
    case PIO_NODE_CONST:
        *out = node->value;
        return true;
    case PIO_NODE_NAME:
        pio_run_get(run, node->name, out);
        return true;
    case PIO_NODE_LIST:
    case PIO_NODE_TUPLE:
        return literal_list(run, node, out);
    case PIO_NODE_DICT:
        return literal_dict(run, node, out);
    case PIO_NODE_ATTRIBUTE:
    case PIO_NODE_NOT:
    case PIO_NODE_NEGATE:
    case PIO_NODE_PLUS:
        return evaluate_single(run, node, out);
    case PIO_NODE_ITEM:
    case PIO_NODE_AND:
    case PIO_NODE_OR:
    case PIO_NODE_BINARY:
        return evaluate_pair(run, node, out);
    case PIO_NODE_SLICE:
        return evaluate_slice(run, node, out);
    case PIO_NODE_CALL:
        return pio_run_call_node(run, node, NULL, out);
    case PIO_NODE_FILTER:
    case PIO_NODE_TEST:
        return filter_or_test(run, node, out);
    case PIO_NODE_CONCAT:
        return evaluate_concat(run, node, out);
    case PIO_NODE_COMPARE:
        return evaluate_compare(run, node, out);
    case PIO_NODE_CHOICE:
        return evaluate_choice(run, node, out);
    default:
        return pio_run_fail(run, PIO_INTERNAL, "a node of kind %d is no expression", node->kind);
    }
}

bool pio_run_evaluate(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    if (!pio_run_step(run, 1) || !pio_run_deeper(run)) return false;
    bool ok = evaluate(run, node, out);
    run->depth--;
    return ok;
}
