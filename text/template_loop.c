/* for, and the variable `loop`. */
#include <string.h>

#include "text/template_run.h"

struct pio_template_loop {
    const pio_template_node *node;
    pio_template_scope *scope; /* around the statement */
    pio_tv source;
    pio_run_iteration iteration;
    bool filtered; /* node->c is still to be asked */
    bool ended;
    bool has_after; /* `after` was read ahead */
    bool has_changed;
    pio_tv after, current, before, changed;
    int64_t index0, length; /* length -1: not yet known */
    int64_t depth0;
};

/* The next item that passes the loop's condition. */
static int next_item(pio_template_run *run, pio_template_loop *loop, pio_tv *out) {
    if (loop->ended) return 0;
    for (;;) {
        int more = pio_run_next(run, &loop->iteration, out);
        if (more <= 0) loop->ended = true;
        if (more <= 0 || !loop->filtered) return more;
        pio_template_scope *before = run->scope;
        pio_tv condition;
        bool ok = pio_run_begin_scope(run, loop->scope, NULL) && pio_run_assign(run, loop->node->a, out) &&
                  pio_run_evaluate(run, loop->node->c, &condition);
        run->scope = before;
        if (!ok) return -1;
        if (pio_run_truth(&condition)) return 1;
    }
}

/* The item after the current one into loop->after, if there is one. */
static bool peek(pio_template_run *run, pio_template_loop *loop) {
    if (loop->has_after) return true;
    int more = next_item(run, loop, &loop->after);
    loop->has_after = more > 0;
    return more >= 0;
}

static bool find_length(pio_template_run *run, pio_template_loop *loop) {
    if (loop->length >= 0) return true;
    if (!loop->node->c && pio_run_has_length(&loop->source)) return pio_run_length(run, &loop->source, &loop->length);
    pio_tv rest, item;
    int more;
    if (!pio_run_new_list(run, PIO_TV_LIST, 0, &rest)) return false;
    while ((more = next_item(run, loop, &item)) > 0)
        if (!pio_run_append(run, rest.u.list, &item)) return false;
    if (more < 0) return false;
    loop->length = rest.u.list->n + loop->index0 + 1 + loop->has_after;
    loop->filtered = false;
    loop->ended = false;
    return pio_run_iterate(run, &rest, &loop->iteration);
}

static bool hint(const char *text, pio_tv *out) {
    *out = pio_tv_undefined(PIO_TV_HINT, PIO_TV_NONE, text, strlen(text));
    return true;
}

enum { INDEX, INDEX0, REVINDEX, REVINDEX0, FIRST, LAST, LENGTH, DEPTH, DEPTH0, PREVITEM, NEXTITEM };

bool pio_run_loop_attribute(pio_template_run *run, pio_template_loop *loop, const char *name, size_t n, pio_tv *out,
                            bool *found) {
    static const char *const names[] = {"index",  "index0", "revindex", "revindex0", "first",   "last",
                                        "length", "depth",  "depth0",   "previtem",  "nextitem"};
    size_t i = 0;
    while (i < PIO_COUNT(names) && (strlen(names[i]) != n || memcmp(names[i], name, n))) i++;
    *found = i < PIO_COUNT(names);
    switch ((int)i) {
    case INDEX:
    case INDEX0:
        *out = pio_tv_int(loop->index0 + (i == INDEX));
        return true;
    case REVINDEX:
    case REVINDEX0:
        if (!find_length(run, loop)) return false;
        *out = pio_tv_int(loop->length - loop->index0 - (i == REVINDEX0));
        return true;
    case LENGTH:
        if (!find_length(run, loop)) return false;
        *out = pio_tv_int(loop->length);
        return true;
    case FIRST:
        *out = pio_tv_bool(loop->index0 == 0);
        return true;
    case LAST:
        if (!peek(run, loop)) return false;
        *out = pio_tv_bool(!loop->has_after);
        return true;
    case DEPTH:
    case DEPTH0:
        *out = pio_tv_int(loop->depth0 + (i == DEPTH));
        return true;
    case PREVITEM:
        if (loop->index0 == 0) return hint("there is no previous item", out);
        *out = loop->before;
        return true;
    case NEXTITEM:
        if (!peek(run, loop)) return false;
        if (!loop->has_after) return hint("there is no next item", out);
        *out = loop->after;
        return true;
    default: {
        const pio_template_function *row = pio_template_find_method(PIO_TV_LOOP, name, n);
        if (!(*found = row != NULL)) return true;
        pio_tv_method *method = pio_run_take(run, sizeof *method);
        if (!method) return false;
        *method = (pio_tv_method){{.kind = PIO_TV_LOOP, .u.loop = loop}, row};
        *out = (pio_tv){.kind = PIO_TV_METHOD, .u.method = method};
        return true;
    }
    }
}

