/* Values of templates, with the meaning that they have in Python: what is true, equal, less, in; lengths and names of
 * types. Values live in the arena of one rendering and refer to each other freely; nothing but namespaces, loops,
 * iterators, cyclers and joiners changes after it was made. */
#ifndef PIO_TEXT_TEMPLATE_VALUE_H
#define PIO_TEXT_TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum pio_tv_kind {
    PIO_TV_MISSING, /* no value: an argument that was not given, a variable declared but not set */
    PIO_TV_UNDEFINED,
    PIO_TV_NONE,
    PIO_TV_BOOL,
    PIO_TV_INT,
    PIO_TV_FLOAT,
    PIO_TV_STR,
    PIO_TV_LIST,
    PIO_TV_TUPLE,
    PIO_TV_DICT,
    PIO_TV_RANGE,
    PIO_TV_VIEW, /* what dict.keys(), .values() and .items() give */
    PIO_TV_ITERATOR,
    PIO_TV_NAMESPACE,
    PIO_TV_MACRO,
    PIO_TV_METHOD, /* "text".strip, not yet called */
    PIO_TV_FUNCTION,
    PIO_TV_LOOP,
    PIO_TV_CYCLER,
    PIO_TV_JOINER,
    PIO_TV_KINDS
} pio_tv_kind;

/* Why a value is undefined; decides the sentence. */
typedef enum pio_tv_why { PIO_TV_NO_NAME, PIO_TV_NO_ATTRIBUTE, PIO_TV_NO_ELEMENT, PIO_TV_HINT } pio_tv_why;

typedef enum pio_tv_view { PIO_TV_KEYS, PIO_TV_VALUES, PIO_TV_ITEMS } pio_tv_view;

typedef struct pio_tv_list pio_tv_list;
typedef struct pio_tv_dict pio_tv_dict;
typedef struct pio_tv_range pio_tv_range;
typedef struct pio_tv_iterator pio_tv_iterator;
typedef struct pio_tv_macro pio_tv_macro;
typedef struct pio_tv_method pio_tv_method;
typedef struct pio_template_function pio_template_function;
typedef struct pio_template_loop pio_template_loop;
typedef struct pio_tv_cycler pio_tv_cycler;

typedef struct pio_tv {
    uint8_t kind;    /* pio_tv_kind */
    uint8_t variant; /* STR: 1 if markup (escape, safe); UNDEFINED: pio_tv_why; VIEW: pio_tv_view */
    uint8_t owner;   /* UNDEFINED: the kind that lacks the attribute */
    uint8_t tag;     /* TUPLE: 1 if its two fields are named grouper and list */
    uint32_t n;      /* STR, UNDEFINED: bytes */
    union {
        const char *bytes; /* STR (well-formed UTF-8); UNDEFINED: name, element or sentence */
        bool truth;
        int64_t integer;
        double real;
        pio_tv_list *list; /* LIST, TUPLE */
        pio_tv_dict *dict; /* DICT, VIEW, NAMESPACE */
        pio_tv_range *range;
        pio_tv_iterator *iterator;
        pio_tv_macro *macro;
        pio_tv_method *method;
        const pio_template_function *function;
        pio_template_loop *loop;
        pio_tv_cycler *cycler; /* CYCLER, JOINER */
    } u;
} pio_tv;

struct pio_tv_list {
    pio_tv *items;
    int32_t n, capacity;
};

typedef struct pio_tv_pair {
    pio_tv key, value;
} pio_tv_pair;

struct pio_tv_dict {
    pio_tv_pair *pairs; /* in the order of insertion */
    int32_t n, capacity;
    int32_t *index; /* open addressing, position + 1; NULL while the dict is small or was not searched */
    int32_t n_index, n_indexed;
};

struct pio_tv_range {
    int64_t start, stop, step, n;
};

struct pio_tv_cycler {
    pio_tv *items; /* JOINER: one, the separator */
    int32_t n, at; /* JOINER: at is 1 after the first use */
};

static inline pio_tv pio_tv_none(void) {
    return (pio_tv){.kind = PIO_TV_NONE};
}
static inline pio_tv pio_tv_bool(bool truth) {
    return (pio_tv){.kind = PIO_TV_BOOL, .u.truth = truth};
}
static inline pio_tv pio_tv_int(int64_t integer) {
    return (pio_tv){.kind = PIO_TV_INT, .u.integer = integer};
}
static inline pio_tv pio_tv_float(double real) {
    return (pio_tv){.kind = PIO_TV_FLOAT, .u.real = real};
}
static inline pio_tv pio_tv_str(const char *bytes, size_t n) {
    return (pio_tv){.kind = PIO_TV_STR, .n = (uint32_t)n, .u.bytes = bytes};
}
static inline pio_tv pio_tv_undefined(pio_tv_why why, pio_tv_kind owner, const char *bytes, size_t n) {
    return (pio_tv){
        .kind = PIO_TV_UNDEFINED, .variant = (uint8_t)why, .owner = (uint8_t)owner, .n = (uint32_t)n, .u.bytes = bytes};
}
static inline bool pio_tv_is_number(const pio_tv *v) {
    return v->kind == PIO_TV_BOOL || v->kind == PIO_TV_INT || v->kind == PIO_TV_FLOAT;
}
/* bool or int, as an int. */
static inline bool pio_tv_is_whole(const pio_tv *v) {
    return v->kind == PIO_TV_BOOL || v->kind == PIO_TV_INT;
}
static inline int64_t pio_tv_whole(const pio_tv *v) {
    return v->kind == PIO_TV_BOOL ? v->u.truth : v->u.integer;
}
static inline double pio_tv_real(const pio_tv *v) {
    return v->kind == PIO_TV_FLOAT ? v->u.real : (double)pio_tv_whole(v);
}
static inline bool pio_tv_is_text(const pio_tv *v, const char *text, size_t n) {
    return v->kind == PIO_TV_STR && v->n == n && !memcmp(v->u.bytes, text, n);
}

/* "str", "dict", ...: the name of the type. */
const char *pio_tv_type_name(const pio_tv *v);

/* The number of characters in well-formed text, and the position in bytes of character `at` (n_bytes if beyond). */
int64_t pio_tv_count_chars(const char *bytes, size_t n_bytes);
size_t pio_tv_char_offset(const char *bytes, size_t n_bytes, int64_t at);

#endif
