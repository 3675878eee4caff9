/* From Oniguruma's syntax to items: PCRE2's syntax with sets in it. The two share groups and quantifiers; what means
 * something else there (^ $ . \Z {n}? {n,m}+ and every class) is written out. */
#include "text/regex_parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "text/utf8.h"

enum { MAX_DEPTH = 60, MAX_REPEAT = 10000 };

pio_status pio_regex_fail(pio_regex_parser *p, pio_status status, const char *reason) {
    const char *verb = status == PIO_UNSUPPORTED ? "uses what is not supported" : "is wrong";
    return pio_fail(p->error, status, "it %s at byte %lld: %s", verb, (long long)(p->at - p->begin), reason);
}

pio_status pio_regex_fail_memory(pio_regex_parser *p) {
    return pio_fail_memory(p->error, "a regular expression", (unsigned long long)(p->end - p->begin));
}

void pio_regex_program_free(pio_regex_program *program) {
    for (int32_t i = 0; i < program->n_sets; i++) pio_char_set_free(&program->sets[i]);
    free(program->sets);
    free(program->items);
    *program = (pio_regex_program){0};
}

static pio_status put(pio_regex_parser *p, int32_t value) {
    if (p->program->n_items >= PIO_REGEX_MAX_ITEMS) return pio_regex_fail(p, PIO_LIMIT, "it is too long");
    pio_regex_item *item = PIO_PUSH(p->program, items);
    if (!item) return pio_regex_fail_memory(p);
    item->value = value;
    return PIO_OK;
}

/* Puts a set that is there already or moves *set to the end of the list; *set is empty afterwards. */
static pio_status put_set(pio_regex_parser *p, pio_char_set *set) {
    int32_t i = 0;
    p->previous = 0;
    while (i < p->program->n_sets && !pio_char_set_equal(&p->program->sets[i], set)) i++;
    if (i < p->program->n_sets) {
        pio_char_set_free(set);
        return put(p, PIO_REGEX_SET + i);
    }
    if (i == PIO_REGEX_MAX_SETS) {
        pio_char_set_free(set);
        return pio_regex_fail(p, PIO_UNSUPPORTED, "more than 512 different characters and classes");
    }
    pio_char_set *added = PIO_PUSH(p->program, sets);
    if (!added) {
        pio_char_set_free(set);
        return pio_regex_fail_memory(p);
    }
    *added = *set;
    *set = (pio_char_set){0};
    return put(p, PIO_REGEX_SET + i);
}

static pio_status put_range(pio_regex_parser *p, uint32_t first, uint32_t last, bool fold) {
    pio_char_set set = {0};
    if (!pio_char_set_add(&set, first, last) || (fold && !pio_char_set_add_folded(&set))) {
        pio_char_set_free(&set);
        return pio_regex_fail_memory(p);
    }
    return put_set(p, &set);
}

/* Where case is ignored, Oniguruma also matches letters with the one character that full folding makes them of ("ss"
 * and U+00DF), which sets of characters cannot say. */
static bool folds_to_several(uint32_t code) {
    static const uint32_t ranges[][2] = {{0xdf, 0xdf},     {0x130, 0x130},   {0x149, 0x149},  {0x1f0, 0x1f0},
                                         {0x390, 0x390},   {0x3b0, 0x3b0},   {0x587, 0x587},  {0x1e96, 0x1e9e},
                                         {0x1f50, 0x1f56}, {0x1f80, 0x1ffc}, {0xfb00, 0xfb17}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (code >= ranges[i][0] && code <= ranges[i][1]) return true;
    }
    return false;
}

static bool fold_together(uint32_t first, uint32_t second) {
    static const char pairs[][3] = {"ss", "ff", "fi", "fl", "st"};
    static const uint32_t seconds[] = {0x2be, 0x307, 0x308, 0x30a, 0x30c, 0x313, 0x331,
                                       0x342, 0x3b9, 0x565, 0x56b, 0x56d, 0x576, 0x582};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (first == (uint32_t)pairs[i][0] && second == (uint32_t)pairs[i][1]) return true;
    }
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        if (first && second == seconds[i]) return true;
    }
    return false;
}

