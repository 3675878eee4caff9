/* Filters on text. */
#include <stdio.h>
#include <string.h>

#include "text/template_case.h"
#include "text/template_text.h"

#define FILTER(name)                                                                                                   \
    static bool name(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, pio_tv *out)
#define ARGUMENT(i) (&arguments->items[i])

FILTER(f_upper) {
    pio_tv text;
    (void)arguments;
    return pio_run_str(run, self, &text) && pio_run_text_case(run, &text, PIO_CASE_UPPER, out);
}
FILTER(f_lower) {
    pio_tv text;
    (void)arguments;
    return pio_run_str(run, self, &text) && pio_run_text_case(run, &text, PIO_CASE_LOWER, out);
}
FILTER(f_capitalize) {
    pio_tv text;
    (void)arguments;
    return pio_run_str(run, self, &text) && pio_run_text_case(run, &text, PIO_CASE_CAPITALIZE, out);
}

/* Words begin behind white space and - ( { [ <; the signs of a gap count as a word too, which changes nothing. */
FILTER(f_title) {
    pio_tv text;
    pio_run_text result = {0};
    (void)arguments;
    if (!pio_run_str(run, self, &text)) return false;
    const char *at = text.u.bytes, *end = at + text.n;
    while (at < end) {
        const char *word = at;
        bool gap = false;
        while (at < end && !gap) {
            const char *next = at;
            uint32_t code = pio_utf8_next(&next);
            gap = pio_template_is_space(code) || (code < 0x80 && code && strchr("-({[<", (int)code));
            if (!gap || at == word) at = next;
            if (gap && at == next) break;
        }
        /* the first character and the rest apart: a final sigma is none to the reference here */
        size_t n_first = pio_utf8_length((unsigned char)*word);
        pio_tv head = pio_tv_str(word, n_first), tail = pio_tv_str(word + n_first, (size_t)(at - word) - n_first);
        pio_tv upper, lower;
        if (!pio_run_text_case(run, &head, PIO_CASE_UPPER, &upper) ||
            !pio_run_text_case(run, &tail, PIO_CASE_LOWER, &lower) ||
            !pio_run_text_add(run, &result, upper.u.bytes, upper.n) ||
            !pio_run_text_add(run, &result, lower.u.bytes, lower.n))
            return false;
    }
    return pio_run_text_value(run, &result, out);
}

FILTER(f_trim) {
    pio_tv text;
    return pio_run_str(run, self, &text) && pio_run_strip(run, &text, ARGUMENT(0), true, true, out);
}

FILTER(f_replace) {
    pio_tv text, old, new_text;
    int64_t count = -1;
    if (pio_run_given(ARGUMENT(2)) && !pio_run_need_whole(run, ARGUMENT(2), "replace", -1, &count)) return false;
    if (!pio_run_str(run, self, &text) || !pio_run_str(run, ARGUMENT(0), &old) ||
        !pio_run_str(run, ARGUMENT(1), &new_text))
        return false;
    return pio_run_replace(run, &text, &old, &new_text, count, out);
}

FILTER(f_center) {
    pio_tv text;
    int64_t width;
    return pio_run_need_whole(run, ARGUMENT(0), "center", 80, &width) && pio_run_str(run, self, &text) &&
           pio_run_pad(run, &text, width, '^', " ", 1, out);
}

/* ---- indent ---- */

static bool indention(pio_template_run *run, const pio_tv *width, pio_tv *out) {
    if (width->kind == PIO_TV_STR) {
        *out = *width;
        return true;
    }
    int64_t n;
    pio_run_text spaces = {0};
    if (!pio_run_need_whole(run, width, "indent", 4, &n)) return false;
    for (int64_t i = 0; i < n; i++)
        if (!pio_run_text_add(run, &spaces, " ", 1) || !pio_run_step(run, 1)) return false;
    return pio_run_text_value(run, &spaces, out);
}

