/* Methods of strings. */
#include <string.h>

#include "text/template_case.h"
#include "text/template_text.h"

#define METHOD(name)                                                                                                   \
    static bool name(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, pio_tv *out)
#define ARGUMENT(i) (&arguments->items[i])

/* ---- case and white space ---- */

METHOD(upper) {
    (void)arguments;
    return pio_run_text_case(run, self, PIO_CASE_UPPER, out);
}
METHOD(lower) {
    (void)arguments;
    return pio_run_text_case(run, self, PIO_CASE_LOWER, out);
}
METHOD(title) {
    (void)arguments;
    return pio_run_text_case(run, self, PIO_CASE_TITLE, out);
}
METHOD(capitalize) {
    (void)arguments;
    return pio_run_text_case(run, self, PIO_CASE_CAPITALIZE, out);
}
METHOD(swapcase) {
    (void)arguments;
    return pio_run_text_case(run, self, PIO_CASE_SWAP, out);
}
METHOD(strip) {
    return pio_run_strip(run, self, ARGUMENT(0), true, true, out);
}
METHOD(lstrip) {
    return pio_run_strip(run, self, ARGUMENT(0), true, false, out);
}
METHOD(rstrip) {
    return pio_run_strip(run, self, ARGUMENT(0), false, true, out);
}

static bool pad(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, char align,
                pio_tv *out) {
    int64_t width;
    const pio_tv *fill = ARGUMENT(1);
    if (!pio_run_need_whole(run, ARGUMENT(0), "padding", 0, &width)) return false;
    if (fill->kind == PIO_TV_MISSING) return pio_run_pad(run, self, width, align, " ", 1, out);
    if (!pio_run_need_text(run, fill, "padding")) return false;
    if (pio_tv_count_chars(fill->u.bytes, fill->n) != 1)
        return pio_run_fail(run, PIO_INVALID_ARGUMENT, "padding takes one character to fill with");
    return pio_run_pad(run, self, width, align, fill->u.bytes, fill->n, out);
}
METHOD(ljust) {
    return pad(run, self, arguments, '<', out);
}
METHOD(rjust) {
    return pad(run, self, arguments, '>', out);
}
METHOD(center) {
    return pad(run, self, arguments, '^', out);
}
METHOD(zfill) {
    int64_t width;
    if (!pio_run_need_whole(run, ARGUMENT(0), "zfill", 0, &width)) return false;
    bool sign = self->n && (self->u.bytes[0] == '-' || self->u.bytes[0] == '+');
    const pio_tv digits = pio_tv_str(self->u.bytes + sign, self->n - sign);
    pio_run_text text = {0};
    pio_tv padded;
    return pio_run_pad(run, &digits, width - sign, '>', "0", 1, &padded) &&
           pio_run_text_add(run, &text, self->u.bytes, sign) &&
           pio_run_text_add(run, &text, padded.u.bytes, padded.n) && pio_run_text_value(run, &text, out);
}

/* ---- searching ---- */

/* The part [start, end) in characters that arguments 1 and 2 name, in bytes. False with no failure: it is empty in such
 * a way that not even "" is in it. */
static bool window(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, size_t *from,
                   size_t *to, bool *possible) {
    int64_t n = INT64_MAX, start = 0, stop = INT64_MAX;
    *possible = true;
    *from = 0;
    *to = self->n;
    if (ARGUMENT(1)->kind == PIO_TV_MISSING) return pio_run_work(run, self->n);
    n = pio_tv_count_chars(self->u.bytes, self->n);
    if (pio_run_given(ARGUMENT(1)) && !pio_run_need_whole(run, ARGUMENT(1), "a search", 0, &start)) return false;
    if (pio_run_given(ARGUMENT(2)) && !pio_run_need_whole(run, ARGUMENT(2), "a search", n, &stop)) return false;
    if (start < 0) start = PIO_MAX(start + n, INT64_C(0));
    if (stop < 0) stop = PIO_MAX(stop + n, INT64_C(0));
    *possible = start <= n && start <= PIO_MIN(stop, n);
    *from = pio_tv_char_offset(self->u.bytes, self->n, start);
    *to = pio_tv_char_offset(self->u.bytes, self->n, PIO_MIN(stop, n));
    return pio_run_work(run, self->n);
}

