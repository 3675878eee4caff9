/* Expressions, in the order of how weakly they bind. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text/template_compile.h"
#include "text/template_rows.h"

static pio_template_node *binary(pio_template_parser *p, pio_template_node_kind kind, int op, pio_template_node *a,
                                 pio_template_node *b, int32_t line) {
    pio_template_node *node = a && b ? pio_template_node_new(p, kind, line) : NULL;
    if (!node) return NULL;
    node->op = (uint8_t)op;
    node->a = a;
    node->b = b;
    return node;
}

/* ---- constants ---- */

static pio_template_node *constant(pio_template_parser *p, pio_tv value) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_CONST, p->now.line);
    if (!node) return NULL;
    node->value = value;
    return pio_template_advance(p) ? node : NULL;
}

static pio_template_node *number(pio_template_parser *p) {
    char text[400];
    size_t n = 0;
    for (size_t i = 0; i < p->now.n; i++) {
        if (p->now.text[i] == '_') continue;
        if (n + 1 == sizeof text)
            return pio_template_mistake(p, PIO_UNSUPPORTED, p->now.line, "a number of more than %zu digits", n);
        text[n++] = p->now.text[i];
    }
    text[n] = 0;
    if (p->now.kind == PIO_TOKEN_FLOAT) return constant(p, pio_tv_float(strtod(text, NULL)));
    char c = n > 1 ? text[1] | 0x20 : 0;
    int base = c == 'b' ? 2 : c == 'o' ? 8 : c == 'x' ? 16 : 10;
    errno = 0;
    int64_t value = strtoll(base == 10 ? text : text + 2, NULL, base);
    if (errno) return pio_template_mistake(p, PIO_UNSUPPORTED, p->now.line, "%s does not fit in 64 bits", text);
    return constant(p, pio_tv_int(value));
}

/* Strings that stand side by side are one. */
static pio_template_node *string(pio_template_parser *p) {
    pio_template_node *node = NULL;
    while (!p->status && p->now.kind == PIO_TOKEN_STRING) {
        size_t n = 0, before = node ? node->value.n : 0, room = p->now.n;
        for (size_t i = 0; i < p->now.n; i++) /* a backslash before such a character grows: see the unescaping */
            if ((unsigned char)p->now.text[i] >= 0xc0 && p->now.text[i - 1] == '\\') room += 10;
        char *text = pio_template_take(p, before + room);
        if (!text) return NULL;
        if (before) memcpy(text, node->value.u.bytes, before);
        p->status = pio_template_unescape(&p->lexer, &p->now, text + before, &n, p->error);
        if (p->status) return NULL;
        pio_tv value = pio_tv_str(text, before + n);
        if (!node)
            node = constant(p, value);
        else if (pio_template_advance(p))
            node->value = value;
    }
    return p->status ? NULL : node;
}

/* ---- brackets ---- */

static pio_template_node *list_or_dict(pio_template_parser *p, bool dict) {
    pio_template_node *node = pio_template_node_new(p, dict ? PIO_NODE_DICT : PIO_NODE_LIST, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    pio_template_token_kind end = dict ? PIO_TOKEN_RBRACE : PIO_TOKEN_RBRACKET;
    pio_template_node **tail = &node->items;
    while (p->now.kind != end) {
        if (node->items) {
            if (!pio_template_expect(p, PIO_TOKEN_COMMA, dict ? "',' or '}'" : "',' or ']'")) return NULL;
            if (p->now.kind == end) break;
        }
        for (int part = 0; part <= dict; part++) {
            if (part && !pio_template_expect(p, PIO_TOKEN_COLON, "':' between key and value")) return NULL;
            if (!(*tail = pio_template_parse_expression(p, true))) return NULL;
            tail = &(*tail)->next;
        }
    }
    return pio_template_advance(p) ? node : NULL;
}

static bool at_tuple_end(const pio_template_parser *p, const char *stop) {
    return p->now.kind == PIO_TOKEN_PRINT_END || p->now.kind == PIO_TOKEN_BLOCK_END ||
           p->now.kind == PIO_TOKEN_RPAREN || (stop && pio_template_is_word(&p->now, stop));
}

typedef struct tuple_style {
    bool target, fields, with_choice, empty_allowed;
    const char *stop;
} tuple_style;

static pio_template_node *target_item(pio_template_parser *p, bool fields);

static pio_template_node *tuple(pio_template_parser *p, tuple_style style) {
    int32_t line = p->now.line;
    bool is_tuple = false;
    pio_template_node *first = NULL, **tail = &first;
    for (;;) {
        if (first && !pio_template_expect(p, PIO_TOKEN_COMMA, "','")) return NULL;
        if (at_tuple_end(p, style.stop)) break;
        pio_template_node *item =
            style.target ? target_item(p, style.fields) : pio_template_parse_expression(p, style.with_choice);
        if (!item) return NULL;
        *tail = item;
        tail = &item->next;
        if (p->now.kind != PIO_TOKEN_COMMA) break;
        is_tuple = true;
    }
    if (!is_tuple && first) return first;
    if (!is_tuple && !style.empty_allowed) {
        char room[96];
        return pio_template_mistake(p, PIO_CORRUPT, p->now.line, "%s stands where an expression is due",
                                    pio_template_describe(&p->now, room));
    }
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_TUPLE, line);
    if (node) node->items = first;
    return node;
}

