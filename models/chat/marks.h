/* Finding marks in text of which more may come. */
#ifndef PIO_MODELS_CHAT_MARKS_H
#define PIO_MODELS_CHAT_MARKS_H

#include <stddef.h>

typedef enum pio_match { PIO_MATCH_NO, PIO_MATCH_PART, PIO_MATCH_WHOLE } pio_match;

/* Whether `mark` begins at `at`; a blank in it stands for up to 8 blanks. PART: the text ends within it. *after is
 * where it ends. NULL is never there. */
pio_match pio_mark_match(const char *at, const char *end, const char *mark, const char **after);

/* The end of the white space at `at`, at most PIO_MOST_SPACE bytes on. */
enum { PIO_MOST_SPACE = 512 };
const char *pio_mark_skip_space(const char *at, const char *end);

#endif
