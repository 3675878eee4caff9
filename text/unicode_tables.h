/* The generated tables; text/unicode.h is what other files use. */
#ifndef PIO_TEXT_UNICODE_TABLES_H
#define PIO_TEXT_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

/* A named set: the categories of `categories` (bit i: category i), but for the code points in its ranges. */
typedef struct pio_unicode_set {
    const char *name; /* lower case without '_'; names with '!' belong to pre-tokenizer steps, not to patterns */
    uint32_t categories;
    uint32_t at, n_bytes; /* in pio_unicode_set_ranges */
} pio_unicode_set;

enum { PIO_UNICODE_CATEGORIES = 30 };

extern const char pio_unicode_category_names[PIO_UNICODE_CATEGORIES][3];
extern const pio_unicode_set pio_unicode_sets[];
extern const size_t pio_unicode_n_sets;

extern const unsigned char pio_unicode_category_runs[], pio_unicode_set_ranges[], pio_unicode_combining[],
    pio_unicode_canonical[], pio_unicode_compatible[], pio_unicode_compositions[], pio_unicode_lower[],
    pio_unicode_fold[];
extern const size_t pio_unicode_category_runs_bytes, pio_unicode_set_ranges_bytes, pio_unicode_combining_bytes,
    pio_unicode_canonical_bytes, pio_unicode_compatible_bytes, pio_unicode_compositions_bytes, pio_unicode_lower_bytes,
    pio_unicode_fold_bytes;

#endif