pio_template_node *pio_template_parse_tuple(pio_template_parser *p, bool with_choice, const char *stop) {
    return p->status ? NULL : tuple(p, (tuple_style){.with_choice = with_choice, .stop = stop});
}

static pio_template_node *parentheses(pio_template_parser *p, bool target) {
    if (!pio_template_advance(p) || !pio_template_deeper(p)) return NULL;
    pio_template_node *node = tuple(p, (tuple_style){.target = target, .with_choice = true, .empty_allowed = true});
    p->depth--;
    return node && pio_template_expect(p, PIO_TOKEN_RPAREN, "')'") ? node : NULL;
}

/* ---- names and targets ---- */

static pio_template_node *name(pio_template_parser *p) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_NAME, p->now.line);
    if (!node || !(node->name = pio_template_intern(p, p->now.text, p->now.n))) return NULL;
    if (node->name == p->result->caller) p->macro_flags |= PIO_MACRO_CALLER;
    if (node->name == p->result->varargs) p->macro_flags |= PIO_MACRO_VARARGS;
    if (node->name == p->result->kwargs) p->macro_flags |= PIO_MACRO_KWARGS;
    return pio_template_advance(p) ? node : NULL;
}

static bool is_constant_word(const pio_template_token *token) {
    static const char *const words[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < PIO_COUNT(words); i++)
        if (pio_template_is_word(token, words[i])) return true;
    return false;
}

static pio_template_node *target_item(pio_template_parser *p, bool fields) {
    if (p->status) return NULL;
    if (p->now.kind == PIO_TOKEN_LPAREN) return parentheses(p, true);
    if (p->now.kind != PIO_TOKEN_NAME || is_constant_word(&p->now)) {
        char room[96];
        return pio_template_mistake(p, PIO_CORRUPT, p->now.line, "nothing can be assigned to %s",
                                    pio_template_describe(&p->now, room));
    }
    uint8_t flags = p->macro_flags;
    pio_template_node *node = name(p);
    p->macro_flags = flags;
    if (!node || !fields || p->now.kind != PIO_TOKEN_DOT) return node;
    pio_template_node *field = pio_template_node_new(p, PIO_NODE_FIELD, p->now.line);
    if (!field || !pio_template_advance(p)) return NULL;
    field->a = node;
    return (field->name = pio_template_read_name(p, "the name of an attribute")) ? field : NULL;
}

pio_template_node *pio_template_parse_target(pio_template_parser *p, bool fields, const char *stop) {
    return p->status ? NULL : tuple(p, (tuple_style){.target = true, .fields = fields, .stop = stop});
}

