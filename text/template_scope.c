/* Which names are unset when a scope begins. The reference decides when it compiles whether a name is the scope's own:
 * one whose first mention there is an assignment that is always reached, and that no outer scope mentions, is unset up
 * to that assignment, even if a variable or function of that name was given; mentions inside macros, loops and blocks
 * of the scope come later in this sense. All other names are looked up where they are used, which needs no preparation.
 */
#include "text/template_compile.h"

typedef struct mention {
    struct mention *next;
    pio_template_word *name;
    const void *before; /* the name's frame before this one */
} mention;

typedef struct frame {
    mention *mentions;
    int32_t n_unset, unset_capacity;
    const pio_template_word **unset;
} frame;

typedef struct finder {
    pio_template_parser *parser;
    frame *frame;
    int32_t depth;
} finder;

enum { MOST_DEPTH = 1500 }; /* what lies deeper cannot be rendered */

/* The scope mentions the name. */
static bool mention_name(finder *f, const pio_template_word *name) {
    mention *m = pio_template_take(f->parser, sizeof *m);
    if (!m) return false;
    m->name = (pio_template_word *)name; /* all of them were made by the parser, and are its own until it is done */
    m->before = m->name->frame;
    m->next = f->frame->mentions;
    f->frame->mentions = m;
    m->name->frame = f->frame;
    m->name->n_frames++;
    return true;
}

static void load(finder *f, const pio_template_word *name) {
    if (!name->n_frames) mention_name(f, name);
}

static void declare(finder *f, const pio_template_word *name) {
    if (name->frame != f->frame) mention_name(f, name);
}

static void store(finder *f, const pio_template_word *name, bool conditional) {
    if (name->frame == f->frame) return;
    bool own = !name->n_frames && !conditional;
    frame *to = f->frame;
    if (!mention_name(f, name) || !own) return;
    if (to->n_unset + 1 >= to->unset_capacity) { /* NULL ends the list */
        int32_t capacity = PIO_MAX(4, 2 * to->unset_capacity);
        const pio_template_word **grown = pio_template_take(f->parser, (size_t)capacity * sizeof *grown);
        if (!grown) return;
        for (int32_t i = 0; i < to->n_unset; i++) grown[i] = to->unset[i];
        to->unset = grown;
        to->unset_capacity = capacity;
    }
    to->unset[to->n_unset++] = name;
}

static void visit_expression(finder *f, const pio_template_node *node) {
    if (!node || f->depth >= MOST_DEPTH) return;
    f->depth++;
    if (node->kind == PIO_NODE_NAME) load(f, node->name);
    visit_expression(f, node->a);
    visit_expression(f, node->b);
    visit_expression(f, node->c);
    visit_expression(f, node->d);
    for (const pio_template_node *item = node->items; item; item = item->next) visit_expression(f, item);
    for (const pio_template_node *item = node->arguments; item; item = item->next) visit_expression(f, item);
    f->depth--;
}

static void visit_target(finder *f, const pio_template_node *target, bool parameter, bool conditional) {
    if (target->kind == PIO_NODE_NAME && parameter) declare(f, target->name);
    if (target->kind == PIO_NODE_NAME && !parameter) store(f, target->name, conditional);
    if (target->kind == PIO_NODE_FIELD) load(f, target->a->name);
    for (const pio_template_node *item = target->items; item; item = item->next)
        visit_target(f, item, parameter, conditional);
}

/* What the statements mention in their own scope. */
static void visit_statements(finder *f, const pio_template_node *first, bool conditional) {
    if (f->depth >= MOST_DEPTH) return;
    f->depth++;
    for (const pio_template_node *node = first; node; node = node->next) {
        switch (node->kind) {
        case PIO_NODE_PRINT:
            visit_expression(f, node->a);
            break;
        case PIO_NODE_IF:
            visit_expression(f, node->a);
            visit_statements(f, node->items, true);
            visit_statements(f, node->b, true);
            break;
        case PIO_NODE_SET:
            visit_expression(f, node->b);
            visit_target(f, node->a, false, conditional);
            break;
        case PIO_NODE_SET_BLOCK:
            visit_target(f, node->a, false, conditional);
            break;
        case PIO_NODE_MACRO:
            store(f, node->name, conditional);
            break;
        case PIO_NODE_FOR:
        case PIO_NODE_CALL_BLOCK:
        case PIO_NODE_FILTER_BLOCK:
            visit_expression(f, node->b);
            break;
        case PIO_NODE_WITH:
            for (const pio_template_node *set = node->a; set; set = set->next) visit_expression(f, set->b);
            break;
        default:
            break;
        }
    }
    f->depth--;
}

static void find_in_scopes(finder *f, pio_template_node *first);

/* The scope that `node` opens around the statements `body`. */
static void find_in_scope(finder *f, const pio_template_node *node, pio_template_node *body,
                          const pio_template_word ***unset) {
    frame own = {0}, *outer = f->frame;
    f->frame = &own;
    if (node && node->kind == PIO_NODE_FOR && body == node->items) {
        declare(f, f->parser->result->loop);
        visit_target(f, node->a, true, false);
    }
    if (node && (node->kind == PIO_NODE_MACRO || node->kind == PIO_NODE_CALL_BLOCK)) {
        for (const pio_template_node *p = node->a; p; p = p->next) declare(f, p->name);
        for (const pio_template_node *p = node->a; p; p = p->next) visit_expression(f, p->a);
    }
    if (node && node->kind == PIO_NODE_WITH)
        for (const pio_template_node *set = node->a; set; set = set->next) visit_target(f, set->a, true, false);
    visit_statements(f, body, false);
    if (node && node->kind == PIO_NODE_FILTER_BLOCK) visit_expression(f, node->b);
    *unset = own.n_unset ? own.unset : NULL;
    find_in_scopes(f, body);
    for (mention *m = own.mentions; m; m = m->next) {
        m->name->frame = m->before;
        m->name->n_frames--;
    }
    f->frame = outer;
}

/* The scopes that these statements open. */
static void find_in_scopes(finder *f, pio_template_node *first) {
    if (f->depth >= MOST_DEPTH) return;
    f->depth++;
    for (pio_template_node *node = first; node && !f->parser->status; node = node->next) {
        switch (node->kind) {
        case PIO_NODE_IF:
            find_in_scopes(f, node->items);
            find_in_scopes(f, node->b);
            break;
        case PIO_NODE_FOR:
            find_in_scope(f, node, node->items, &node->undefined);
            if (node->d) find_in_scope(f, NULL, node->d->items, &node->d->undefined);
            break;
        case PIO_NODE_MACRO:
        case PIO_NODE_CALL_BLOCK:
        case PIO_NODE_SET_BLOCK:
        case PIO_NODE_FILTER_BLOCK:
        case PIO_NODE_WITH:
        case PIO_NODE_SCOPE:
            find_in_scope(f, node, node->items, &node->undefined);
            break;
        default:
            break;
        }
    }
    f->depth--;
}

void pio_template_find_unset(pio_template_parser *p) {
    finder f = {.parser = p};
    if (!p->status) find_in_scope(&f, NULL, p->result->body, &p->result->undefined);
}
