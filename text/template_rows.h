/* The tables of what templates can call: filters, tests, global functions, and methods of strings, dicts and lists. */
#ifndef PIO_TEXT_TEMPLATE_ROWS_H
#define PIO_TEXT_TEMPLATE_ROWS_H

#include "text/template_value.h"

typedef struct pio_template_run pio_template_run;

typedef struct pio_template_arguments {
    const pio_tv *items; /* with a row that has parameters: one each, MISSING where none was given */
    int32_t n;
    const pio_tv_pair *keywords; /* keys are STR; empty with a row that has parameters */
    int32_t n_keywords;
} pio_template_arguments;

enum { PIO_TEMPLATE_MOST_PARAMETERS = 8 };

/* False: failed, and the run says why. `self` is the filtered or tested value, or the method's object. */
typedef bool (*pio_template_callee)(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments,
                                    pio_tv *out);

struct pio_template_function {
    const char *name;
    const char *parameters; /* "default_value boolean": their names; NULL: the callee takes arguments as they come */
    int least;              /* how many of them must be given */
    pio_template_callee call;
    int detail; /* for callees that serve several rows */
};

const pio_template_function *pio_template_find_filter(const char *name, size_t n);
const pio_template_function *pio_template_find_test(const char *name, size_t n);
const pio_template_function *pio_template_find_global(const char *name, size_t n);
/* NULL: values of this kind have no such method. */
const pio_template_function *pio_template_find_method(pio_tv_kind kind, const char *name, size_t n);

/* Looks a name up in one table. */
const pio_template_function *pio_template_find_row(const pio_template_function *rows, size_t n_rows, const char *name,
                                                   size_t n);

/* The parts of the tables of filters and methods. */
extern const pio_template_function pio_template_text_filters[], pio_template_sequence_filters[],
    pio_template_number_filters[], pio_template_str_methods[];
extern const size_t pio_template_n_text_filters, pio_template_n_sequence_filters, pio_template_n_number_filters,
    pio_template_n_str_methods;

#endif