static pio_template_node *primary(pio_template_parser *p) {
    if (p->status) return NULL;
    switch (p->now.kind) {
    case PIO_TOKEN_NAME:
        if (!is_constant_word(&p->now)) return name(p);
        return constant(p,
                        (p->now.text[0] | 0x20) == 'n' ? pio_tv_none() : pio_tv_bool((p->now.text[0] | 0x20) == 't'));
    case PIO_TOKEN_STRING:
        return string(p);
    case PIO_TOKEN_INTEGER:
    case PIO_TOKEN_FLOAT:
        return number(p);
    case PIO_TOKEN_LPAREN:
        return parentheses(p, false);
    case PIO_TOKEN_LBRACKET:
        return list_or_dict(p, false);
    case PIO_TOKEN_LBRACE:
        return list_or_dict(p, true);
    default: {
        char room[96];
        return pio_template_mistake(p, PIO_CORRUPT, p->now.line, "%s stands where an expression is due",
                                    pio_template_describe(&p->now, room));
    }
    }
}

/* ---- what follows a primary: attributes, items, calls, filters, tests ---- */

static pio_template_node *argument(pio_template_parser *p, int *last_kind) {
    int32_t line = p->now.line;
    pio_template_node_kind kind = PIO_NODE_POSITIONAL;
    const pio_template_word *keyword = NULL;
    if (p->now.kind == PIO_TOKEN_MUL || p->now.kind == PIO_TOKEN_POW) {
        kind = p->now.kind == PIO_TOKEN_MUL ? PIO_NODE_STAR : PIO_NODE_DOUBLE_STAR;
        pio_template_advance(p);
    } else if (p->now.kind == PIO_TOKEN_NAME && p->after.kind == PIO_TOKEN_ASSIGN) {
        kind = PIO_NODE_KEYWORD;
        keyword = pio_template_read_name(p, "a name");
        pio_template_advance(p);
    }
    if (*last_kind == PIO_NODE_DOUBLE_STAR || (kind == PIO_NODE_POSITIONAL && *last_kind != PIO_NODE_POSITIONAL) ||
        (kind == PIO_NODE_STAR && *last_kind == PIO_NODE_STAR))
        return pio_template_mistake(p, PIO_CORRUPT, line, "arguments in an order that a call does not allow");
    *last_kind = kind == PIO_NODE_KEYWORD && *last_kind == PIO_NODE_STAR ? PIO_NODE_STAR : (int)kind;
    pio_template_node *value = pio_template_parse_expression(p, true);
    pio_template_node *node = value ? pio_template_node_new(p, kind, line) : NULL;
    if (!node) return NULL;
    node->a = value;
    node->name = keyword;
    return node;
}

/* "(a, b=c, *d, **e)" into node->arguments. */
static bool arguments(pio_template_parser *p, pio_template_node *node) {
    if (!pio_template_expect(p, PIO_TOKEN_LPAREN, "'('") || !pio_template_deeper(p)) return false;
    pio_template_node **tail = &node->arguments;
    int last_kind = PIO_NODE_POSITIONAL;
    while (p->now.kind != PIO_TOKEN_RPAREN) {
        if (node->arguments) {
            if (!pio_template_expect(p, PIO_TOKEN_COMMA, "',' or ')'")) return false;
            if (p->now.kind == PIO_TOKEN_RPAREN) break;
        }
        if (!(*tail = argument(p, &last_kind))) return false;
        tail = &(*tail)->next;
    }
    p->depth--;
    return pio_template_advance(p);
}

static pio_template_node *call(pio_template_parser *p, pio_template_node *callee) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_CALL, p->now.line);
    if (!node) return NULL;
    node->a = callee;
    return arguments(p, node) ? node : NULL;
}

/* What stands in [ ]: an expression, or a slice of `of`. */
static pio_template_node *subscript(pio_template_parser *p, pio_template_node *of, int32_t line) {
    pio_template_node *parts[3] = {NULL};
    bool slice = false;
    for (int i = 0; i < 3; i++) {
        if (p->now.kind != PIO_TOKEN_COLON && p->now.kind != PIO_TOKEN_RBRACKET && p->now.kind != PIO_TOKEN_COMMA &&
            !(parts[i] = pio_template_parse_expression(p, true)))
            return NULL;
        if (i == 2 || p->now.kind != PIO_TOKEN_COLON) break;
        slice = true;
        if (!pio_template_advance(p)) return NULL;
    }
    if (!slice && !parts[0]) return pio_template_mistake(p, PIO_CORRUPT, line, "an empty subscript");
    pio_template_node *node = pio_template_node_new(p, slice ? PIO_NODE_SLICE : PIO_NODE_ITEM, line);
    if (!node) return NULL;
    node->a = of;
    node->b = parts[0];
    node->c = parts[1];
    node->d = parts[2];
    return node;
}

