/* Upper and lower case, and the classes of characters that Python's string methods ask for. */
#ifndef PIO_TEXT_TEMPLATE_CASE_H
#define PIO_TEXT_TEMPLATE_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIO_TEMPLATE_MOST_CASED = 3 };

/* The characters that one becomes; their number, 1 to 3. */
int pio_template_lower(uint32_t code, uint32_t to[PIO_TEMPLATE_MOST_CASED]);
int pio_template_upper(uint32_t code, uint32_t to[PIO_TEMPLATE_MOST_CASED]);

/* Python's str.isupper (or islower): at least one letter with case, and none of the other case. */
bool pio_template_is_cased(const char *bytes, size_t n, bool upper);

/* The general category as two letters, "Lu". */
const char *pio_template_category(uint32_t code);

bool pio_template_is_alpha(uint32_t code);
bool pio_template_is_decimal(uint32_t code);
/* Letters, numbers and the underscore: \w of regular expressions. */
bool pio_template_is_word_char(uint32_t code);
/* False for what repr writes as an escape. */
bool pio_template_is_printable(uint32_t code);

#endif
