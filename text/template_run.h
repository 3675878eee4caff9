/* One rendering: its memory, its limits, its variables, and the operations on values that can fail. Functions that
 * return bool return false after a failure, which is in run->status and the caller's pio_error. */
#ifndef PIO_TEXT_TEMPLATE_RUN_H
#define PIO_TEXT_TEMPLATE_RUN_H

#include "text/template.h"
#include "text/template_compile.h"
#include "text/template_rows.h"

typedef struct pio_template_variable {
    const pio_template_word *name;
    pio_tv value; /* MISSING: declared here, but not set */
} pio_template_variable;

typedef struct pio_template_scope {
    struct pio_template_scope *outer;
    pio_template_variable *variables;
    int32_t n, capacity;
    bool kept; /* a macro refers to it, so that it outlives its statement */
} pio_template_scope;

struct pio_template_run {
    const pio_template *compiled;
    pio_template_arena arena;
    pio_template_limits limits;
    uint64_t steps;
    int32_t depth;
    pio_text *out; /* what is captured for macros and blocks is behind what is printed, and cut off again */
    size_t out_begin;
    pio_tv_dict *input;
    pio_template_scope *scope;
    int32_t line;
    pio_status status;
    pio_error *error;
};

struct pio_tv_macro {
    const pio_template_node *node; /* MACRO or CALL_BLOCK */
    pio_template_scope *scope;     /* where it was defined */
    bool is_caller;
};

struct pio_tv_method {
    pio_tv self;
    const pio_template_function *row;
};

/* ---- failing (template_run.c) ---- */

/* Always false; the sentence gets "template 'x', line 3: " before it. The first failure counts. */
bool pio_run_fail(pio_template_run *run, pio_status status, const char *format, ...) PIO_PRINTF(3, 4);

/* An undefined value was used: says which. */
bool pio_run_fail_undefined(pio_template_run *run, const pio_tv *value);

/* Counts n steps; false when the limit is reached. */
bool pio_run_step(pio_template_run *run, uint64_t n);

/* Counts the work on n bytes of text. */
bool pio_run_work(pio_template_run *run, size_t n_bytes);

/* One level of recursion more; each success is followed by run->depth--. */
bool pio_run_deeper(pio_template_run *run);

/* Zeroed memory; NULL after a failure. */
void *pio_run_take(pio_template_run *run, size_t bytes);

/* ---- making values (template_run.c) ---- */

bool pio_run_copy_text(pio_template_run *run, const char *bytes, size_t n, pio_tv *out);
bool pio_run_new_list(pio_template_run *run, pio_tv_kind kind, int32_t room, pio_tv *out);
bool pio_run_append(pio_template_run *run, pio_tv_list *list, const pio_tv *item);
bool pio_run_pair(pio_template_run *run, const pio_tv *a, const pio_tv *b, pio_tv *out); /* a tuple */
bool pio_run_new_dict(pio_template_run *run, pio_tv_kind kind, int32_t room, pio_tv *out);

/* Sets or replaces. Keys that cannot be hashed fail. */
bool pio_run_dict_set(pio_template_run *run, pio_tv_dict *dict, const pio_tv *key, const pio_tv *value);

/* *found NULL: not there. */
bool pio_run_dict_find(pio_template_run *run, pio_tv_dict *dict, const pio_tv *key, pio_tv **found);

/* A JSON value; strings stay where they are. */
bool pio_run_from_json(pio_template_run *run, json_t *json, pio_tv *out);

/* ---- growing text (template_run.c): a pio_text-like buffer in the run's memory ---- */

typedef struct pio_run_text {
    char *bytes;
    size_t n, capacity;
} pio_run_text;

bool pio_run_text_add(pio_template_run *run, pio_run_text *text, const char *bytes, size_t n);
bool pio_run_text_value(pio_template_run *run, const pio_run_text *text, pio_tv *out);

/* ---- meaning (template_compare.c) ---- */