bool pio_run_loop_method(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, bool cycle,
                         pio_tv *out) {
    pio_template_loop *loop = self->u.loop;
    if (cycle) {
        if (!arguments->n) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "loop.cycle has nothing to choose from");
        *out = arguments->items[loop->index0 % arguments->n];
        return true;
    }
    pio_tv now;
    bool equal = false;
    if (!pio_run_new_list(run, PIO_TV_TUPLE, 0, &now)) return false;
    for (int32_t i = 0; i < arguments->n; i++)
        if (!pio_run_append(run, now.u.list, &arguments->items[i])) return false;
    if (loop->has_changed && !pio_run_equal(run, &loop->changed, &now, &equal)) return false;
    loop->has_changed = true;
    loop->changed = now;
    *out = pio_tv_bool(!equal);
    return true;
}

/* ---- running ---- */

static int advance(pio_template_run *run, pio_template_loop *loop) {
    pio_tv item;
    int more = 1;
    if (loop->has_after)
        item = loop->after;
    else
        more = next_item(run, loop, &item);
    if (more <= 0) return more;
    loop->has_after = false;
    loop->index0++;
    loop->before = loop->current;
    loop->current = item;
    return 1;
}

static pio_run_flow run_rounds(pio_template_run *run, pio_template_loop *loop) {
    const pio_template_node *node = loop->node;
    const pio_tv loop_value = {.kind = PIO_TV_LOOP, .u.loop = loop};
    pio_template_scope *scope = NULL;
    int more;
    while ((more = advance(run, loop)) > 0) {
        if (scope && !scope->kept && !node->undefined) {
            scope->n = 0;
            run->scope = scope;
        } else if (!(scope = pio_run_begin_scope(run, loop->scope, node->undefined))) {
            return PIO_FLOW_FAILED;
        }
        if (!pio_run_set(run, run->compiled->loop, &loop_value) || !pio_run_assign(run, node->a, &loop->current))
            return PIO_FLOW_FAILED;
        pio_run_flow flow = pio_run_statements(run, node->items);
        run->scope = loop->scope;
        if (flow == PIO_FLOW_FAILED) return flow;
        if (flow == PIO_FLOW_BREAK) break;
    }
    if (more < 0) return PIO_FLOW_FAILED;
    if (loop->index0 < 0 && node->d) {
        if (!pio_run_begin_scope(run, loop->scope, node->d->undefined)) return PIO_FLOW_FAILED;
        pio_run_flow flow = pio_run_statements(run, node->d->items);
        run->scope = loop->scope;
        return flow;
    }
    return PIO_FLOW_ON;
}

static pio_run_flow run_loop(pio_template_run *run, const pio_template_node *node, const pio_tv *over,
                             pio_template_scope *scope, int64_t depth0) {
    pio_template_loop *loop = pio_run_take(run, sizeof *loop);
    if (!loop) return PIO_FLOW_FAILED;
    *loop = (pio_template_loop){.node = node,
                                .scope = scope,
                                .source = *over,
                                .filtered = node->c != NULL,
                                .index0 = -1,
                                .length = -1,
                                .depth0 = depth0};
    if (!pio_run_iterate(run, over, &loop->iteration)) return PIO_FLOW_FAILED;
    return run_rounds(run, loop);
}

pio_run_flow pio_run_for(pio_template_run *run, const pio_template_node *node) {
    pio_tv over;
    if (!pio_run_evaluate(run, node->b, &over)) return PIO_FLOW_FAILED;
    if (node->flag) pio_run_keep_scope(run->scope);
    return run_loop(run, node, &over, run->scope, 0);
}

bool pio_run_recurse(pio_template_run *run, pio_template_loop *loop, const pio_tv *over, pio_tv *out) {
    if (!loop->node->flag)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'loop' is called, but the loop is not marked 'recursive'");
    if (!pio_run_deeper(run)) return false;
    size_t begin = run->out->n_bytes;
    pio_template_scope *before = run->scope;
    run->scope = loop->scope;
    bool ok = run_loop(run, loop->node, over, loop->scope, loop->depth0 + 1) != PIO_FLOW_FAILED &&
              pio_run_copy_text(run, run->out->bytes + begin, run->out->n_bytes - begin, out);
    run->scope = before;
    run->out->n_bytes = begin;
    run->depth--;
    return ok;
}