/* Where the last `what` begins, or NULL, also after a failure; each comparison counts as work. */
static const char *find_last(pio_template_run *run, const char *text, size_t n, const pio_tv *what) {
    if (what->n > n) return NULL;
    if (!what->n) return text + n;
    for (size_t i = n - what->n + 1; i-- > 0;) {
        if (text[i] != what->u.bytes[0]) continue;
        if (!pio_run_work(run, what->n + 8)) return NULL;
        if (!memcmp(text + i, what->u.bytes, what->n)) return text + i;
    }
    return NULL;
}

static bool search(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, bool last,
                   int64_t *at) {
    size_t from, to;
    bool possible;
    *at = -1;
    if (!pio_run_need_text(run, ARGUMENT(0), "a search") || !window(run, self, arguments, &from, &to, &possible))
        return false;
    if (!possible) return true;
    const char *begin = self->u.bytes + from;
    const pio_tv *what = ARGUMENT(0);
    const char *found = last      ? find_last(run, begin, to - from, what)
                        : what->n ? memmem(begin, to - from, what->u.bytes, what->n)
                                  : begin;
    if (found) *at = pio_tv_count_chars(self->u.bytes, (size_t)(found - self->u.bytes));
    return !run->status;
}

METHOD(find) {
    int64_t at;
    if (!search(run, self, arguments, false, &at)) return false;
    *out = pio_tv_int(at);
    return true;
}
METHOD(rfind) {
    int64_t at;
    if (!search(run, self, arguments, true, &at)) return false;
    *out = pio_tv_int(at);
    return true;
}
METHOD(index_of) {
    int64_t at;
    if (!search(run, self, arguments, false, &at)) return false;
    *out = pio_tv_int(at);
    return at >= 0 || pio_run_fail(run, PIO_INVALID_ARGUMENT, "index() does not find its text");
}
METHOD(rindex_of) {
    int64_t at;
    if (!search(run, self, arguments, true, &at)) return false;
    *out = pio_tv_int(at);
    return at >= 0 || pio_run_fail(run, PIO_INVALID_ARGUMENT, "rindex() does not find its text");
}
METHOD(count) {
    size_t from, to;
    bool possible;
    int64_t n = 0;
    const pio_tv *what = ARGUMENT(0);
    if (!pio_run_need_text(run, what, "count") || !window(run, self, arguments, &from, &to, &possible)) return false;
    const char *at = self->u.bytes + from, *end = self->u.bytes + to;
    if (possible && !what->n) n = pio_tv_count_chars(at, (size_t)(end - at)) + 1;
    while (possible && what->n && (at = memmem(at, (size_t)(end - at), what->u.bytes, what->n))) {
        n++;
        at += what->n;
    }
    *out = pio_tv_int(n);
    return true;
}

static bool has_side(const char *text, size_t n, const pio_tv *side, bool end) {
    return side->n <= n && !memcmp(text + (end ? n - side->n : 0), side->u.bytes, side->n);
}

static bool sides(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments, bool end,
                  pio_tv *out) {
    size_t from, to;
    bool possible, any = false;
    const pio_tv *side = ARGUMENT(0);
    if (!window(run, self, arguments, &from, &to, &possible)) return false;
    if (side->kind == PIO_TV_TUPLE) {
        for (int32_t i = 0; i < side->u.list->n && !any; i++) {
            if (!pio_run_need_text(run, &side->u.list->items[i], "startswith or endswith")) return false;
            any = possible && has_side(self->u.bytes + from, to - from, &side->u.list->items[i], end);
        }
    } else {
        if (!pio_run_need_text(run, side, "startswith or endswith")) return false;
        any = possible && has_side(self->u.bytes + from, to - from, side, end);
    }
    *out = pio_tv_bool(any);
    return true;
}
METHOD(startswith) {
    return sides(run, self, arguments, false, out);
}
METHOD(endswith) {
    return sides(run, self, arguments, true, out);
}