/* One character that stands for itself. */
static pio_status put_literal(pio_regex_parser *p, uint32_t code) {
    if (!p->ignore_case) return put_range(p, code, code, false);
    uint32_t lower = code >= 'A' && code <= 'Z' ? code | 0x20 : code == 0x17f ? 's' : code;
    if (folds_to_several(code) || fold_together(p->previous, lower))
        return pio_regex_fail(p, PIO_UNSUPPORTED, "letters that equal one character where case is ignored");
    pio_status status = put_range(p, code, code, true);
    p->previous = lower;
    return status;
}

/* Puts PCRE2 syntax in which N stands for the set {\n}, R for {\r}, W for \w, A for any character and V for line ends,
 * but where a backslash stands before them. */
static pio_status put_syntax(pio_regex_parser *p, const char *syntax) {
    pio_status status = PIO_OK;
    for (; *syntax && !status; syntax++) {
        pio_char_set set = {0};
        bool ok = true;
        switch (*syntax) {
        case '\\':
            status = put(p, '\\');
            if (!status) status = put(p, *++syntax);
            break;
        case 'N':
            status = put_range(p, '\n', '\n', false);
            break;
        case 'R':
            status = put_range(p, '\r', '\r', false);
            break;
        case 'A':
            status = put_range(p, 0, PIO_UNICODE_LAST, false);
            break;
        case 'V':
            ok = pio_char_set_add(&set, '\n', '\r') && pio_char_set_add(&set, 0x85, 0x85) &&
                 pio_char_set_add(&set, 0x2028, 0x2029);
            status = ok ? put_set(p, &set) : pio_regex_fail_memory(p);
            break;
        case 'W':
            ok = pio_char_set_add_property(&set, "word", 4, false) == PIO_PROPERTY_ADDED;
            status = ok ? put_set(p, &set) : pio_regex_fail_memory(p);
            break;
        default:
            status = put(p, (unsigned char)*syntax);
            break;
        }
        pio_char_set_free(&set);
    }
    return status;
}

static pio_status parse_alternatives(pio_regex_parser *p);

/* "imx-imx" behind "(?", up to the ':' or ')'. */
static pio_status parse_options(pio_regex_parser *p) {
    bool on = true;
    for (; p->at < p->end && *p->at != ':' && *p->at != ')'; p->at++) {
        switch (*p->at) {
        case '-':
            on = false;
            break;
        case 'i':
            p->ignore_case = on;
            break;
        case 'm':
            p->dot_all = on;
            break;
        case 'x':
            p->extended = on;
            break;
        default:
            return pio_regex_fail(p, PIO_UNSUPPORTED, "a group option other than i, m and x");
        }
    }
    return p->at < p->end ? PIO_OK : pio_regex_fail(p, PIO_CORRUPT, "a group is not closed by ')'");
}

/* Behind '(': writes how the group begins. *isolated: it was "(?i)", whose body is the rest of the enclosing group. */
static pio_status open_group(pio_regex_parser *p, bool *isolated) {
    static const struct {
        const char *text, *syntax;
    } kinds[] = {{"?:", "(?:"}, {"?=", "(?="}, {"?!", "(?!"}, {"?>", "(?>"}, {"?<=", "(?<="}, {"?<!", "(?<!"}};
    *isolated = false;
    size_t left = (size_t)(p->end - p->at);
    if (!left || *p->at != '?') return put_syntax(p, "(?:");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].text);
        if (left >= n && !memcmp(p->at, kinds[i].text, n)) {
            p->at += n;
            return put_syntax(p, kinds[i].syntax);
        }
    }
    p->at++;
    if (p->at < p->end && (*p->at == '<' || *p->at == '\'')) { /* a name, which nothing here refers to */
        char close = *p->at == '<' ? '>' : '\'';
        const char *end = memchr(p->at + 1, close, (size_t)(p->end - p->at - 1));
        if (!end || end == p->at + 1) return pio_regex_fail(p, PIO_CORRUPT, "a group's name is not closed");
        p->at = end + 1;
        return put_syntax(p, "(?:");
    }
    pio_status status = parse_options(p);
    if (status) return status;
    *isolated = *p->at++ == ')';
    return put_syntax(p, "(?:");
}

