/* Statements, and what compiles a template. */
#include <stdlib.h>
#include <string.h>

#include "text/template_compile.h"

/* ": %}", then the statements up to an end tag. */
static bool body(pio_template_parser *p, pio_template_node *node, const char *end_tags) {
    pio_template_skip(p, PIO_TOKEN_COLON);
    if (!pio_template_expect(p, PIO_TOKEN_BLOCK_END, "'%}'")) return false;
    node->items = pio_template_parse_body(p, end_tags);
    return !p->status;
}

/* A body whose end tag is passed. */
static bool closed_body(pio_template_parser *p, pio_template_node *node, const char *end_tag) {
    return body(p, node, end_tag) && pio_template_advance(p);
}

/* A body that is a function of its own: macros and call blocks. */
static bool function_body(pio_template_parser *p, pio_template_node *node, const char *end_tag) {
    uint8_t outer_flags = p->macro_flags;
    int32_t outer_loops = p->n_loops;
    bool conditional = p->conditional;
    p->macro_flags = 0;
    p->n_loops = 0;
    p->conditional = false;
    bool ok = closed_body(p, node, end_tag);
    node->macro_flags = p->macro_flags;
    p->macro_flags |= outer_flags;
    p->n_loops = outer_loops;
    p->conditional = conditional;
    return ok;
}

static pio_template_node *if_statement(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_IF, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    bool conditional = p->conditional;
    p->conditional = true;
    for (pio_template_node *branch = node; branch;) {
        if (!(branch->a = pio_template_parse_tuple(p, false, NULL))) return NULL;
        if (!body(p, branch, " elif else endif ")) return NULL;
        pio_template_token tag = p->now;
        if (!pio_template_advance(p)) return NULL;
        if (pio_template_is_word(&tag, "endif")) break;
        pio_template_node *other = pio_template_node_new(p, PIO_NODE_IF, tag.line);
        if (!(branch->b = other)) return NULL;
        if (pio_template_is_word(&tag, "elif")) {
            branch->flag = true;
            branch = other;
            continue;
        }
        if (!closed_body(p, other, " endif ")) return NULL;
        branch->b = other->items; /* `else`: just its statements */
        branch = NULL;
    }
    p->conditional = conditional;
    return node;
}

static bool binds_loop(const pio_template_parser *p, const pio_template_node *target) {
    if (target->kind == PIO_NODE_NAME) return target->name == p->result->loop;
    for (const pio_template_node *item = target->items; item; item = item->next)
        if (binds_loop(p, item)) return true;
    return false;
}

static pio_template_node *for_statement(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_FOR, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    if (!(node->a = pio_template_parse_target(p, false, "in"))) return NULL;
    if (binds_loop(p, node->a))
        return pio_template_mistake(p, PIO_CORRUPT, node->line, "a loop cannot assign to its own variable 'loop'");
    if (!pio_template_skip_word(p, "in"))
        return pio_template_mistake(p, PIO_CORRUPT, p->now.line, "'in' is missing behind the target of 'for'");
    if (!(node->b = pio_template_parse_tuple(p, false, "recursive"))) return NULL;
    if (pio_template_skip_word(p, "if") && !(node->c = pio_template_parse_expression(p, true))) return NULL;
    node->flag = pio_template_skip_word(p, "recursive");
    bool conditional = p->conditional;
    p->conditional = false;
    p->n_loops++;
    if (!body(p, node, " endfor else ")) return NULL;
    p->n_loops--;
    bool otherwise = pio_template_is_word(&p->now, "else");
    if (!pio_template_advance(p)) return NULL;
    if (otherwise) {
        if (!(node->d = pio_template_node_new(p, PIO_NODE_SCOPE, p->now.line))) return NULL;
        if (!closed_body(p, node->d, " endfor ")) return NULL;
    }
    p->conditional = conditional;
    return node;
}

static pio_template_node *set_statement(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_SET, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    if (!(node->a = pio_template_parse_target(p, true, NULL))) return NULL;
    if (pio_template_skip(p, PIO_TOKEN_ASSIGN)) {
        node->b = pio_template_parse_tuple(p, true, NULL);
        return node->b ? node : NULL;
    }
    node->kind = PIO_NODE_SET_BLOCK;
    node->b = pio_template_parse_filters(p, NULL, false);
    return closed_body(p, node, " endset ") ? node : NULL;
}

static bool parameters(pio_template_parser *p, pio_template_node *node) {
    pio_template_node **tail = &node->a;
    bool defaults = false;
    if (!pio_template_expect(p, PIO_TOKEN_LPAREN, "'('")) return false;
    while (p->now.kind != PIO_TOKEN_RPAREN) {
        if (node->a && !pio_template_expect(p, PIO_TOKEN_COMMA, "',' or ')'")) return false;
        pio_template_node *parameter = pio_template_node_new(p, PIO_NODE_PARAMETER, p->now.line);
        if (!parameter || !(parameter->name = pio_template_read_name(p, "the name of a parameter"))) return false;
        if (pio_template_skip(p, PIO_TOKEN_ASSIGN)) {
            defaults = true;
            if (!(parameter->a = pio_template_parse_expression(p, true))) return false;
        } else if (defaults) {
            pio_template_mistake(p, PIO_CORRUPT, parameter->line,
                                 "parameter '%s' has no default, but one before it has", parameter->name->bytes);
            return false;
        }
        *tail = parameter;
        tail = &parameter->next;
    }
    return pio_template_advance(p);
}