static bool without_side(pio_template_run *run, const pio_tv *self, const pio_tv *side, bool end, pio_tv *out) {
    if (!pio_run_need_text(run, side, "removeprefix or removesuffix")) return false;
    bool has = has_side(self->u.bytes, self->n, side, end);
    uint8_t variant = self->variant;
    *out = pio_tv_str(self->u.bytes + (has && !end ? side->n : 0), self->n - (has ? side->n : 0));
    out->variant = variant;
    return true;
}
METHOD(removeprefix) {
    return without_side(run, self, ARGUMENT(0), false, out);
}
METHOD(removesuffix) {
    return without_side(run, self, ARGUMENT(0), true, out);
}

/* ---- splitting ---- */

static bool add_part(pio_template_run *run, pio_tv_list *list, const pio_tv *self, const char *begin, const char *end) {
    pio_tv part = pio_tv_str(begin, (size_t)(end - begin));
    part.variant = self->variant;
    return pio_run_append(run, list, &part);
}

static const char *over_space(const char *at, const char *end, bool space) {
    while (at < end) {
        const char *next = at;
        if (pio_template_is_space(pio_utf8_next(&next)) != space) break;
        at = next;
    }
    return at;
}

static const char *over_space_back(const char *begin, const char *at, bool space) {
    while (at > begin) {
        const char *last = at - 1;
        while (last > begin && (*last & 0xc0) == 0x80) last--;
        const char *next = last;
        if (pio_template_is_space(pio_utf8_next(&next)) != space) break;
        at = last;
    }
    return at;
}

static bool split_space(pio_template_run *run, const pio_tv *self, int64_t most, pio_tv_list *list) {
    const char *at = self->u.bytes, *end = at + self->n;
    for (at = over_space(at, end, true); at < end; most--) {
        const char *stop = most ? over_space(at, end, false) : end;
        if (!add_part(run, list, self, at, stop)) return false;
        at = over_space(stop, end, true);
    }
    return true;
}

static void reverse(pio_tv_list *list) {
    for (int32_t i = 0, k = list->n - 1; i < k; i++, k--) {
        pio_tv item = list->items[i];
        list->items[i] = list->items[k];
        list->items[k] = item;
    }
}

static bool rsplit_space(pio_template_run *run, const pio_tv *self, int64_t most, pio_tv_list *list) {
    const char *begin = self->u.bytes, *end = over_space_back(begin, begin + self->n, true);
    for (; end > begin; most--) {
        const char *from = most ? over_space_back(begin, end, false) : begin;
        if (!add_part(run, list, self, from, end)) return false;
        end = over_space_back(begin, from, true);
    }
    reverse(list);
    return true;
}

static bool split_by(pio_template_run *run, const pio_tv *self, const pio_tv *by, int64_t most, bool from_right,
                     pio_tv_list *list) {
    const char *begin = self->u.bytes, *end = begin + self->n, *found;
    for (; most; most--) {
        size_t n = (size_t)(end - begin);
        found = from_right ? find_last(run, begin, n, by) : memmem(begin, n, by->u.bytes, by->n);
        if (run->status) return false;
        if (!found) break;
        if (from_right ? !add_part(run, list, self, found + by->n, end) : !add_part(run, list, self, begin, found))
            return false;
        *(from_right ? &end : &begin) = from_right ? found : found + by->n;
    }
    if (!add_part(run, list, self, begin, end)) return false;
    if (from_right) reverse(list);
    return true;
}