bool pio_run_truth(const pio_tv *v);
bool pio_run_equal(pio_template_run *run, const pio_tv *a, const pio_tv *b, bool *equal);
/* op: LT, LE, GT, GE. */
bool pio_run_less(pio_template_run *run, pio_template_operator op, const pio_tv *a, const pio_tv *b, bool *holds);
bool pio_run_contains(pio_template_run *run, const pio_tv *container, const pio_tv *item, bool *contains);
/* Any operator of a comparison. */
bool pio_run_compare(pio_template_run *run, pio_template_operator op, const pio_tv *a, const pio_tv *b, bool *holds);
bool pio_run_length(pio_template_run *run, const pio_tv *v, int64_t *n);
bool pio_run_has_length(const pio_tv *v);

/* ---- iterating (template_iterate.c) ---- */

typedef struct pio_run_iteration {
    pio_tv source;
    int64_t at;
} pio_run_iteration;

struct pio_tv_iterator {
    /* 1: an item; 0: the end; -1: failed. */
    int (*next)(pio_template_run *run, pio_tv_iterator *iterator, pio_tv *out);
    pio_run_iteration source;
    const char *type_name;
    void *state;
    bool ended;
};

bool pio_run_is_iterable(const pio_tv *v);
bool pio_run_iterate(pio_template_run *run, const pio_tv *v, pio_run_iteration *iteration);
/* 1: an item; 0: the end; -1: failed. */
int pio_run_next(pio_template_run *run, pio_run_iteration *iteration, pio_tv *out);
/* All items as a new list. */
bool pio_run_to_list(pio_template_run *run, const pio_tv *v, pio_tv_kind kind, pio_tv *out);
/* An iterator over the items of v, by `next`. */
bool pio_run_new_iterator(pio_template_run *run, const pio_tv *v, const char *type_name,
                          int (*next)(pio_template_run *, pio_tv_iterator *, pio_tv *), void *state, pio_tv *out);
/* An iterator over v, which is not applied to anything else. */
bool pio_run_plain_iterator(pio_template_run *run, const pio_tv *v, const char *type_name, pio_tv *out);
pio_tv pio_run_range_item(const pio_tv_range *range, int64_t at);

/* ---- text (template_repr.c) ---- */

/* Python's str() and repr(), appended. */
bool pio_run_add_str(pio_template_run *run, pio_run_text *text, const pio_tv *v);
bool pio_run_add_repr(pio_template_run *run, pio_run_text *text, const pio_tv *v);
/* str() as a value; a string is itself. */
bool pio_run_str(pio_template_run *run, const pio_tv *v, pio_tv *out);
/* Prints to run->out. */
bool pio_run_print(pio_template_run *run, const pio_tv *v);
/* The shortest decimal text that gives the number back, as Python writes it. Returns the length. */
int pio_run_float_text(double real, char room[40]);
/* HTML's five signs as entities, appended. */
bool pio_run_add_escaped(pio_template_run *run, pio_run_text *text, const char *bytes, size_t n);

typedef struct pio_run_json {
    bool ascii, sort_keys;
    bool indented;
    pio_tv indent;            /* STR */
    pio_tv item_gap, key_gap; /* STR: ", " and ": " */
} pio_run_json;
bool pio_run_add_json(pio_template_run *run, pio_run_text *text, const pio_tv *v, const pio_run_json *style);

/* ---- operators (template_operators.c) ---- */

bool pio_run_binary(pio_template_run *run, pio_template_operator op, const pio_tv *a, const pio_tv *b, pio_tv *out);
bool pio_run_negate(pio_template_run *run, const pio_tv *a, bool plus, pio_tv *out);
/* A number as Python's int() makes it of v; false with *fits false and no failure: int() would raise an error. */
bool pio_run_parse_int(const char *bytes, size_t n, int base, int64_t *out);
bool pio_run_parse_float(const char *bytes, size_t n, double *out);

