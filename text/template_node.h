/* The tree that a template is compiled to. */
#ifndef PIO_TEXT_TEMPLATE_NODE_H
#define PIO_TEXT_TEMPLATE_NODE_H

#include "text/template_arena.h"
#include "text/template_value.h"

/* A name of the template; the same text is the same pointer. */
typedef struct pio_template_word {
    struct pio_template_word *next;
    const char *bytes;
    uint32_t n;
    /* while template_scope.c works: the scopes around that mention it, and the innermost of them */
    int32_t n_frames;
    const void *frame;
} pio_template_word;

typedef enum pio_template_node_kind {
    /* expressions */
    PIO_NODE_CONST,     /* value */
    PIO_NODE_NAME,      /* name */
    PIO_NODE_LIST,      /* items */
    PIO_NODE_TUPLE,     /* items */
    PIO_NODE_DICT,      /* items: key, value, key, value, ... */
    PIO_NODE_ATTRIBUTE, /* a.name */
    PIO_NODE_ITEM,      /* a[b] */
    PIO_NODE_SLICE,     /* a[b:c:d], any of the latter NULL */
    PIO_NODE_CALL,      /* a(arguments) */
    PIO_NODE_FILTER,    /* a|name(arguments); row; a NULL: the text of a block */
    PIO_NODE_TEST,      /* a is name(arguments); row */
    PIO_NODE_NOT,       /* a */
    PIO_NODE_NEGATE,    /* a */
    PIO_NODE_PLUS,      /* a */
    PIO_NODE_AND,       /* a, b */
    PIO_NODE_OR,        /* a, b */
    PIO_NODE_BINARY,    /* a op b */
    PIO_NODE_CONCAT,    /* items */
    PIO_NODE_COMPARE,   /* a, then items of kind OPERAND: op, a */
    PIO_NODE_OPERAND,
    PIO_NODE_CHOICE,      /* a if b else c; c may be NULL */
    PIO_NODE_POSITIONAL,  /* in arguments: a */
    PIO_NODE_KEYWORD,     /* in arguments: name=a */
    PIO_NODE_STAR,        /* in arguments: *a */
    PIO_NODE_DOUBLE_STAR, /* in arguments: **a */
    PIO_NODE_FIELD,       /* target: name.field, a namespace's attribute; a is the NAME, name the field */
    /* statements */
    PIO_NODE_TEXT,       /* value */
    PIO_NODE_PRINT,      /* a */
    PIO_NODE_IF,         /* a: condition, items: body, b: statements else; flag: b is another IF */
    PIO_NODE_FOR,        /* a: target, b: iterable, c: condition or NULL, items: body, d: body else; flag: recursive */
    PIO_NODE_SET,        /* a: target, b: value */
    PIO_NODE_SET_BLOCK,  /* a: target, b: filters or NULL, items: body */
    PIO_NODE_MACRO,      /* name, a: parameters, items: body; flags */
    PIO_NODE_CALL_BLOCK, /* b: call, a: parameters, items: body; flags */
    PIO_NODE_FILTER_BLOCK, /* b: filters, items: body */
    PIO_NODE_WITH,         /* a: chain of SET, items: body */
    PIO_NODE_SCOPE,        /* items: body in a scope of its own: generation, block */
    PIO_NODE_BREAK,
    PIO_NODE_CONTINUE,
    PIO_NODE_PARAMETER /* name, a: default or NULL */
} pio_template_node_kind;

typedef enum pio_template_operator {
    PIO_OPERATOR_ADD,
    PIO_OPERATOR_SUB,
    PIO_OPERATOR_MUL,
    PIO_OPERATOR_DIV,
    PIO_OPERATOR_FLOORDIV,
    PIO_OPERATOR_MOD,
    PIO_OPERATOR_POW,
    PIO_OPERATOR_EQ,
    PIO_OPERATOR_NE,
    PIO_OPERATOR_LT,
    PIO_OPERATOR_LE,
    PIO_OPERATOR_GT,
    PIO_OPERATOR_GE,
    PIO_OPERATOR_IN,
    PIO_OPERATOR_NOT_IN
} pio_template_operator;

/* What a macro's body speaks of; it accepts what it speaks of. */
enum { PIO_MACRO_CALLER = 1, PIO_MACRO_VARARGS = 2, PIO_MACRO_KWARGS = 4 };

typedef struct pio_template_node pio_template_node;

struct pio_template_node {
    uint8_t kind; /* pio_template_node_kind */
    uint8_t op;   /* pio_template_operator */
    bool flag;
    uint8_t macro_flags;
    int32_t line;
    const pio_template_word *name;
    pio_tv value;
    pio_template_node *a, *b, *c, *d;
    pio_template_node *items;            /* linked by next */
    pio_template_node *arguments;        /* linked by next */
    const pio_template_word **undefined; /* names that are unset when the scope of this statement begins, not the
                                          * variables of the same name; ends with NULL; may be NULL */
    const void *row;                     /* of a filter or test; NULL: there is none of that name */
    pio_template_node *next;
};

#endif