static pio_template_node *macro_statement(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_MACRO, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    if (!(node->name = pio_template_read_name(p, "the name of a macro"))) return NULL;
    return parameters(p, node) && function_body(p, node, " endmacro ") ? node : NULL;
}

static pio_template_node *call_statement(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_CALL_BLOCK, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    if (p->now.kind == PIO_TOKEN_LPAREN && !parameters(p, node)) return NULL;
    if (!(node->b = pio_template_parse_expression(p, true))) return NULL;
    if (node->b->kind != PIO_NODE_CALL)
        return pio_template_mistake(p, PIO_CORRUPT, node->line, "'call' is followed by something that is no call");
    return function_body(p, node, " endcall ") ? node : NULL;
}

static pio_template_node *filter_statement(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_FILTER_BLOCK, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    if (!(node->b = pio_template_parse_filters(p, NULL, true))) return NULL;
    return closed_body(p, node, " endfilter ") ? node : NULL;
}

static pio_template_node *with_statement(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_WITH, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    pio_template_node **tail = &node->a;
    while (!p->status && p->now.kind != PIO_TOKEN_BLOCK_END) {
        if (node->a && !pio_template_expect(p, PIO_TOKEN_COMMA, "','")) return NULL;
        pio_template_node *set = pio_template_node_new(p, PIO_NODE_SET, p->now.line);
        if (!set || !(set->a = pio_template_parse_target(p, false, NULL))) return NULL;
        if (!pio_template_expect(p, PIO_TOKEN_ASSIGN, "'='")) return NULL;
        if (!(set->b = pio_template_parse_expression(p, true))) return NULL;
        *tail = set;
        tail = &set->next;
    }
    return closed_body(p, node, " endwith ") ? node : NULL;
}

static pio_template_node *generation_statement(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_SCOPE, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    return function_body(p, node, " endgeneration ") ? node : NULL;
}

static pio_template_node *jump_statement(pio_template_parser *p) {
    bool stop = pio_template_is_word(&p->now, "break");
    pio_template_node *node = pio_template_node_new(p, stop ? PIO_NODE_BREAK : PIO_NODE_CONTINUE, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    if (p->n_loops) return node;
    return pio_template_mistake(p, PIO_CORRUPT, node->line, "'%s' stands outside of a loop",
                                stop ? "break" : "continue");
}

/* {% print a, b %}: a chain of prints. */
static pio_template_node *print_statement(pio_template_parser *p) {
    pio_template_node *first = NULL, **tail = &first;
    int32_t line = p->now.line;
    if (!pio_template_advance(p)) return NULL;
    while (!p->status && p->now.kind != PIO_TOKEN_BLOCK_END) {
        if (first && !pio_template_expect(p, PIO_TOKEN_COMMA, "','")) return NULL;
        pio_template_node *node = pio_template_node_new(p, PIO_NODE_PRINT, line);
        if (!node || !(node->a = pio_template_parse_expression(p, true))) return NULL;
        *tail = node;
        tail = &node->next;
    }
    return first ? first : pio_template_node_new(p, PIO_NODE_TEXT, line);
}

static pio_template_node *refused_statement(pio_template_parser *p) {
    return pio_template_mistake(p, PIO_UNSUPPORTED, p->now.line,
                                "'%.*s' is not served in chat templates: everything has to be in one file",
                                (int)p->now.n, p->now.text);
}

static const struct {
    const char *name;
    pio_template_node *(*parse)(pio_template_parser *);
} statements[] = {{"if", if_statement},
                  {"for", for_statement},
                  {"set", set_statement},
                  {"macro", macro_statement},
                  {"call", call_statement},
                  {"filter", filter_statement},
                  {"with", with_statement},
                  {"generation", generation_statement},
                  {"break", jump_statement},
                  {"continue", jump_statement},
                  {"print", print_statement},
                  {"include", refused_statement},
                  {"import", refused_statement},
                  {"from", refused_statement},
                  {"extends", refused_statement},
                  {"block", refused_statement},
                  {"autoescape", refused_statement}};

static pio_template_node *statement(pio_template_parser *p, const char *end_tags) {
    char room[96];
    if (p->now.kind != PIO_TOKEN_NAME)
        return pio_template_mistake(p, PIO_CORRUPT, p->now.line, "%s stands where a statement is due",
                                    pio_template_describe(&p->now, room));
    for (size_t i = 0; i < PIO_COUNT(statements); i++) {
        if (!pio_template_is_word(&p->now, statements[i].name)) continue;
        if (!pio_template_deeper(p)) return NULL;
        pio_template_node *node = statements[i].parse(p);
        p->depth--;
        return node && pio_template_expect(p, PIO_TOKEN_BLOCK_END, "'%}'") ? node : NULL;
    }
    if (!end_tags)
        return pio_template_mistake(p, PIO_CORRUPT, p->now.line, "%s begins no statement and ends none",
                                    pio_template_describe(&p->now, room));
    return pio_template_mistake(p, PIO_CORRUPT, p->now.line, "%s begins no statement, and what is open ends with:%s",
                                pio_template_describe(&p->now, room), end_tags);
}

static bool is_end_tag(const pio_template_parser *p, const char *end_tags) {
    if (p->now.kind != PIO_TOKEN_NAME || p->now.n > 30) return false;
    char padded[34] = " ";
    memcpy(padded + 1, p->now.text, p->now.n);
    memcpy(padded + 1 + p->now.n, " ", 2);
    return strstr(end_tags, padded) != NULL;
}

static pio_template_node *text(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_TEXT, p->now.line);
    char *copy = pio_template_take(p, p->now.n);
    if (!node || !copy) return NULL;
    memcpy(copy, p->now.text, p->now.n);
    node->value = pio_tv_str(copy, p->now.n);
    return pio_template_advance(p) ? node : NULL;
}