/* "format % values" and "format".format(...) (template_format.c). */
bool pio_run_percent(pio_template_run *run, const pio_tv *format, const pio_tv *values, pio_tv *out);
bool pio_run_format(pio_template_run *run, const pio_tv *format, const pio_template_arguments *arguments, pio_tv *out);

/* ---- looking things up (template_lookup.c) ---- */

/* a.name: the attribute first, then the item. Undefined when there is neither. */
bool pio_run_attribute(pio_template_run *run, const pio_tv *of, const char *name, size_t n, pio_tv *out);
/* a[key]: the item first, then the attribute. */
bool pio_run_item(pio_template_run *run, const pio_tv *of, const pio_tv *key, pio_tv *out);
/* Bounds NULL or NONE where none was written. */
bool pio_run_slice(pio_template_run *run, const pio_tv *of, const pio_tv bounds[3], pio_tv *out);
/* "a.b.0" from item to item, as filters' `attribute` arguments are. */
bool pio_run_path(pio_template_run *run, const pio_tv *of, const pio_tv *path, const pio_tv *otherwise, pio_tv *out);

/* ---- calling (template_call.c) ---- */

bool pio_run_call(pio_template_run *run, const pio_tv *callee, const pio_template_arguments *arguments, pio_tv *out);
/* Calls a row: puts the arguments in the order of its parameters. `what` is for errors: "filter", "test", ... */
bool pio_run_call_row(pio_template_run *run, const pio_template_function *row, const char *what, const pio_tv *self,
                      const pio_template_arguments *arguments, pio_tv *out);
bool pio_run_call_filter(pio_template_run *run, const pio_tv *name, const pio_tv *self,
                         const pio_template_arguments *arguments, pio_tv *out);
bool pio_run_call_test(pio_template_run *run, const pio_tv *name, const pio_tv *self,
                       const pio_template_arguments *arguments, bool *holds);

/* ---- evaluating (template_expression.c, template_eval.c, template_loop.c) ---- */

bool pio_run_evaluate(pio_template_run *run, const pio_template_node *node, pio_tv *out);
bool pio_run_call_node(pio_template_run *run, const pio_template_node *node, const pio_tv *caller, pio_tv *out);
/* A chain of filters of a block, on `text`. */
bool pio_run_filters(pio_template_run *run, const pio_template_node *node, const pio_tv *text, pio_tv *out);

typedef enum pio_run_flow { PIO_FLOW_ON, PIO_FLOW_BREAK, PIO_FLOW_CONTINUE, PIO_FLOW_FAILED } pio_run_flow;

pio_run_flow pio_run_statements(pio_template_run *run, const pio_template_node *first);
pio_run_flow pio_run_for(pio_template_run *run, const pio_template_node *node);
bool pio_run_assign(pio_template_run *run, const pio_template_node *target, const pio_tv *value);
/* What the statements print, as a string. */
pio_run_flow pio_run_capture(pio_template_run *run, const pio_template_node *first, pio_tv *out);
/* Calling `loop` in a recursive loop. */
bool pio_run_recurse(pio_template_run *run, pio_template_loop *loop, const pio_tv *over, pio_tv *out);
/* loop.index and the like; *found false: no such attribute. */
bool pio_run_loop_attribute(pio_template_run *run, pio_template_loop *loop, const char *name, size_t n, pio_tv *out,
                            bool *found);
bool pio_run_loop_method(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, bool cycle,
                         pio_tv *out);

/* Variables. A scope that begins is left by setting run->scope back. */
pio_template_scope *pio_run_begin_scope(pio_template_run *run, pio_template_scope *outer,
                                        const pio_template_word **undefined);
bool pio_run_set(pio_template_run *run, const pio_template_word *name, const pio_tv *value);
void pio_run_get(pio_template_run *run, const pio_template_word *name, pio_tv *out);
/* A macro refers to the scope from now on. */
void pio_run_keep_scope(pio_template_scope *scope);

#endif
