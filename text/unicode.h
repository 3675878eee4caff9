/* Sets of code points, the classes that regular expressions name, and case folding. The classes are those of Unicode
 * 16.0 as the reference tokenizer's regular expressions know them (text/unicode_tables.c). */
#ifndef PIO_TEXT_UNICODE_H
#define PIO_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIO_UNICODE_LAST = 0x10ffff };

typedef struct pio_char_range {
    uint32_t first, last; /* both included */
} pio_char_range;

/* Begin with {0}. Functions that return bool fail for want of memory only, and then leave the set as it was. Between
 * calls the ranges are sorted and neither overlap nor touch. */
typedef struct pio_char_set {
    pio_char_range *ranges;
    int32_t n_ranges, ranges_capacity;
} pio_char_set;

void pio_char_set_free(pio_char_set *set);
bool pio_char_set_add(pio_char_set *set, uint32_t first, uint32_t last);
bool pio_char_set_add_set(pio_char_set *set, const pio_char_set *other);
bool pio_char_set_intersect(pio_char_set *set, const pio_char_set *other);
bool pio_char_set_invert(pio_char_set *set);
bool pio_char_set_contains(const pio_char_set *set, uint32_t code);
bool pio_char_set_equal(const pio_char_set *a, const pio_char_set *b);

/* Adds all that differs from members in case alone (simple folding). */
bool pio_char_set_add_folded(pio_char_set *set);

typedef enum pio_property { PIO_PROPERTY_ADDED, PIO_PROPERTY_UNKNOWN, PIO_PROPERTY_NO_MEMORY } pio_property;

/* Adds the class that \p{name} or, with `posix`, [:name:] stands for; case, '_', '-' and spaces in the name do not
 * count. Names that begin with '!' are the sets of pre-tokenizer steps (see tools/make_unicode_tables.py). */
pio_property pio_char_set_add_property(pio_char_set *set, const char *name, size_t n_name, bool posix);

/* Reads one number of the generated tables: 7 bits a byte, low ones first, the high bit set on all but the last. */
static inline uint32_t pio_unicode_varint(const unsigned char **at) {
    uint32_t value = 0, shift = 0;
    while (**at & 0x80) {
        value |= (uint32_t)(*(*at)++ & 0x7f) << shift;
        shift += 7;
    }
    return value | (uint32_t) * (*at)++ << shift;
}

#endif