/* Behind '('. */
static pio_status parse_group(pio_regex_parser *p) {
    if (p->end - p->at >= 2 && p->at[0] == '?' && p->at[1] == '#') {
        const char *close = memchr(p->at, ')', (size_t)(p->end - p->at));
        if (!close) return pio_regex_fail(p, PIO_CORRUPT, "a comment is not closed");
        p->at = close + 1;
        return PIO_OK;
    }
    if (++p->depth > MAX_DEPTH) return pio_regex_fail(p, PIO_LIMIT, "groups are nested too deeply");
    bool ignore_case = p->ignore_case, dot_all = p->dot_all, extended = p->extended, isolated;
    pio_status status = open_group(p, &isolated);
    if (!status) status = parse_alternatives(p);
    if (!status && !isolated) {
        if (p->at == p->end) return pio_regex_fail(p, PIO_CORRUPT, "a group is not closed by ')'");
        p->at++;
    }
    if (!status) status = put(p, ')');
    p->ignore_case = ignore_case, p->dot_all = dot_all, p->extended = extended;
    p->depth--;
    return status;
}

/* Behind a backslash, outside of classes. */
static pio_status parse_backslash(pio_regex_parser *p) {
    static const struct {
        char letter;
        const char *syntax; /* NULL: not supported */
    } kinds[] = {{'A', "\\A"},
                 {'z', "\\z"},
                 {'Z', "(?=N?\\z)"},
                 {'b', "(?:(?<=W)(?!W)|(?<!W)(?=W))"},
                 {'B', "(?:(?<=W)(?=W)|(?<!W)(?!W))"},
                 {'R', "(?>RN|V)"},
                 {'O', "A"},
                 {'N', "(?!N)A"},
                 {'K', NULL},
                 {'G', NULL},
                 {'X', NULL},
                 {'y', NULL},
                 {'Y', NULL},
                 {'k', NULL},
                 {'g', NULL}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && p->at < p->end; i++) {
        if (*p->at != kinds[i].letter) continue;
        if (!kinds[i].syntax) return pio_regex_fail(p, PIO_UNSUPPORTED, "one of \\K \\G \\X \\y \\Y \\k \\g");
        p->at++;
        return put_syntax(p, kinds[i].syntax);
    }
    pio_char_set set = {0};
    bool is_class;
    uint32_t code = 0;
    pio_status status = pio_regex_parse_escape(p, false, &set, &is_class, &code);
    if (!status && !is_class) status = put_literal(p, code);
    if (!status && is_class) status = put_set(p, &set);
    pio_char_set_free(&set);
    return status;
}

/* One atom without its quantifier. */
static pio_status parse_atom(pio_regex_parser *p) {
    switch (*p->at) {
    case '(':
        p->at++;
        return parse_group(p);
    case '\\':
        p->at++;
        return parse_backslash(p);
    case '[': {
        p->at++;
        pio_char_set set = {0};
        pio_status status = pio_regex_parse_class(p, &set);
        if (!status) status = put_set(p, &set);
        pio_char_set_free(&set);
        return status;
    }
    case '.':
        p->at++;
        return put_syntax(p, p->dot_all ? "A" : "(?:(?!N)A)");
    case '^':
        p->at++;
        return put_syntax(p, "(?:(?<!A)|(?<=N)(?!\\z))");
    case '$':
        p->at++;
        return put_syntax(p, "(?:\\z|(?=N))");
    case '*':
    case '+':
    case '?':
        return pio_regex_fail(p, PIO_CORRUPT, "nothing stands before a quantifier");
    default: {
        return put_literal(p, pio_utf8_next(&p->at));
    }
    }
}

/* {n}, {n,}, {,m} or {n,m} at p->at; false if it is none of these: then '{' is itself. */
static bool take_interval(pio_regex_parser *p, long *least, long *most, bool *fixed) {
    const char *at = p->at + 1;
    char *end;
    bool has_least = at < p->end && *at >= '0' && *at <= '9';
    *least = 0, *most = -1;
    char digits[16];
    for (int side = 0; side < 2; side++) {
        size_t n = 0;
        while (at < p->end && *at >= '0' && *at <= '9' && n < sizeof digits - 1) digits[n++] = *at++;
        digits[n] = 0;
        if (n) *(side ? most : least) = strtol(digits, &end, 10);
        if (!side) {
            *fixed = at < p->end && *at == '}';
            if (*fixed) break;
            if (at == p->end || *at != ',') return false;
            at++;
        }
    }
    if (at == p->end || *at != '}') return false;
    if (*fixed) *most = *least;
    if (!has_least && *most < 0) return false;
    p->at = at + 1;
    return true;
}

