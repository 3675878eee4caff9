#include "apps/cli/lines.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/cli/cli.h"

enum { READ_BYTES = 1 << 16 };

void cli_lines_free(cli_lines *lines) {
    free(lines->bytes);
    *lines = (cli_lines){0};
}

void cli_lines_forget(cli_lines *lines) {
    lines->at = lines->n = 0;
    lines->skips = false;
}

/* Waits for input. Ctrl-C is let through only while waiting, so that none falls between the question and the wait. */
static bool wait_for_input(void) {
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    sigset_t interrupt, before;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    while (!cli_interrupted() && ppoll(&input, 1, NULL, &before) < 0 && errno == EINTR) continue;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return !cli_interrupted();
}

/* Room behind what is there. False: there is no memory for it. */
static bool make_room(cli_lines *l) {
    if (l->at) memmove(l->bytes, l->bytes + l->at, l->n - l->at);
    l->n -= l->at;
    l->at = 0;
    if (l->capacity - l->n >= READ_BYTES) return true;
    char *grown = realloc(l->bytes, 2 * l->capacity + READ_BYTES);
    if (!grown) return false;
    l->bytes = grown;
    l->capacity = 2 * l->capacity + READ_BYTES;
    return true;
}

/* CLI_LINE: something came, or the end. */
static cli_line_kind read_more(cli_lines *l) {
    ssize_t n;
    if (!wait_for_input()) return CLI_LINE_INTERRUPTED;
    do {
        n = read(STDIN_FILENO, l->bytes + l->n, l->capacity - l->n);
    } while (n < 0 && errno == EINTR && !cli_interrupted());
    if (n < 0) return errno == EINTR ? CLI_LINE_INTERRUPTED : CLI_LINE_FAILED;
    l->n += (size_t)n;
    l->ended = n == 0;
    return CLI_LINE;
}

cli_line_kind cli_lines_next(cli_lines *l, const char **text, size_t *bytes) {
    size_t looked_at = 0;
    errno = ENOMEM;
    if (!l->bytes && !make_room(l)) return CLI_LINE_FAILED;
    for (;;) {
        const char *from = l->bytes + l->at, *end = NULL;
        const size_t n = l->n - l->at;
        if (n > looked_at) end = memchr(from + looked_at, '\n', n - looked_at);
        if (end || (l->ended && n)) {
            const bool skipped = l->skips;
            *text = from;
            *bytes = end ? (size_t)(end - from) : n;
            l->at += *bytes + (end != NULL);
            l->skips = false;
            return skipped || *bytes > CLI_LINE_LIMIT_BYTES ? CLI_LINE_TOO_LONG : CLI_LINE;
        }
        if (l->ended) return l->skips ? (l->skips = false, CLI_LINE_TOO_LONG) : CLI_LINE_END;
        l->skips |= n > CLI_LINE_LIMIT_BYTES;
        looked_at = n;
        if (l->skips) l->at = l->n = looked_at = 0;
        errno = ENOMEM;
        if (!make_room(l)) return CLI_LINE_FAILED;
        const cli_line_kind kind = read_more(l);
        if (kind != CLI_LINE) return kind;
    }
}