pio_template_node *pio_template_parse_body(pio_template_parser *p, const char *end_tags) {
    pio_template_node *first = NULL, **tail = &first;
    int32_t line = p->now.line;
    while (!p->status && p->now.kind != PIO_TOKEN_END) {
        pio_template_node *node = NULL;
        if (p->now.kind == PIO_TOKEN_DATA) {
            node = text(p);
        } else if (p->now.kind == PIO_TOKEN_PRINT_BEGIN) {
            node = pio_template_node_new(p, PIO_NODE_PRINT, p->now.line);
            if (!node || !pio_template_advance(p)) return NULL;
            if (!(node->a = pio_template_parse_tuple(p, true, NULL))) return NULL;
            pio_template_expect(p, PIO_TOKEN_PRINT_END, "'}}'");
        } else {
            if (!pio_template_advance(p)) return NULL; /* {% */
            if (end_tags && is_end_tag(p, end_tags)) return first;
            node = statement(p, end_tags);
        }
        if (p->status) return NULL;
        *tail = node;
        while (*tail) tail = &(*tail)->next;
    }
    if (!p->status && end_tags)
        return pio_template_mistake(p, PIO_CORRUPT, line, "what begins here is not ended by any of:%s", end_tags);
    return first;
}

/* ---- the whole ---- */

enum { LARGEST_SOURCE_BYTES = 16 << 20, LARGEST_TREE_BYTES = 512 << 20 };

static pio_status compile(pio_template *t, char *source, size_t n, pio_error *error) {
    n = pio_template_normal_lines(source, n);
    if (n && source[n - 1] == '\n') n--;
    size_t valid = pio_utf8_valid_prefix(source, n);
    if (valid != n) return pio_fail(error, PIO_CORRUPT, "template '%s': byte %zu is not UTF-8", t->name, valid);
    pio_template_parser *p = calloc(1, sizeof *p);
    if (!p) return pio_fail_memory(error, "compiling a template", sizeof *p);
    p->result = t;
    p->error = error;
    t->loop = pio_template_intern(p, "loop", 4);
    t->caller = pio_template_intern(p, "caller", 6);
    t->varargs = pio_template_intern(p, "varargs", 7);
    t->kwargs = pio_template_intern(p, "kwargs", 6);
    pio_template_lexer_begin(&p->lexer, t->name, source, n);
    if (!p->status) p->status = pio_template_lexer_next(&p->lexer, &p->after, error);
    pio_template_advance(p);
    t->body = pio_template_parse_body(p, NULL);
    pio_template_find_unset(p);
    pio_status status = p->status;
    free(p);
    return status;
}

pio_status pio_template_compile(const char *source, size_t n_bytes, const char *name, pio_template **out,
                                pio_error *error) {
    *out = NULL;
    if (n_bytes > LARGEST_SOURCE_BYTES)
        return pio_fail(error, PIO_LIMIT, "template '%s' has %zu bytes, more than %d", name, n_bytes,
                        LARGEST_SOURCE_BYTES);
    pio_template *t = calloc(1, sizeof *t);
    char *copy = malloc(n_bytes + 1);
    pio_status status = PIO_OK;
    char *own_name = NULL;
    if (!t || !copy) {
        status = pio_fail_memory(error, "a template", n_bytes);
        goto fail;
    }
    t->arena.limit_bytes = LARGEST_TREE_BYTES;
    if (!(own_name = pio_template_arena_take(&t->arena, strlen(name) + 1))) {
        status = pio_fail_memory(error, "a template", strlen(name));
        goto fail;
    }
    t->name = strcpy(own_name, name);
    if (n_bytes) memcpy(copy, source, n_bytes);
    status = compile(t, copy, n_bytes, error);
    if (status) goto fail;
    free(copy);
    *out = t;
    return PIO_OK;
fail:
    free(copy);
    pio_template_free(t);
    return status;
}

void pio_template_free(pio_template *compiled) {
    if (!compiled) return;
    pio_template_arena_free(&compiled->arena);
    free(compiled);
}

const char *pio_template_name(const pio_template *compiled) {
    return compiled->name;
}
