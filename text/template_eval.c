/* Statements and variables. */
#include <string.h>

#include "text/template_run.h"

/* ---- variables ---- */

pio_template_scope *pio_run_begin_scope(pio_template_run *run, pio_template_scope *outer,
                                        const pio_template_word **undefined) {
    pio_template_scope *scope = pio_run_take(run, sizeof *scope);
    if (!scope) return NULL;
    scope->outer = outer;
    pio_template_scope *before = run->scope;
    run->scope = scope;
    const pio_tv missing = {.kind = PIO_TV_MISSING};
    for (; undefined && *undefined; undefined++)
        if (!pio_run_set(run, *undefined, &missing)) scope = NULL;
    run->scope = scope ? scope : before;
    return scope;
}

bool pio_run_set(pio_template_run *run, const pio_template_word *name, const pio_tv *value) {
    pio_template_scope *scope = run->scope;
    for (int32_t i = 0; i < scope->n; i++) {
        if (scope->variables[i].name != name) continue;
        scope->variables[i].value = *value;
        return true;
    }
    if (scope->n == scope->capacity) {
        int32_t capacity = PIO_MAX(4, 2 * scope->capacity);
        pio_template_variable *grown = pio_run_take(run, (size_t)capacity * sizeof *grown);
        if (!grown) return false;
        if (scope->n) memcpy(grown, scope->variables, (size_t)scope->n * sizeof *grown);
        scope->variables = grown;
        scope->capacity = capacity;
    }
    scope->variables[scope->n++] = (pio_template_variable){name, *value};
    return true;
}

void pio_run_get(pio_template_run *run, const pio_template_word *name, pio_tv *out) {
    *out = pio_tv_undefined(PIO_TV_NO_NAME, PIO_TV_NONE, name->bytes, name->n);
    for (const pio_template_scope *scope = run->scope; scope; scope = scope->outer)
        for (int32_t i = 0; i < scope->n; i++)
            if (scope->variables[i].name == name) {
                if (scope->variables[i].value.kind != PIO_TV_MISSING) *out = scope->variables[i].value;
                return;
            }
    const pio_tv key = pio_tv_str(name->bytes, name->n);
    pio_tv *found;
    if (!pio_run_dict_find(run, run->input, &key, &found)) return;
    if (found) {
        *out = *found;
        return;
    }
    const pio_template_function *function = pio_template_find_global(name->bytes, name->n);
    if (function) *out = (pio_tv){.kind = PIO_TV_FUNCTION, .u.function = function};
}

void pio_run_keep_scope(pio_template_scope *scope) {
    for (; scope && !scope->kept; scope = scope->outer) scope->kept = true;
}

/* ---- assigning ---- */

static bool assign_tuple(pio_template_run *run, const pio_template_node *target, const pio_tv *value) {
    pio_run_iteration iteration;
    pio_tv item;
    int more, n = 0, wanted = 0;
    for (const pio_template_node *t = target->items; t; t = t->next) wanted++;
    if (!pio_run_iterate(run, value, &iteration)) return false;
    for (const pio_template_node *t = target->items; t; t = t->next, n++) {
        more = pio_run_next(run, &iteration, &item);
        if (more < 0) return false;
        if (!more) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "%d values where %d are to be unpacked", n, wanted);
        if (!pio_run_assign(run, t, &item)) return false;
    }
    more = pio_run_next(run, &iteration, &item);
    if (more > 0)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "more values than the %d that are to be unpacked", wanted);
    return more == 0;
}

bool pio_run_assign(pio_template_run *run, const pio_template_node *target, const pio_tv *value) {
    if (target->kind == PIO_NODE_NAME) return pio_run_set(run, target->name, value);
    if (target->kind == PIO_NODE_TUPLE) return assign_tuple(run, target, value);
    pio_tv owner;
    pio_run_get(run, target->a->name, &owner);
    if (owner.kind != PIO_TV_NAMESPACE)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'%s.%s' cannot be set: '%s' is a %s, not a namespace",
                            target->a->name->bytes, target->name->bytes, target->a->name->bytes,
                            pio_tv_type_name(&owner));
    if (target->name->bytes[0] == '_')
        return pio_run_fail(run, PIO_UNSUPPORTED, "'%s' cannot be set: its name begins with '_'", target->name->bytes);
    const pio_tv key = pio_tv_str(target->name->bytes, target->name->n);
    return pio_run_dict_set(run, owner.u.dict, &key, value);
}

/* ---- blocks ---- */

pio_run_flow pio_run_capture(pio_template_run *run, const pio_template_node *first, pio_tv *out) {
    size_t begin = run->out->n_bytes;
    pio_run_flow flow = pio_run_statements(run, first);
    if (flow != PIO_FLOW_FAILED) {
        if (!pio_run_copy_text(run, run->out->bytes + begin, run->out->n_bytes - begin, out)) flow = PIO_FLOW_FAILED;
        run->out->n_bytes = begin;
    }
    return flow;
}

static pio_run_flow flow_of(bool ok) {
    return ok ? PIO_FLOW_ON : PIO_FLOW_FAILED;
}

/* `generation` is a macro to the reference, called with nothing. */
static bool bind_nothing(pio_template_run *run, const pio_template_node *node) {
    pio_tv varargs, kwargs;
    return pio_run_new_list(run, PIO_TV_TUPLE, 0, &varargs) && pio_run_new_dict(run, PIO_TV_DICT, 0, &kwargs) &&
           (!(node->macro_flags & PIO_MACRO_VARARGS) || pio_run_set(run, run->compiled->varargs, &varargs)) &&
           (!(node->macro_flags & PIO_MACRO_KWARGS) || pio_run_set(run, run->compiled->kwargs, &kwargs));
}