static pio_template_node *attribute(pio_template_parser *p, pio_template_node *of) {
    int32_t line = p->now.line;
    if (!pio_template_advance(p)) return NULL;
    if (p->now.kind == PIO_TOKEN_INTEGER) return binary(p, PIO_NODE_ITEM, 0, of, number(p), line);
    const pio_template_word *field = pio_template_read_name(p, "the name of an attribute");
    pio_template_node *node = field ? pio_template_node_new(p, PIO_NODE_ATTRIBUTE, line) : NULL;
    if (!node) return NULL;
    node->a = of;
    node->name = field;
    return node;
}

static pio_template_node *postfix(pio_template_parser *p, pio_template_node *node) {
    while (node) {
        int32_t line = p->now.line;
        if (p->now.kind == PIO_TOKEN_DOT) {
            node = attribute(p, node);
        } else if (p->now.kind == PIO_TOKEN_LBRACKET) {
            if (!pio_template_advance(p) || !pio_template_deeper(p)) return NULL;
            node = subscript(p, node, line);
            p->depth--;
            if (node && p->now.kind == PIO_TOKEN_COMMA)
                return pio_template_mistake(p, PIO_UNSUPPORTED, line, "subscripts of several parts are not served");
            if (!pio_template_expect(p, PIO_TOKEN_RBRACKET, "']'")) return NULL;
        } else if (p->now.kind == PIO_TOKEN_LPAREN) {
            node = call(p, node);
        } else {
            break;
        }
    }
    return node;
}

/* The name of a filter or test, which may have dots. */
static const pio_template_word *dotted_name(pio_template_parser *p, const char *what) {
    char text[128];
    size_t n = 0;
    for (;;) {
        if (p->now.kind == PIO_TOKEN_NAME && n + p->now.n + 2 < sizeof text) {
            memcpy(text + n, p->now.text, p->now.n);
            n += p->now.n;
        }
        if (!pio_template_expect(p, PIO_TOKEN_NAME, what)) return NULL;
        if (p->now.kind != PIO_TOKEN_DOT) return pio_template_intern(p, text, n);
        text[n++] = '.';
        pio_template_advance(p);
    }
}

static pio_template_node *unknown(pio_template_parser *p, pio_template_node *node, const char *what) {
    if (node->row || p->conditional) return node;
    return pio_template_mistake(p, PIO_UNSUPPORTED, node->line, "there is no %s named '%s'", what, node->name->bytes);
}

pio_template_node *pio_template_parse_filters(pio_template_parser *p, pio_template_node *node, bool begun) {
    while (!p->status && (begun || p->now.kind == PIO_TOKEN_PIPE)) {
        if (!begun) pio_template_advance(p);
        begun = false;
        pio_template_node *filter = pio_template_node_new(p, PIO_NODE_FILTER, p->now.line);
        if (!filter || !(filter->name = dotted_name(p, "the name of a filter"))) return NULL;
        filter->a = node;
        filter->row = pio_template_find_filter(filter->name->bytes, filter->name->n);
        if (p->now.kind == PIO_TOKEN_LPAREN && !arguments(p, filter)) return NULL;
        if (!(node = unknown(p, filter, "filter"))) return NULL;
    }
    return p->status ? NULL : node;
}

static bool begins_test_argument(const pio_template_parser *p) {
    switch (p->now.kind) {
    case PIO_TOKEN_NAME:
        return !pio_template_is_word(&p->now, "else") && !pio_template_is_word(&p->now, "or") &&
               !pio_template_is_word(&p->now, "and");
    case PIO_TOKEN_STRING:
    case PIO_TOKEN_INTEGER:
    case PIO_TOKEN_FLOAT:
    case PIO_TOKEN_LBRACKET:
    case PIO_TOKEN_LBRACE:
        return true;
    default:
        return false;
    }
}