static bool split_any(pio_template_run *run, const pio_tv *self, const pio_template_arguments *arguments,
                      bool from_right, pio_tv *out) {
    int64_t most;
    pio_tv list;
    const pio_tv *by = ARGUMENT(0);
    if (!pio_run_need_whole(run, ARGUMENT(1), "split", -1, &most) || !pio_run_work(run, self->n) ||
        !pio_run_new_list(run, PIO_TV_LIST, 0, &list))
        return false;
    bool ok;
    if (!pio_run_given(by)) {
        ok = from_right ? rsplit_space(run, self, most, list.u.list) : split_space(run, self, most, list.u.list);
    } else {
        if (!pio_run_need_text(run, by, "split")) return false;
        if (!by->n) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "split() cannot split at an empty text");
        ok = split_by(run, self, by, most, from_right, list.u.list);
    }
    *out = list;
    return ok;
}
METHOD(split) {
    return split_any(run, self, arguments, false, out);
}
METHOD(rsplit) {
    return split_any(run, self, arguments, true, out);
}
METHOD(splitlines) {
    return pio_run_split_lines(run, self, pio_run_truth(ARGUMENT(0)), out);
}

static bool partition_any(pio_template_run *run, const pio_tv *self, const pio_tv *by, bool last, pio_tv *out) {
    pio_tv tuple;
    if (!pio_run_need_text(run, by, "partition") || !pio_run_new_list(run, PIO_TV_TUPLE, 3, &tuple)) return false;
    if (!by->n) return pio_run_fail(run, PIO_INVALID_ARGUMENT, "partition() cannot split at an empty text");
    const char *begin = self->u.bytes, *end = begin + self->n;
    const char *found = last ? find_last(run, begin, self->n, by) : memmem(begin, self->n, by->u.bytes, by->n);
    const char *cut = found ? found : last ? begin : end, *behind = found ? found + by->n : cut;
    *out = tuple;
    return add_part(run, tuple.u.list, self, begin, cut) && add_part(run, tuple.u.list, self, cut, behind) &&
           add_part(run, tuple.u.list, self, behind, end) && pio_run_work(run, self->n);
}
METHOD(partition) {
    return partition_any(run, self, ARGUMENT(0), false, out);
}
METHOD(rpartition) {
    return partition_any(run, self, ARGUMENT(0), true, out);
}

/* ---- joining, replacing, formatting ---- */

METHOD(join) {
    uint8_t variant = self->variant;
    if (!pio_run_join(run, ARGUMENT(0), self, true, out)) return false;
    out->variant = variant;
    return true;
}
METHOD(replace) {
    int64_t count;
    if (!pio_run_need_text(run, ARGUMENT(0), "replace") || !pio_run_need_text(run, ARGUMENT(1), "replace") ||
        !pio_run_need_whole(run, ARGUMENT(2), "replace", -1, &count))
        return false;
    uint8_t variant = self->variant;
    pio_tv new_text = *ARGUMENT(1);
    if (variant && !new_text.variant) {
        pio_run_text escaped = {0};
        if (!pio_run_add_escaped(run, &escaped, new_text.u.bytes, new_text.n) ||
            !pio_run_text_value(run, &escaped, &new_text))
            return false;
    }
    if (!pio_run_replace(run, self, ARGUMENT(0), &new_text, count, out)) return false;
    out->variant = variant;
    return true;
}
METHOD(format) {
    return pio_run_format(run, self, arguments, out);
}
METHOD(expandtabs) {
    int64_t size, column = 0;
    pio_run_text text = {0};
    if (!pio_run_need_whole(run, ARGUMENT(0), "expandtabs", 8, &size)) return false;
    for (const char *at = self->u.bytes, *end = at + self->n; at < end;) {
        const char *from = at;
        uint32_t code = pio_utf8_next(&at);
        if (code == '\t') {
            for (int64_t n = size > 0 ? size - column % size : 0; n > 0; n--, column++)
                if (!pio_run_text_add(run, &text, " ", 1) || !pio_run_step(run, 1)) return false;
            continue;
        }
        column = code == '\n' || code == '\r' ? 0 : column + 1;
        if (!pio_run_text_add(run, &text, from, (size_t)(at - from))) return false;
    }
    return pio_run_text_value(run, &text, out);
}