FILTER(f_indent) {
    pio_tv lines, by, text = *self;
    pio_run_text result = {0};
    bool first = pio_run_truth(ARGUMENT(1)), blank = pio_run_truth(ARGUMENT(2));
    if (!pio_run_need_text(run, self, "indent") || !indention(run, ARGUMENT(0), &by)) return false;
    pio_run_text whole = {0}; /* with a line end, so that a last empty line counts as the reference counts it */
    if (!pio_run_text_add(run, &whole, self->u.bytes, self->n) || !pio_run_text_add(run, &whole, "\n", 1) ||
        !pio_run_text_value(run, &whole, &text) || !pio_run_split_lines(run, &text, false, &lines))
        return false;
    if (first && !pio_run_text_add(run, &result, by.u.bytes, by.n)) return false;
    for (int32_t i = 0; i < lines.u.list->n; i++) {
        const pio_tv *line = &lines.u.list->items[i];
        if (i && !pio_run_text_add(run, &result, "\n", 1)) return false;
        if (i && (blank || line->n) && !pio_run_text_add(run, &result, by.u.bytes, by.n)) return false;
        if (!pio_run_text_add(run, &result, line->u.bytes, line->n)) return false;
    }
    if (!pio_run_text_value(run, &result, out)) return false;
    out->variant = self->variant;
    return true;
}

/* ---- the rest ---- */

FILTER(f_truncate) {
    int64_t length, leeway = 5, n;
    const pio_tv *end = ARGUMENT(2);
    const pio_tv dots = pio_tv_str("...", 3);
    pio_run_text result = {0};
    if (end->kind == PIO_TV_MISSING) end = &dots;
    if (!pio_run_need_text(run, end, "truncate") || !pio_run_need_whole(run, ARGUMENT(0), "truncate", 255, &length) ||
        (pio_run_given(ARGUMENT(3)) && !pio_run_need_whole(run, ARGUMENT(3), "truncate", 5, &leeway)) ||
        !pio_run_length(run, self, &n))
        return false;
    int64_t n_end = pio_tv_count_chars(end->u.bytes, end->n);
    if (length < n_end || leeway < 0)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'truncate' to %lld characters leaves no room for its end",
                            (long long)length);
    if (n <= leeway || n - leeway <= length) {
        *out = *self;
        return true;
    }
    if (!pio_run_need_text(run, self, "truncate")) return false;
    size_t keep = pio_tv_char_offset(self->u.bytes, self->n, length - n_end);
    if (!pio_run_truth(ARGUMENT(1)))
        for (size_t i = keep; i-- > 0;)
            if (self->u.bytes[i] == ' ') {
                keep = i;
                break;
            }
    return pio_run_text_add(run, &result, self->u.bytes, keep) &&
           pio_run_text_add(run, &result, end->u.bytes, end->n) && pio_run_text_value(run, &result, out);
}

FILTER(f_wordcount) {
    pio_tv text;
    int64_t n = 0;
    bool in = false;
    (void)arguments;
    if (!pio_run_str(run, self, &text)) return false;
    for (const char *at = text.u.bytes, *end = at + text.n; at < end;) {
        uint32_t code = pio_utf8_next(&at);
        bool word = pio_template_is_word_char(code);
        n += word && !in;
        in = word;
        if (code >= 0x80 && !pio_run_step(run, 20)) return false;
    }
    *out = pio_tv_int(n);
    return pio_run_work(run, text.n);
}

FILTER(f_format) {
    pio_tv text, values;
    if (!pio_run_str(run, self, &text)) return false;
    if (arguments->n && arguments->n_keywords)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'format' takes values or keywords, not both");
    if (!pio_run_new_list(run, PIO_TV_TUPLE, arguments->n, &values)) return false;
    for (int32_t i = 0; i < arguments->n; i++)
        if (!pio_run_append(run, values.u.list, &arguments->items[i])) return false;
    if (arguments->n_keywords) {
        if (!pio_run_new_dict(run, PIO_TV_DICT, arguments->n_keywords, &values)) return false;
        for (int32_t i = 0; i < arguments->n_keywords; i++)
            if (!pio_run_dict_set(run, values.u.dict, &arguments->keywords[i].key, &arguments->keywords[i].value))
                return false;
    }
    return pio_run_percent(run, &text, &values, out);
}