/* Behind `is`. */
static pio_template_node *test(pio_template_parser *p, pio_template_node *subject) {
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_TEST, p->now.line);
    if (!node || !pio_template_advance(p)) return NULL;
    bool negated = pio_template_skip_word(p, "not");
    node->a = subject;
    if (!(node->name = dotted_name(p, "the name of a test"))) return NULL;
    node->row = pio_template_find_test(node->name->bytes, node->name->n);
    if (p->now.kind == PIO_TOKEN_LPAREN) {
        if (!arguments(p, node)) return NULL;
    } else if (begins_test_argument(p)) {
        if (pio_template_is_word(&p->now, "is"))
            return pio_template_mistake(p, PIO_CORRUPT, p->now.line, "tests with 'is' cannot be chained");
        pio_template_node *value = postfix(p, primary(p));
        pio_template_node *only = value ? pio_template_node_new(p, PIO_NODE_POSITIONAL, value->line) : NULL;
        if (!only) return NULL;
        only->a = value;
        node->arguments = only;
    }
    if (!unknown(p, node, "test")) return NULL;
    if (!negated) return node;
    pio_template_node *negation = pio_template_node_new(p, PIO_NODE_NOT, node->line);
    if (negation) negation->a = node;
    return negation;
}

static pio_template_node *filters_and_tests(pio_template_parser *p, pio_template_node *node) {
    while (node && !p->status) {
        if (p->now.kind == PIO_TOKEN_PIPE)
            node = pio_template_parse_filters(p, node, false);
        else if (pio_template_is_word(&p->now, "is"))
            node = test(p, node);
        else if (p->now.kind == PIO_TOKEN_LPAREN)
            node = call(p, node);
        else
            break;
    }
    return p->status ? NULL : node;
}

/* ---- operators, the strongest first ---- */

static pio_template_node *unary(pio_template_parser *p, bool with_filter) {
    pio_template_node *node;
    if (p->status) return NULL;
    if (p->now.kind == PIO_TOKEN_SUB || p->now.kind == PIO_TOKEN_ADD) {
        node = pio_template_node_new(p, p->now.kind == PIO_TOKEN_SUB ? PIO_NODE_NEGATE : PIO_NODE_PLUS, p->now.line);
        if (!node || !pio_template_advance(p) || !pio_template_deeper(p)) return NULL;
        node->a = unary(p, false);
        p->depth--;
        if (!node->a) return NULL;
    } else {
        node = primary(p);
    }
    node = postfix(p, node);
    return with_filter ? filters_and_tests(p, node) : node;
}

static const struct {
    uint8_t token, op, level;
} levels[] = {{PIO_TOKEN_POW, PIO_OPERATOR_POW, 0}, {PIO_TOKEN_MUL, PIO_OPERATOR_MUL, 1},
              {PIO_TOKEN_DIV, PIO_OPERATOR_DIV, 1}, {PIO_TOKEN_FLOORDIV, PIO_OPERATOR_FLOORDIV, 1},
              {PIO_TOKEN_MOD, PIO_OPERATOR_MOD, 1}, {PIO_TOKEN_ADD, PIO_OPERATOR_ADD, 3},
              {PIO_TOKEN_SUB, PIO_OPERATOR_SUB, 3}, {PIO_TOKEN_EQ, PIO_OPERATOR_EQ, 4},
              {PIO_TOKEN_NE, PIO_OPERATOR_NE, 4},   {PIO_TOKEN_LT, PIO_OPERATOR_LT, 4},
              {PIO_TOKEN_LE, PIO_OPERATOR_LE, 4},   {PIO_TOKEN_GT, PIO_OPERATOR_GT, 4},
              {PIO_TOKEN_GE, PIO_OPERATOR_GE, 4}};

static int find_operator(const pio_template_parser *p, int level) {
    for (size_t i = 0; i < PIO_COUNT(levels); i++)
        if (levels[i].level == level && levels[i].token == (int)p->now.kind) return levels[i].op;
    return -1;
}

static pio_template_node *concat(pio_template_parser *p);