/* ---- asking ---- */

static bool all_chars(pio_template_run *run, const pio_tv *self, bool (*is)(uint32_t), bool when_empty, pio_tv *out) {
    bool all = self->n ? true : when_empty;
    for (const char *at = self->u.bytes, *end = at + self->n; all && at < end;) {
        uint32_t code = pio_utf8_next(&at);
        all = is(code);
        if (code >= 0x80 && !pio_run_step(run, 20)) return false;
    }
    *out = pio_tv_bool(all);
    return pio_run_work(run, self->n);
}

static bool is_alnum(uint32_t code) {
    if (code < 0x80) return pio_template_is_alpha(code) || pio_template_is_decimal(code);
    return pio_template_is_word_char(code);
}
/* Superscripts and numbers in circles and brackets count, fractions do not. */
static bool is_digit(uint32_t code) {
    static const uint16_t ranges[][2] = {{0xb2, 0xb3},     {0xb9, 0xb9},     {0x1369, 0x1371}, {0x19da, 0x19da},
                                         {0x2070, 0x2070}, {0x2074, 0x2079}, {0x2080, 0x2089}, {0x2460, 0x2468},
                                         {0x2474, 0x247c}, {0x2488, 0x2490}, {0x24ea, 0x24ea}, {0x24f5, 0x24fd},
                                         {0x24ff, 0x24ff}, {0x2776, 0x277e}, {0x2780, 0x2788}, {0x278a, 0x2792}};
    for (size_t i = 0; i < PIO_COUNT(ranges); i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) return true;
    return pio_template_is_decimal(code);
}
static bool is_numeric(uint32_t code) {
    return code < 0x80 ? pio_template_is_decimal(code) : pio_template_category(code)[0] == 'N';
}
static bool is_ascii(uint32_t code) {
    return code < 0x80;
}
static bool is_identifier_char(uint32_t code) {
    if (code < 0x80) return pio_template_is_word_char(code);
    const char *category = pio_template_category(code);
    return category[0] == 'L' || !strcmp(category, "Nl") || !strcmp(category, "Nd") || !strcmp(category, "Mn") ||
           !strcmp(category, "Mc") || !strcmp(category, "Pc");
}

METHOD(ask_isalpha) {
    (void)arguments;
    return all_chars(run, self, pio_template_is_alpha, false, out);
}
METHOD(ask_isalnum) {
    (void)arguments;
    return all_chars(run, self, is_alnum, false, out);
}
METHOD(ask_isdigit) {
    (void)arguments;
    return all_chars(run, self, is_digit, false, out);
}
METHOD(ask_isdecimal) {
    (void)arguments;
    return all_chars(run, self, pio_template_is_decimal, false, out);
}
METHOD(ask_isnumeric) {
    (void)arguments;
    return all_chars(run, self, is_numeric, false, out);
}
METHOD(ask_isspace) {
    (void)arguments;
    return all_chars(run, self, pio_template_is_space, false, out);
}
METHOD(ask_isascii) {
    (void)arguments;
    return all_chars(run, self, is_ascii, true, out);
}
METHOD(ask_isprintable) {
    (void)arguments;
    return all_chars(run, self, pio_template_is_printable, true, out);
}
METHOD(ask_isidentifier) {
    (void)arguments;
    const char *at = self->u.bytes;
    if (!all_chars(run, self, is_identifier_char, false, out)) return false;
    uint32_t first = self->n ? pio_utf8_next(&at) : 0;
    const char *category = pio_template_category(first);
    if (category[0] != 'L' && first != '_' && strcmp(category, "Nl")) *out = pio_tv_bool(false);
    return true;
}
METHOD(ask_isupper) {
    (void)arguments;
    *out = pio_tv_bool(pio_template_is_cased(self->u.bytes, self->n, true));
    return pio_run_work(run, self->n);
}
METHOD(ask_islower) {
    (void)arguments;
    *out = pio_tv_bool(pio_template_is_cased(self->u.bytes, self->n, false));
    return pio_run_work(run, self->n);
}
/* Words begin with a capital, and have no other. */
METHOD(ask_istitle) {
    (void)arguments;
    bool any = false, in_word = false, is = true;
    for (const char *at = self->u.bytes, *end = at + self->n; at < end && is;) {
        const char *category = pio_template_category(pio_utf8_next(&at));
        bool letter = category[0] == 'L', capital = letter && (category[1] == 'u' || category[1] == 't');
        bool small = letter && category[1] == 'l';
        is = capital ? !in_word : !small || in_word;
        in_word = capital || small;
        any |= in_word;
        if (!pio_run_step(run, 1)) return false;
    }
    *out = pio_tv_bool(any && is);
    return true;
}

