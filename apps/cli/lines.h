/* Lines of standard input, waited for so that Ctrl-C is never missed: it counts while waiting, and only there. */
#ifndef PIO_APPS_CLI_LINES_H
#define PIO_APPS_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>

enum { CLI_LINE_LIMIT_BYTES = 64 << 20 };

typedef enum cli_line_kind {
    CLI_LINE,
    CLI_LINE_TOO_LONG, /* it was passed over */
    CLI_LINE_INTERRUPTED,
    CLI_LINE_END,
    CLI_LINE_FAILED, /* errno says why */
} cli_line_kind;

typedef struct cli_lines {
    char *bytes;
    size_t at, n, capacity; /* bytes[at .. n) were read and not yet handed out */
    bool ended, skips;      /* skips: the rest of the line is passed over */
} cli_lines;                /* begin with {0}; free with cli_lines_free */

/* The next line without its newline, valid until the next call. */
cli_line_kind cli_lines_next(cli_lines *lines, const char **text, size_t *bytes);

/* Throws away what came of a line that has not ended. */
void cli_lines_forget(cli_lines *lines);

void cli_lines_free(cli_lines *lines);

#endif