/* Level 0: powers of unaries, 1: products of powers, 3: sums of concatenations. */
static pio_template_node *operators(pio_template_parser *p, int level) {
    pio_template_node *left = level == 0 ? unary(p, true) : level == 1 ? operators(p, 0) : concat(p);
    int op;
    while (left && (op = find_operator(p, level)) >= 0) {
        int32_t line = p->now.line;
        if (!pio_template_advance(p)) return NULL;
        pio_template_node *right = level == 0 ? unary(p, true) : level == 1 ? operators(p, 0) : concat(p);
        left = binary(p, PIO_NODE_BINARY, op, left, right, line);
    }
    return left;
}

static pio_template_node *concat(pio_template_parser *p) {
    pio_template_node *first = operators(p, 1);
    if (!first || p->now.kind != PIO_TOKEN_TILDE) return first;
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_CONCAT, p->now.line);
    if (!node) return NULL;
    node->items = first;
    pio_template_node **tail = &first->next;
    while (pio_template_skip(p, PIO_TOKEN_TILDE)) {
        if (!(*tail = operators(p, 1))) return NULL;
        tail = &(*tail)->next;
    }
    return p->status ? NULL : node;
}

static pio_template_node *compare(pio_template_parser *p) {
    pio_template_node *first = operators(p, 3), *node = NULL, **tail = NULL;
    while (first && !p->status) {
        int32_t line = p->now.line;
        int op = find_operator(p, 4);
        if (op < 0 && pio_template_is_word(&p->now, "in")) {
            op = PIO_OPERATOR_IN;
        } else if (op < 0 && pio_template_is_word(&p->now, "not") && pio_template_is_word(&p->after, "in")) {
            op = PIO_OPERATOR_NOT_IN;
            pio_template_advance(p);
        }
        if (op < 0) return node ? node : first;
        if (!pio_template_advance(p)) return NULL;
        pio_template_node *operand = binary(p, PIO_NODE_OPERAND, op, operators(p, 3), first, line);
        if (!operand) return NULL;
        operand->b = NULL;
        if (!node) {
            if (!(node = pio_template_node_new(p, PIO_NODE_COMPARE, line))) return NULL;
            node->a = first;
            tail = &node->items;
        }
        *tail = operand;
        tail = &operand->next;
    }
    return NULL;
}

static pio_template_node *not_expression(pio_template_parser *p) {
    if (!pio_template_is_word(&p->now, "not")) return compare(p);
    pio_template_node *node = pio_template_node_new(p, PIO_NODE_NOT, p->now.line);
    if (!node || !pio_template_advance(p) || !pio_template_deeper(p)) return NULL;
    node->a = not_expression(p);
    p->depth--;
    return node->a ? node : NULL;
}

/* `or` of `and`s of `not`s. */
static pio_template_node *logic(pio_template_parser *p, bool is_or) {
    pio_template_node *left = is_or ? logic(p, false) : not_expression(p);
    while (left && pio_template_is_word(&p->now, is_or ? "or" : "and")) {
        int32_t line = p->now.line;
        if (!pio_template_advance(p)) return NULL;
        pio_template_node *right = is_or ? logic(p, false) : not_expression(p);
        left = binary(p, is_or ? PIO_NODE_OR : PIO_NODE_AND, 0, left, right, line);
    }
    return left;
}

static pio_template_node *choice(pio_template_parser *p) {
    pio_template_node *value = logic(p, true);
    while (value && pio_template_is_word(&p->now, "if")) {
        int32_t line = p->now.line;
        if (!pio_template_advance(p)) return NULL;
        pio_template_node *node = binary(p, PIO_NODE_CHOICE, 0, value, logic(p, true), line);
        if (!node) return NULL;
        if (pio_template_skip_word(p, "else")) {
            if (!pio_template_deeper(p)) return NULL;
            node->c = choice(p);
            p->depth--;
            if (!node->c) return NULL;
        }
        value = node;
    }
    return p->status ? NULL : value;
}

pio_template_node *pio_template_parse_expression(pio_template_parser *p, bool with_choice) {
    if (!pio_template_deeper(p)) return NULL;
    pio_template_node *node = with_choice ? choice(p) : logic(p, true);
    p->depth--;
    return node;
}