METHOD(casefold) {
    for (uint32_t i = 0; i < self->n; i++)
        if ((unsigned char)self->u.bytes[i] >= 0x80)
            return pio_run_fail(run, PIO_UNSUPPORTED, "casefold() is served for ASCII only: use lower()");
    return lower(run, self, arguments, out);
}

const pio_template_function pio_template_str_methods[] = {
    {"strip", "chars", 0, strip, 0},
    {"lstrip", "chars", 0, lstrip, 0},
    {"rstrip", "chars", 0, rstrip, 0},
    {"split", "sep maxsplit", 0, split, 0},
    {"rsplit", "sep maxsplit", 0, rsplit, 0},
    {"splitlines", "keepends", 0, splitlines, 0},
    {"startswith", "prefix start end", 1, startswith, 0},
    {"endswith", "suffix start end", 1, endswith, 0},
    {"replace", "old new count", 2, replace, 0},
    {"join", "iterable", 1, join, 0},
    {"upper", "", 0, upper, 0},
    {"lower", "", 0, lower, 0},
    {"casefold", "", 0, casefold, 0},
    {"title", "", 0, title, 0},
    {"capitalize", "", 0, capitalize, 0},
    {"swapcase", "", 0, swapcase, 0},
    {"find", "sub start end", 1, find, 0},
    {"rfind", "sub start end", 1, rfind, 0},
    {"index", "sub start end", 1, index_of, 0},
    {"rindex", "sub start end", 1, rindex_of, 0},
    {"count", "sub start end", 1, count, 0},
    {"format", NULL, 0, format, 0},
    {"removeprefix", "prefix", 1, removeprefix, 0},
    {"removesuffix", "suffix", 1, removesuffix, 0},
    {"partition", "sep", 1, partition, 0},
    {"rpartition", "sep", 1, rpartition, 0},
    {"ljust", "width fillchar", 1, ljust, 0},
    {"rjust", "width fillchar", 1, rjust, 0},
    {"center", "width fillchar", 1, center, 0},
    {"zfill", "width", 1, zfill, 0},
    {"expandtabs", "tabsize", 0, expandtabs, 0},
    {"isalpha", "", 0, ask_isalpha, 0},
    {"isalnum", "", 0, ask_isalnum, 0},
    {"isdigit", "", 0, ask_isdigit, 0},
    {"isdecimal", "", 0, ask_isdecimal, 0},
    {"isnumeric", "", 0, ask_isnumeric, 0},
    {"isspace", "", 0, ask_isspace, 0},
    {"isascii", "", 0, ask_isascii, 0},
    {"isprintable", "", 0, ask_isprintable, 0},
    {"isidentifier", "", 0, ask_isidentifier, 0},
    {"isupper", "", 0, ask_isupper, 0},
    {"islower", "", 0, ask_islower, 0},
    {"istitle", "", 0, ask_istitle, 0},
};
const size_t pio_template_n_str_methods = PIO_COUNT(pio_template_str_methods);