static pio_status put_number(pio_regex_parser *p, long number) {
    char digits[16];
    int n = 0;
    pio_status status = PIO_OK;
    do digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) && n < 15);
    while (n && !status) status = put(p, digits[--n]);
    return status;
}

/* Puts "(?:" before the item at `from` and ")" behind the last. */
static pio_status wrap(pio_regex_parser *p, int32_t from) {
    pio_status status = put_syntax(p, "(?:)");
    if (status) return status;
    pio_regex_item *items = p->program->items;
    int32_t n = p->program->n_items - 4 - from;
    memmove(items + from + 3, items + from, sizeof *items * (size_t)n);
    for (int i = 0; i < 3; i++) items[from + i].value = "(?:"[i];
    return PIO_OK;
}

/* Behind the '}' of an interval on the atom at `from`; most < 0: no upper bound. */
static pio_status put_interval(pio_regex_parser *p, int32_t from, long least, long most, bool fixed) {
    if (least > MAX_REPEAT || most > MAX_REPEAT) return pio_regex_fail(p, PIO_LIMIT, "more than 10000 repetitions");
    if (most >= 0 && most < least) return pio_regex_fail(p, PIO_UNSUPPORTED, "an interval with its ends exchanged");
    pio_status status = put(p, '{');
    if (!status) status = put_number(p, least);
    if (!status && !fixed) status = put(p, ',');
    if (!status && !fixed && most >= 0) status = put_number(p, most);
    if (!status) status = put(p, '}');
    if (status || p->at == p->end) return status;
    /* Here {n,m}+ repeats and {n}? is optional; in PCRE2 they would be possessive and lazy. */
    if (*p->at == '?' && !fixed) {
        p->at++;
        return put(p, '?');
    }
    if (*p->at == '?' || *p->at == '+' || *p->at == '*') return wrap(p, from);
    return PIO_OK;
}

static pio_status parse_quantifiers(pio_regex_parser *p, int32_t from) {
    pio_status status = PIO_OK;
    for (int n = 0; !status && p->at < p->end; n++) {
        char c = *p->at;
        if (c != '*' && c != '+' && c != '?' && c != '{') break;
        if (n > MAX_DEPTH) return pio_regex_fail(p, PIO_LIMIT, "too many quantifiers");
        long least = 0, most = 0;
        bool fixed = false;
        if (c == '{' && !take_interval(p, &least, &most, &fixed)) break; /* a brace that is itself */
        if (n && (status = wrap(p, from))) break;                        /* a quantifier of a quantified atom */
        p->previous = 0;
        if (c == '{') {
            status = put_interval(p, from, least, most, fixed);
            continue;
        }
        status = put(p, *p->at++);
        if (!status && p->at < p->end && (*p->at == '?' || *p->at == '+')) status = put(p, *p->at++);
    }
    return status;
}

static void skip_extended(pio_regex_parser *p) {
    while (p->extended && p->at < p->end && strchr(" \t\n\r\f\v#", *p->at) && *p->at) {
        if (*p->at++ == '#') {
            while (p->at < p->end && *p->at != '\n') p->at++;
        }
    }
}

static pio_status parse_alternatives(pio_regex_parser *p) {
    pio_status status = PIO_OK;
    while (!status) {
        skip_extended(p);
        if (p->at == p->end || *p->at == ')') break;
        if (*p->at == '|') {
            p->at++;
            p->previous = 0;
            status = put(p, '|');
            continue;
        }
        int32_t from = p->program->n_items;
        status = parse_atom(p);
        if (!status && p->program->n_items > from) {
            skip_extended(p);
            status = parse_quantifiers(p, from);
        }
    }
    return status;
}

pio_status pio_regex_parse(pio_regex_parser *p) {
    pio_status status = parse_alternatives(p);
    if (!status && p->at < p->end) return pio_regex_fail(p, PIO_CORRUPT, "')' without '('");
    return status;
}
