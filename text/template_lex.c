#include "text/template_lex.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "text/utf8.h"

enum { IN_DATA, IN_BLOCK, IN_PRINT };

void pio_template_lexer_begin(pio_template_lexer *lexer, const char *name, const char *source, size_t n) {
    *lexer = (pio_template_lexer){
        .name = name, .source = source, .at = source, .end = source + n, .line = 1, .line_starting = true};
}

size_t pio_template_normal_lines(char *text, size_t n) {
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n') continue;
        text[to++] = text[i] == '\r' ? '\n' : text[i];
    }
    return to;
}

bool pio_template_is_space(uint32_t c) {
    if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Behind the white space at `at`. */
static const char *skip_space(const char *at, const char *end) {
    while (at < end) {
        const char *next = at;
        if (!pio_template_is_space(pio_utf8_next(&next))) break;
        at = next;
    }
    return at;
}

/* Before the white space that ends at `end`. */
static const char *skip_space_back(const char *begin, const char *end) {
    while (end > begin) {
        const char *last = end - 1;
        while (last > begin && (*last & 0xc0) == 0x80) last--;
        const char *next = last;
        if (!pio_template_is_space(pio_utf8_next(&next))) break;
        end = last;
    }
    return end;
}

static bool starts(const char *at, const char *end, const char *word) {
    size_t n = strlen(word);
    return (size_t)(end - at) >= n && !memcmp(at, word, n);
}

static void pass(pio_template_lexer *l, const char *to) {
    for (const char *at = l->at; at < to; at++) l->line += *at == '\n';
    if (to > l->at) l->line_starting = to[-1] == '\n';
    l->at = to;
}

static pio_status corrupt(const pio_template_lexer *l, pio_error *error, const char *what) {
    return pio_fail(error, PIO_CORRUPT, "template '%s', line %d: %s", l->name, (int)l->line, what);
}

/* `at` behind "{%" and its sign: is this {% raw %}? Then *behind is behind its end. */
static bool is_raw(const char *at, const char *end, const char **behind) {
    at = skip_space(at, end);
    if (!starts(at, end, "raw")) return false;
    at = skip_space(at + 3, end);
    if (starts(at, end, "-%}"))
        *behind = skip_space(at + 3, end);
    else if (starts(at, end, "%}"))
        *behind = at + 2;
    else
        return false;
    return true;
}

/* Where the data before a tag ends: `-` takes all white space, and without a sign a block or comment takes the blanks
 * between the line's begin and itself. */
static const char *trimmed(const pio_template_lexer *l, const char *begin, const char *end, char sign, bool block) {
    if (sign == '-') return skip_space_back(begin, end);
    if (sign == '+' || !block) return end;
    const char *line = end;
    while (line > begin && line[-1] != '\n') line--;
    if (line == begin && !l->line_starting) return end;
    return skip_space(line, end) == end ? line : end;
}

/* The end tag of a block or comment at `at`, which points to its sign or to itself: behind it and the white space that
 * it takes. NULL: there is none here. */
static const char *block_end(const char *at, const char *end, const char *tag) {
    char sign = at < end ? *at : 0;
    bool has_sign = (sign == '-' || sign == '+') && starts(at + 1, end, tag);
    if (!has_sign && !starts(at, end, tag)) return NULL;
    at += strlen(tag) + has_sign;
    if (!has_sign) return at < end && *at == '\n' ? at + 1 : at;
    return sign == '-' ? skip_space(at, end) : at;
}

static pio_status skip_comment(pio_template_lexer *l, const char *from, pio_error *error) {
    for (const char *at = from; at < l->end; at++) {
        const char *behind = block_end(at, l->end, "#}");
        if (!behind) continue;
        pass(l, behind);
        return PIO_OK;
    }
    return corrupt(l, error, "a comment begins here that has no end '#}'");
}

static void give(pio_template_token *token, pio_template_token_kind kind, int32_t line, const char *text,
                 const char *end) {
    *token = (pio_template_token){kind, line, text, (size_t)(end - text)};
}

/* Behind {% raw %}: the data up to {% endraw %}. */
static pio_status raw_data(pio_template_lexer *l, pio_template_token *token, pio_error *error) {
    const char *begin = l->at;
    l->raw = false;
    for (const char *at = begin; at < l->end; at++) {
        if (!starts(at, l->end, "{%")) continue;
        const char *in = at + 2;
        char sign = in < l->end && (*in == '-' || *in == '+') ? *in++ : 0;
        in = skip_space(in, l->end);
        if (!starts(in, l->end, "endraw")) continue;
        const char *behind = block_end(skip_space(in + 6, l->end), l->end, "%}");
        if (!behind) continue;
        give(token, PIO_TOKEN_DATA, l->line, begin, trimmed(l, begin, at, sign, true));
        pass(l, behind);
        return PIO_OK;
    }
    return corrupt(l, error, "{% raw %} has no {% endraw %}");
}

/* Data up to the next tag, which is entered; *gave is false if there was none. */
static pio_status lex_data(pio_template_lexer *l, pio_template_token *token, bool *gave, pio_error *error) {
    if (l->raw) {
        *gave = true;
        return raw_data(l, token, error);
    }
    const char *begin = l->at, *at = begin;
    while (at < l->end && !(*at == '{' && at + 1 < l->end && (at[1] == '%' || at[1] == '{' || at[1] == '#'))) at++;
    const char *in = PIO_MIN(at + 2, l->end), *data_end = l->end, *behind;
    char tag = at < l->end ? at[1] : 0, sign = 0;
    if (tag) {
        if (in < l->end && (*in == '-' || *in == '+')) sign = *in++;
        data_end = trimmed(l, begin, at, sign, tag != '{');
    }
    give(token, PIO_TOKEN_DATA, l->line, begin, data_end);
    *gave = data_end > begin;
    pass(l, at);
    if (tag == '#') return skip_comment(l, in, error);
    if (tag == '%' && is_raw(in, l->end, &behind)) {
        pass(l, behind);
        l->raw = true;
    } else if (tag) {
        l->state = tag == '%' ? IN_BLOCK : IN_PRINT; /* at `at`: the tag's own token comes next */
        l->n_open = -1;
    }
    return PIO_OK;
}

static bool is_digit(const char *at, const char *end) {
    return at < end && *at >= '0' && *at <= '9';
}

/* Digits with single underscores between them; `at` if there are none. */
static const char *digits(const char *at, const char *end) {
    if (!is_digit(at, end)) return at;
    while (is_digit(at, end) || (at < end && *at == '_' && is_digit(at + 1, end))) at++;
    return at;
}

static const char *float_end(const pio_template_lexer *l) {
    const char *at = l->at, *whole = digits(at, l->end), *p = whole, *end = l->end;
    if (whole == at || (at > l->source && at[-1] == '.')) return NULL;
    bool fraction = p < end && *p == '.' && is_digit(p + 1, end);
    if (fraction) p = digits(p + 1, end);
    if (p < end && (*p | 0x20) == 'e') {
        const char *exponent = p + 1;
        if (exponent < end && (*exponent == '+' || *exponent == '-')) exponent++;
        if (is_digit(exponent, end)) return digits(exponent, end);
    }
    return fraction ? p : NULL;
}

static bool digit_of_base(const char *at, const char *end, int base) {
    if (at >= end) return false;
    char c = *at | 0x20;
    if (base == 16 && c >= 'a' && c <= 'f') return true;
    return *at >= '0' && *at < '0' + PIO_MIN(base, 10);
}

static const char *integer_end(const pio_template_lexer *l) {
    const char *at = l->at, *end = l->end;
    if (!is_digit(at, end)) return NULL;
    if (*at != '0') return digits(at, end);
    char c = at + 1 < end ? at[1] | 0x20 : 0;
    int base = c == 'b' ? 2 : c == 'o' ? 8 : c == 'x' ? 16 : 0;
    const char *p = at + 2;
    while (base && (digit_of_base(p, end, base) || (p < end && *p == '_' && digit_of_base(p + 1, end, base)))) p++;
    if (base && p > at + 2) return p;
    for (p = at + 1; p < end && (*p == '0' || (*p == '_' && p + 1 < end && p[1] == '0'));) p++;
    return p;
}

/* Letters beyond ASCII are taken as they come: names are only compared with each other. */
static const char *name_end(const char *at, const char *end) {
    while (at < end) {
        unsigned char c = (unsigned char)*at;
        if (c >= 0x80) {
            const char *next = at;
            if (pio_template_is_space(pio_utf8_next(&next))) break;
            at = next;
        } else if (c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) {
            at++;
        } else {
            break;
        }
    }
    return at;
}

static const char *string_end(const pio_template_lexer *l) {
    for (const char *at = l->at + 1; at < l->end; at++) {
        if (*at == '\\')
            at++;
        else if (*at == *l->at)
            return at + 1;
    }
    return NULL;
}

static const struct {
    char text[3];
    uint8_t kind;
} operators[] = {
    {"//", PIO_TOKEN_FLOORDIV}, {"**", PIO_TOKEN_POW},     {"==", PIO_TOKEN_EQ},    {"!=", PIO_TOKEN_NE},
    {">=", PIO_TOKEN_GE},       {"<=", PIO_TOKEN_LE},      {"+", PIO_TOKEN_ADD},    {"-", PIO_TOKEN_SUB},
    {"/", PIO_TOKEN_DIV},       {"*", PIO_TOKEN_MUL},      {"%", PIO_TOKEN_MOD},    {"~", PIO_TOKEN_TILDE},
    {"[", PIO_TOKEN_LBRACKET},  {"]", PIO_TOKEN_RBRACKET}, {"(", PIO_TOKEN_LPAREN}, {")", PIO_TOKEN_RPAREN},
    {"{", PIO_TOKEN_LBRACE},    {"}", PIO_TOKEN_RBRACE},   {">", PIO_TOKEN_GT},     {"<", PIO_TOKEN_LT},
    {"=", PIO_TOKEN_ASSIGN},    {".", PIO_TOKEN_DOT},      {":", PIO_TOKEN_COLON},  {"|", PIO_TOKEN_PIPE},
    {",", PIO_TOKEN_COMMA},     {";", PIO_TOKEN_SEMICOLON}};

static pio_status balance(pio_template_lexer *l, char sign, pio_error *error) {
    const char *pair = strchr("()[]{}", sign);
    if (!pair || !sign) return PIO_OK;
    if (strchr("([{", sign)) {
        if (l->n_open == PIO_TEMPLATE_NESTING)
            return pio_fail(error, PIO_LIMIT, "template '%s', line %d: brackets nest more than %d deep", l->name,
                            (int)l->line, PIO_TEMPLATE_NESTING);
        l->open[l->n_open++] = pair[1];
        return PIO_OK;
    }
    if (l->n_open && l->open[l->n_open - 1] == sign) {
        l->n_open--;
        return PIO_OK;
    }
    char what[64];
    if (l->n_open)
        snprintf(what, sizeof what, "'%c' where '%c' is due", sign, l->open[l->n_open - 1]);
    else
        snprintf(what, sizeof what, "'%c' closes nothing", sign);
    return corrupt(l, error, what);
}

static pio_status lex_operator(pio_template_lexer *l, pio_template_token *token, pio_error *error) {
    for (size_t i = 0; i < PIO_COUNT(operators); i++) {
        if (!starts(l->at, l->end, operators[i].text)) continue;
        const char *behind = l->at + strlen(operators[i].text);
        give(token, (pio_template_token_kind)operators[i].kind, l->line, l->at, behind);
        pio_status status = operators[i].text[1] ? PIO_OK : balance(l, *l->at, error);
        pass(l, behind);
        return status;
    }
    char what[64];
    const char *next = l->at;
    pio_utf8_next(&next);
    snprintf(what, sizeof what, "'%.*s' has no meaning in a tag", (int)(next - l->at), l->at);
    return corrupt(l, error, what);
}

/* Inside a tag, at something that is no white space. */
static pio_status lex_tag(pio_template_lexer *l, pio_template_token *token, pio_error *error) {
    const char *behind = NULL;
    bool block = l->state == IN_BLOCK;
    if (!l->n_open) {
        if (block)
            behind = block_end(l->at, l->end, "%}");
        else if (starts(l->at, l->end, "-}}"))
            behind = skip_space(l->at + 3, l->end);
        else if (starts(l->at, l->end, "}}"))
            behind = l->at + 2;
        if (behind) {
            give(token, block ? PIO_TOKEN_BLOCK_END : PIO_TOKEN_PRINT_END, l->line, l->at, behind);
            pass(l, behind);
            l->state = IN_DATA;
            return PIO_OK;
        }
    }
    pio_template_token_kind kind = PIO_TOKEN_NAME;
    if ((behind = float_end(l)))
        kind = PIO_TOKEN_FLOAT;
    else if ((behind = integer_end(l)))
        kind = PIO_TOKEN_INTEGER;
    else if ((behind = name_end(l->at, l->end)) > l->at)
        kind = PIO_TOKEN_NAME;
    else if ((*l->at == '\'' || *l->at == '"') && (behind = string_end(l)))
        kind = PIO_TOKEN_STRING;
    else if (*l->at == '\'' || *l->at == '"')
        return corrupt(l, error, "a string begins here that has no end");
    else
        return lex_operator(l, token, error);
    give(token, kind, l->line, l->at, behind);
    pass(l, behind);
    return PIO_OK;
}

pio_status pio_template_lexer_next(pio_template_lexer *l, pio_template_token *token, pio_error *error) {
    for (;;) {
        if (l->state != IN_DATA && l->n_open < 0) { /* at the begin of a tag */
            bool block = l->state == IN_BLOCK;
            const char *behind = l->at + 2;
            if (behind < l->end && (*behind == '-' || *behind == '+')) behind++;
            give(token, block ? PIO_TOKEN_BLOCK_BEGIN : PIO_TOKEN_PRINT_BEGIN, l->line, l->at, behind);
            pass(l, behind);
            l->n_open = 0;
            return PIO_OK;
        }
        if (l->at == l->end && !l->raw) {
            give(token, PIO_TOKEN_END, l->line, l->at, l->at);
            return PIO_OK;
        }
        if (l->state != IN_DATA) {
            pass(l, skip_space(l->at, l->end));
            if (l->at < l->end) return lex_tag(l, token, error);
            continue;
        }
        bool gave = false;
        pio_status status = lex_data(l, token, &gave, error);
        if (status || gave) return status;
    }
}
