/* What the files of the compiler share. */
#ifndef PIO_TEXT_TEMPLATE_COMPILE_H
#define PIO_TEXT_TEMPLATE_COMPILE_H

#include "text/template.h"
#include "text/template_lex.h"
#include "text/template_node.h"

struct pio_template {
    pio_template_arena arena; /* everything below */
    const char *name;
    pio_template_node *body;             /* linked by next */
    const pio_template_word **undefined; /* as a node's, for the outermost scope; may be NULL */
    const pio_template_word *loop, *caller, *varargs, *kwargs;
};

enum { PIO_TEMPLATE_NAME_BUCKETS = 256 };

typedef struct pio_template_parser {
    pio_template *result;
    pio_template_lexer lexer;
    pio_template_token now, after; /* the token to be read, and the one behind it */
    pio_status status;
    pio_error *error;
    int32_t depth;
    int32_t n_loops;     /* open for loops within the innermost macro */
    uint8_t macro_flags; /* what the innermost macro or call block speaks of so far */
    bool conditional;    /* within an if: unknown filters and tests are errors only when they are reached */
    pio_template_word *names[PIO_TEMPLATE_NAME_BUCKETS];
} pio_template_parser;

/* Every function below that gives a node gives NULL after an error, which is in parser->status and parser->error. */

pio_template_node *pio_template_parse_expression(pio_template_parser *p, bool with_choice);

/* One expression, or a tuple without parentheses. `stop` (may be NULL) is a name that ends it. */
pio_template_node *pio_template_parse_tuple(pio_template_parser *p, bool with_choice, const char *stop);

/* A target of an assignment: a name, name.field if `fields`, a tuple of them up to the name `stop` (may be NULL). */
pio_template_node *pio_template_parse_target(pio_template_parser *p, bool fields, const char *stop);

/* Filters behind `node` (NULL: those of a block, the first without its sign if `begun`). */
pio_template_node *pio_template_parse_filters(pio_template_parser *p, pio_template_node *node, bool begun);

/* The body up to the end of the template or a tag of that name; end_tags (of the form " endif else ") NULL: up to the
 * end. The tag's name is p->now then. */
pio_template_node *pio_template_parse_body(pio_template_parser *p, const char *end_tags);

/* Finds for each scope of the result the names that are unset at its begin (node->undefined). */
void pio_template_find_unset(pio_template_parser *p);

/* ---- the parser's tools (template_parse_tools.c) ---- */

/* Reads the next token into p->now. */
bool pio_template_advance(pio_template_parser *p);
bool pio_template_is_word(const pio_template_token *token, const char *word);

/* If p->now is this, passes it. */
bool pio_template_skip(pio_template_parser *p, pio_template_token_kind kind);
bool pio_template_skip_word(pio_template_parser *p, const char *word);

/* Passes a token of this kind or fails, "... where `what` is due". */
bool pio_template_expect(pio_template_parser *p, pio_template_token_kind kind, const char *what);

/* Returns NULL, with the sentence "template 'x', line 3: ...". */
void *pio_template_mistake(pio_template_parser *p, pio_status status, int32_t line, const char *format, ...)
    PIO_PRINTF(4, 5);

void *pio_template_take(pio_template_parser *p, size_t bytes);
pio_template_node *pio_template_node_new(pio_template_parser *p, pio_template_node_kind kind, int32_t line);
const pio_template_word *pio_template_intern(pio_template_parser *p, const char *text, size_t n);

/* Passes a name and gives it; NULL and an error if there is none. */
const pio_template_word *pio_template_read_name(pio_template_parser *p, const char *what);

/* One level deeper (PIO_LIMIT); each is followed by p->depth--. */
bool pio_template_deeper(pio_template_parser *p);

#endif