static bool add_quoted(pio_template_run *run, pio_run_text *text, const pio_tv *v, bool query) {
    pio_tv plain;
    if (!pio_run_str(run, v, &plain)) return false;
    for (uint32_t i = 0; i < plain.n; i++) {
        unsigned char c = (unsigned char)plain.u.bytes[i];
        char room[4];
        bool keep = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80) || c == '_' ||
                    c == '.' || c == '-' || c == '~' || (c == '/' && !query);
        if (query && c == ' ')
            strcpy(room, "+");
        else
            snprintf(room, sizeof room, keep ? "%c" : "%%%02X", c);
        if (!pio_run_text_add(run, text, room, strlen(room))) return false;
    }
    return true;
}

FILTER(f_urlencode) {
    pio_run_text text = {0};
    (void)arguments;
    if (self->kind == PIO_TV_STR || !pio_run_is_iterable(self))
        return add_quoted(run, &text, self, false) && pio_run_text_value(run, &text, out);
    pio_tv items = *self, item, pair;
    pio_run_iteration iteration;
    int more;
    if (items.kind == PIO_TV_DICT) {
        items.kind = PIO_TV_VIEW;
        items.variant = PIO_TV_ITEMS;
    }
    if (!pio_run_iterate(run, &items, &iteration)) return false;
    for (int n = 0; (more = pio_run_next(run, &iteration, &item)) > 0; n++) {
        if (!pio_run_to_list(run, &item, PIO_TV_TUPLE, &pair)) return false;
        if (pair.u.list->n != 2) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "'urlencode' takes pairs");
        if ((n && !pio_run_text_add(run, &text, "&", 1)) || !add_quoted(run, &text, &pair.u.list->items[0], true) ||
            !pio_run_text_add(run, &text, "=", 1) || !add_quoted(run, &text, &pair.u.list->items[1], true))
            return false;
    }
    return more == 0 && pio_run_text_value(run, &text, out);
}

/* Tags and comments go, and white space becomes single blanks. */
FILTER(f_striptags) {
    pio_tv text, words, joined;
    pio_run_text kept = {0};
    (void)arguments;
    if (!pio_run_str(run, self, &text)) return false;
    if (memchr(text.u.bytes, '&', text.n))
        return pio_run_fail(run, PIO_UNSUPPORTED, "'striptags' is not served for text with entities");
    const char *at = text.u.bytes, *end = at + text.n;
    while (at < end) {
        const char *open = memchr(at, '<', (size_t)(end - at)), *close = NULL;
        bool comment = open && end - open >= 4 && !memcmp(open, "<!--", 4);
        if (open)
            close = comment ? memmem(open + 4, (size_t)(end - open - 4), "-->", 3)
                            : memchr(open, '>', (size_t)(end - open));
        const char *stop = close ? open : end;
        if (!pio_run_text_add(run, &kept, at, (size_t)(stop - at))) return false;
        at = close ? close + (comment ? 3 : 1) : end;
    }
    const pio_tv blank = pio_tv_str(" ", 1);
    const pio_template_function *split = pio_template_find_method(PIO_TV_STR, "split", 5);
    const pio_template_arguments none = {0};
    return pio_run_text_value(run, &kept, &joined) && pio_run_call_row(run, split, "method", &joined, &none, &words) &&
           pio_run_join(run, &words, &blank, true, out);
}

const pio_template_function pio_template_text_filters[] = {
    {"upper", "", 0, f_upper, 0},
    {"lower", "", 0, f_lower, 0},
    {"capitalize", "", 0, f_capitalize, 0},
    {"title", "", 0, f_title, 0},
    {"trim", "chars", 0, f_trim, 0},
    {"replace", "old new count", 2, f_replace, 0},
    {"center", "width", 0, f_center, 0},
    {"indent", "width first blank", 0, f_indent, 0},
    {"truncate", "length killwords end leeway", 0, f_truncate, 0},
    {"wordcount", "", 0, f_wordcount, 0},
    {"format", NULL, 0, f_format, 0},
    {"urlencode", "", 0, f_urlencode, 0},
    {"striptags", "", 0, f_striptags, 0},
};
const size_t pio_template_n_text_filters = PIO_COUNT(pio_template_text_filters);
