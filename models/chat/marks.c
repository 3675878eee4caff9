#include "models/chat/marks.h"

#include "models/chat/json_text.h"

enum { MOST_BLANKS = 8 };

pio_match pio_mark_match(const char *at, const char *end, const char *mark, const char **after) {
    if (!mark) return PIO_MATCH_NO;
    for (; *mark; mark++) {
        if (*mark == ' ') {
            for (int n = 0; n < MOST_BLANKS && at < end && (*at == ' ' || *at == '\t'); n++) at++;
            continue;
        }
        if (at == end) return PIO_MATCH_PART;
        if (*at != *mark) return PIO_MATCH_NO;
        at++;
    }
    *after = at;
    return PIO_MATCH_WHOLE;
}

const char *pio_mark_skip_space(const char *at, const char *end) {
    const char *most = end - at > PIO_MOST_SPACE ? at + PIO_MOST_SPACE : end;
    while (at < most && pio_json_blank(*at)) at++;
    return at;
}