/* A body in a scope of its own; what it prints goes to *captured unless that is NULL. */
static pio_run_flow scoped_body(pio_template_run *run, const pio_template_node *node, pio_tv *captured) {
    pio_template_scope *outer = run->scope;
    if (!pio_run_begin_scope(run, outer, node->undefined)) return PIO_FLOW_FAILED;
    if (node->kind == PIO_NODE_SCOPE && node->macro_flags && !bind_nothing(run, node)) return PIO_FLOW_FAILED;
    pio_run_flow flow = captured ? pio_run_capture(run, node->items, captured) : pio_run_statements(run, node->items);
    run->scope = outer;
    return flow;
}

static pio_run_flow run_if(pio_template_run *run, const pio_template_node *node) {
    pio_tv condition;
    while (node && node->kind == PIO_NODE_IF && node->a) {
        run->line = node->line;
        if (!pio_run_evaluate(run, node->a, &condition)) return PIO_FLOW_FAILED;
        if (pio_run_truth(&condition)) return pio_run_statements(run, node->items);
        if (!node->flag) return pio_run_statements(run, node->b);
        node = node->b;
    }
    return PIO_FLOW_ON;
}

static pio_run_flow run_block(pio_template_run *run, const pio_template_node *node) {
    pio_tv text, value;
    pio_run_flow flow = scoped_body(run, node, &text);
    if (flow != PIO_FLOW_ON) return flow;
    value = text;
    if (node->b && !pio_run_filters(run, node->b, &text, &value)) return PIO_FLOW_FAILED;
    return flow_of(node->kind == PIO_NODE_SET_BLOCK ? pio_run_assign(run, node->a, &value)
                                                    : pio_run_print(run, &value));
}

static pio_run_flow run_with(pio_template_run *run, const pio_template_node *node) {
    pio_template_scope *outer = run->scope, *inner = pio_run_begin_scope(run, outer, node->undefined);
    if (!inner) return PIO_FLOW_FAILED;
    for (const pio_template_node *set = node->a; set; set = set->next) {
        pio_tv value;
        run->scope = outer;
        bool ok = pio_run_evaluate(run, set->b, &value);
        run->scope = inner;
        if (!ok || !pio_run_assign(run, set->a, &value)) return PIO_FLOW_FAILED;
    }
    pio_run_flow flow = pio_run_statements(run, node->items);
    run->scope = outer;
    return flow;
}

static bool make_macro(pio_template_run *run, const pio_template_node *node, pio_tv *out) {
    pio_tv_macro *macro = pio_run_take(run, sizeof *macro);
    if (!macro) return false;
    *macro = (pio_tv_macro){node, run->scope, node->kind == PIO_NODE_CALL_BLOCK};
    pio_run_keep_scope(run->scope);
    *out = (pio_tv){.kind = PIO_TV_MACRO, .u.macro = macro};
    return true;
}

static pio_run_flow run_simple(pio_template_run *run, const pio_template_node *node) {
    pio_tv value, macro;
    switch (node->kind) {
    case PIO_NODE_TEXT:
        return flow_of(pio_run_print(run, &node->value));
    case PIO_NODE_PRINT:
        return flow_of(pio_run_evaluate(run, node->a, &value) && pio_run_print(run, &value));
    case PIO_NODE_SET:
        return flow_of(pio_run_evaluate(run, node->b, &value) && pio_run_assign(run, node->a, &value));
    case PIO_NODE_MACRO:
        return flow_of(make_macro(run, node, &value) && pio_run_set(run, node->name, &value));
    case PIO_NODE_CALL_BLOCK:
        return flow_of(make_macro(run, node, &macro) && pio_run_call_node(run, node->b, &macro, &value) &&
                       pio_run_print(run, &value));
    case PIO_NODE_BREAK:
        return PIO_FLOW_BREAK;
    case PIO_NODE_CONTINUE:
        return PIO_FLOW_CONTINUE;
    default:
        return flow_of(pio_run_fail(run, PIO_INTERNAL, "a node of kind %d is no statement", node->kind));
    }
}

static pio_run_flow run_statement(pio_template_run *run, const pio_template_node *node) {
    switch (node->kind) {
    case PIO_NODE_IF:
        return run_if(run, node);
    case PIO_NODE_FOR:
        return pio_run_for(run, node);
    case PIO_NODE_SET_BLOCK:
    case PIO_NODE_FILTER_BLOCK:
        return run_block(run, node);
    case PIO_NODE_WITH:
        return run_with(run, node);
    case PIO_NODE_SCOPE:
        return scoped_body(run, node, NULL);
    default:
        return run_simple(run, node);
    }
}

pio_run_flow pio_run_statements(pio_template_run *run, const pio_template_node *first) {
    if (!pio_run_deeper(run)) return PIO_FLOW_FAILED;
    pio_run_flow flow = PIO_FLOW_ON;
    for (const pio_template_node *node = first; node && flow == PIO_FLOW_ON; node = node->next) {
        run->line = node->line;
        flow = pio_run_step(run, 1) ? run_statement(run, node) : PIO_FLOW_FAILED;
        if (run->status) flow = PIO_FLOW_FAILED;
    }
    run->depth--;
    return flow;
}
