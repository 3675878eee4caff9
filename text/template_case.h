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
int pio_template_title(uint32_t code, uint32_t to[PIO_TEMPLATE_MOST_CASED]);

/* Python's str.isupper (or islower): at least one letter with case, and none of the other case. */
bool pio_template_is_cased(const char *bytes, size_t n, bool upper);

/* The general category as two letters, "Lu". */
const char *pio_template_category(uint32_t code);

bool pio_template_is_alpha(uint32_t code);
bool pio_template_is_decimal(uint32_t code);
/* Letters, numbers and the underscore: \w of regular expressions. */
bool pio_template_is_word_char(uint32_t code);
/* Characters whose class is known without a search: all of them are printable, but for those below 0xa1 and 0xad. */
static inline bool pio_template_is_common(uint32_t code) {
    return code < 0x250 || (code >= 0x400 && code < 0x530) || (code >= 0x3041 && code < 0x3097) ||
           (code >= 0x3099 && code < 0x3100) || (code >= 0x4e00 && code < 0x9fa6) || (code >= 0xac00 && code < 0xd7a4);
}

/* False for what repr writes as an escape. */
bool pio_template_is_printable(uint32_t code);

#endif
