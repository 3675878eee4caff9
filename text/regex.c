#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/compiler.h"
#include "text/regex_parse.h"

enum {
    BLOCK = 128, /* code points that share an entry of the first stage */
    N_BLOCKS = (PIO_UNICODE_LAST + 1) / BLOCK,
    MAX_KINDS = 255,
    /* Steps from one place of the text: patterns in use need some tens, and a few for each character of a run of
     * spaces, which may be as long as the text. */
    MATCH_LIMIT = 1000000,
    MATCH_LIMIT_OF_BYTE = 4,
    STACK_BYTES = 8 << 20, /* most that a match may keep to go back to */
};

struct pio_regex {
    pcre2_code *code;
    bool jit;
    uint16_t *block_of;      /* [N_BLOCKS]: a code point's block */
    uint8_t (*kinds)[BLOCK]; /* [n_blocks][BLOCK]: its kind */
};

void pio_regex_free(pio_regex *regex) {
    if (!regex) return;
    pcre2_code_free(regex->code);
    free(regex->block_of);
    free(regex->kinds);
    free(regex);
}

/* The cut of Unicode into kinds: code points of a kind lie in exactly the same sets. */
typedef struct kind_table {
    const pio_regex_program *program;
    pio_spans cuts;                              /* begin: the first code point of an interval, end: its kind */
    uint64_t (*member)[PIO_REGEX_MAX_SETS / 64]; /* [MAX_KINDS]: bit s: in set s */
    int n_kinds;
} kind_table;

static int compare_codes(const void *a, const void *b) {
    uint32_t x = ((const pio_span *)a)->begin, y = ((const pio_span *)b)->begin;
    return (x > y) - (x < y);
}

static bool cut_at(kind_table *table, uint32_t code) {
    pio_span *cut = PIO_PUSH(&table->cuts, items);
    if (cut) cut->begin = code;
    return cut != NULL;
}

/* All places where a set begins or ends, sorted, each once. */
static bool find_cuts(kind_table *table) {
    if (!cut_at(table, 0)) return false;
    for (int32_t s = 0; s < table->program->n_sets; s++) {
        const pio_char_set *set = &table->program->sets[s];
        for (int32_t i = 0; i < set->n_ranges; i++) {
            if (!cut_at(table, set->ranges[i].first)) return false;
            if (set->ranges[i].last < PIO_UNICODE_LAST && !cut_at(table, set->ranges[i].last + 1)) return false;
        }
    }
    pio_span *items = table->cuts.items;
    qsort(items, (size_t)table->cuts.n_items, sizeof *items, compare_codes);
    int32_t n = 1;
    for (int32_t i = 1; i < table->cuts.n_items; i++) {
        if (items[i].begin != items[n - 1].begin) items[n++] = items[i];
    }
    table->cuts.n_items = n;
    return true;
}

/* Gives each interval the kind of its sets. */
static pio_status find_kinds(kind_table *table, pio_error *error) {
    const pio_regex_program *program = table->program;
    int32_t next[PIO_REGEX_MAX_SETS] = {0}; /* by set: its first range that ends at or behind the interval */
    for (int32_t i = 0; i < table->cuts.n_items; i++) {
        uint64_t member[PIO_REGEX_MAX_SETS / 64] = {0};
        uint32_t code = table->cuts.items[i].begin;
        for (int32_t s = 0; s < program->n_sets; s++) {
            const pio_char_set *set = &program->sets[s];
            while (next[s] < set->n_ranges && set->ranges[next[s]].last < code) next[s]++;
            if (next[s] < set->n_ranges && set->ranges[next[s]].first <= code) member[s / 64] |= 1ull << (s % 64);
        }
        int kind = 0;
        while (kind < table->n_kinds && memcmp(table->member[kind], member, sizeof member) != 0) kind++;
        if (kind == MAX_KINDS)
            return pio_fail(error, PIO_UNSUPPORTED, "it tells more than %d kinds of characters apart", MAX_KINDS);
        if (kind == table->n_kinds) memcpy(table->member[table->n_kinds++], member, sizeof member);
        table->cuts.items[i].end = (uint32_t)kind;
    }
    return PIO_OK;
}

/* The two stages that map a code point to its kind; blocks of one kind alone are shared. */
static bool make_stages(const kind_table *table, pio_regex *regex) {
    int32_t n_blocks = 0, n_allocated = table->n_kinds + table->cuts.n_items;
    int32_t uniform[MAX_KINDS];
    memset(uniform, -1, sizeof uniform);
    regex->block_of = malloc(sizeof *regex->block_of * N_BLOCKS);
    regex->kinds = malloc(sizeof *regex->kinds * (size_t)n_allocated);
    if (!regex->block_of || !regex->kinds) return false;
    const pio_span *cut = table->cuts.items, *end = cut + table->cuts.n_items;
    for (uint32_t block = 0; block < N_BLOCKS; block++) {
        uint32_t first = block * BLOCK;
        while (cut + 1 < end && cut[1].begin <= first) cut++;
        bool whole = cut + 1 == end || cut[1].begin >= first + BLOCK;
        if (whole && uniform[cut->end] >= 0) {
            regex->block_of[block] = (uint16_t)uniform[cut->end];
            continue;
        }
        if (whole) uniform[cut->end] = n_blocks;
        regex->block_of[block] = (uint16_t)n_blocks;
        for (uint32_t i = 0; i < BLOCK; i++) {
            while (cut + 1 < end && cut[1].begin <= first + i) cut++;
            regex->kinds[n_blocks][i] = (uint8_t)cut->end;
        }
        n_blocks++;
    }
    return true;
}

static bool put_kind(pio_text *out, int kind) {
    static const char hex[] = "0123456789abcdef";
    return pio_text_append(out, (char[]){'\\', 'x', hex[kind >> 4], hex[kind & 15]}, 4);
}

/* A set as a class of kinds; kinds in sequence become ranges. */
static bool put_class(pio_text *out, const kind_table *table, int32_t set) {
    int n = 0;
    for (int kind = 0; kind < table->n_kinds; kind++) n += table->member[kind][set / 64] >> (set % 64) & 1;
    if (!n) return pio_text_append(out, "(?!)", 4);
    if (!pio_text_append(out, "[", 1)) return false;
    for (int kind = 0; kind < table->n_kinds; kind++) {
        int last = kind;
        while (last < table->n_kinds && (table->member[last][set / 64] >> (set % 64) & 1)) last++;
        if (last == kind) continue;
        if (!put_kind(out, kind)) return false;
        if (last - kind > 1 && !(pio_text_append(out, "-", 1) && put_kind(out, last - 1))) return false;
        kind = last;
    }
    return pio_text_append(out, "]", 1);
}

static pio_status compile_code(const kind_table *table, pio_regex *regex, pio_error *error) {
    pio_text pattern = {0};
    bool ok = true;
    for (int32_t i = 0; i < table->program->n_items && ok; i++) {
        int32_t value = table->program->items[i].value;
        char c = (char)value;
        ok = value >= PIO_REGEX_SET ? put_class(&pattern, table, value - PIO_REGEX_SET)
                                    : pio_text_append(&pattern, &c, 1);
    }
    pio_status status = PIO_OK;
    int number = 0;
    PCRE2_SIZE offset;
    if (!ok) {
        status = pio_fail_memory(error, "a regular expression", pattern.n_bytes);
    } else {
        regex->code =
            pcre2_compile((PCRE2_SPTR)(pattern.bytes ? pattern.bytes : ""), pattern.n_bytes,
                          PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE, &number, &offset, NULL);
        if (!regex->code) {
            PCRE2_UCHAR reason[160];
            pcre2_get_error_message(number, reason, sizeof reason);
            status = pio_fail(error, PIO_UNSUPPORTED, "PCRE2 says: %s", (const char *)reason);
        } else {
            regex->jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
        }
    }
    pio_text_free(&pattern);
    return status;
}

/* Takes the program and frees it. */
static pio_status compile_program(pio_regex_program *program, pio_regex **out, pio_error *error) {
    kind_table table = {.program = program};
    pio_regex *regex = calloc(1, sizeof *regex);
    table.member = calloc(MAX_KINDS, sizeof *table.member);
    pio_status status = PIO_OK;
    bool ok = regex && table.member && find_cuts(&table);
    if (ok) status = find_kinds(&table, error);
    if (ok && !status) ok = make_stages(&table, regex);
    if (ok && !status) status = compile_code(&table, regex, error);
    if (!ok) status = pio_fail_memory(error, "a regular expression", sizeof *regex);
    free(table.member);
    free(table.cuts.items);
    pio_regex_program_free(program);
    if (status)
        pio_regex_free(regex);
    else
        *out = regex;
    return status;
}

static pio_status compile(const char *pattern, size_t n_bytes, bool step_names, pio_regex **out, pio_error *error) {
    *out = NULL;
    pio_regex_program program = {0};
    pio_regex_parser parser = {.begin = pattern,
                               .at = pattern,
                               .end = pattern + n_bytes,
                               .program = &program,
                               .step_names = step_names,
                               .error = error};
    pio_status status = pio_regex_parse(&parser);
    if (status) {
        pio_regex_program_free(&program);
        return status;
    }
    return compile_program(&program, out, error);
}

pio_status pio_regex_compile(const char *pattern, size_t n_bytes, pio_regex **out, pio_error *error) {
    return compile(pattern, n_bytes, false, out, error);
}

pio_status pio_regex_compile_step(const char *pattern, pio_regex **out, pio_error *error) {
    return compile(pattern, strlen(pattern), true, out, error);
}

pio_status pio_regex_compile_literal(const char *literal, size_t n_bytes, pio_regex **out, pio_error *error) {
    *out = NULL;
    pio_text pattern = {0};
    for (size_t i = 0; i < n_bytes; i++) {
        bool plain = (literal[i] & 0x80) || (literal[i] >= '0' && literal[i] <= '9') ||
                     (literal[i] >= 'A' && literal[i] <= 'Z') || (literal[i] >= 'a' && literal[i] <= 'z') ||
                     (unsigned char)literal[i] <= ' ';
        if ((!plain && !pio_text_append(&pattern, "\\", 1)) || !pio_text_append(&pattern, literal + i, 1)) {
            pio_text_free(&pattern);
            return pio_fail_memory(error, "a pattern", n_bytes);
        }
    }
    pio_status status = pio_regex_compile(pattern.bytes ? pattern.bytes : "", pattern.n_bytes, out, error);
    pio_text_free(&pattern);
    return status;
}

void pio_regex_scratch_free(pio_regex_scratch *scratch) {
    free(scratch->kinds);
    pcre2_match_data_free(scratch->match);
    pcre2_match_context_free(scratch->context);
    pcre2_jit_stack_free(scratch->stack);
    *scratch = (pio_regex_scratch){0};
}

/* One byte a character into scratch->kinds; the number of characters. */
static size_t translate(const pio_regex *regex, uint8_t *kinds, const char *text, size_t n_bytes) {
    const char *at = text, *end = text + n_bytes;
    const uint8_t *ascii = regex->kinds[regex->block_of[0]];
    uint8_t *to = kinds;
    while (at < end) {
        if (!(*at & 0x80)) {
            *to++ = ascii[(unsigned char)*at++];
            continue;
        }
        uint32_t code = pio_utf8_next(&at);
        *to++ = regex->kinds[regex->block_of[code / BLOCK]][code % BLOCK];
    }
    return (size_t)(to - kinds);
}

static pio_status prepare(pio_regex_scratch *scratch, size_t n_bytes, pio_error *error) {
    if (!scratch->match) scratch->match = pcre2_match_data_create(1, NULL);
    if (!scratch->context) {
        scratch->context = pcre2_match_context_create(NULL);
        if (scratch->context) pcre2_set_heap_limit(scratch->context, STACK_BYTES / 1024);
    }
    if (!scratch->match || !scratch->context) return pio_fail_memory(error, "a search", n_bytes);
    pcre2_set_match_limit(scratch->context,
                          (uint32_t)PIO_MIN(MATCH_LIMIT + (uint64_t)MATCH_LIMIT_OF_BYTE * n_bytes, UINT32_MAX));
    if (n_bytes > scratch->kinds_capacity) {
        size_t capacity = n_bytes + n_bytes / 4 + 64;
        free(scratch->kinds);
        scratch->kinds = malloc(capacity);
        scratch->kinds_capacity = scratch->kinds ? capacity : 0;
        if (!scratch->kinds) return pio_fail_memory(error, "a search", capacity);
    }
    return PIO_OK;
}

/* Searches from `start`: PCRE2's result, with a larger stack where the first does not suffice. */
static int search(const pio_regex *regex, pio_regex_scratch *scratch, size_t n_kinds, size_t start) {
    PCRE2_SPTR subject = scratch->kinds;
    if (!regex->jit) return pcre2_match(regex->code, subject, n_kinds, start, 0, scratch->match, scratch->context);
    int found = pcre2_jit_match(regex->code, subject, n_kinds, start, 0, scratch->match, scratch->context);
    if (found != PCRE2_ERROR_JIT_STACKLIMIT || scratch->stack) return found;
    scratch->stack = pcre2_jit_stack_create(64 << 10, STACK_BYTES, NULL);
    if (!scratch->stack) return PCRE2_ERROR_NOMEMORY;
    pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
    return pcre2_jit_match(regex->code, subject, n_kinds, start, 0, scratch->match, scratch->context);
}

pio_status pio_regex_find_all(const pio_regex *regex, pio_regex_scratch *scratch, const char *text, size_t n_bytes,
                              pio_spans *matches, pio_error *error) {
    matches->n_items = 0;
    if (!n_bytes) return PIO_OK;
    pio_status status = prepare(scratch, n_bytes, error);
    if (status) return status;
    const size_t n_kinds = translate(regex, scratch->kinds, text, n_bytes);
    const bool ascii = n_kinds == n_bytes;
    const PCRE2_SIZE *vector = pcre2_get_ovector_pointer(scratch->match);
    size_t start = 0, last_end = SIZE_MAX; /* in characters */
    size_t character = 0, byte = 0;        /* the same place, to count bytes from */
    while (start <= n_kinds) {
        int found = search(regex, scratch, n_kinds, start);
        if (found == PCRE2_ERROR_NOMATCH) return PIO_OK;
        if (found == PCRE2_ERROR_NOMEMORY) return pio_fail_memory(error, "a search", n_bytes);
        if (found < 0)
            return pio_fail(error, PIO_LIMIT,
                            "a regular expression tries too many ways to match at byte %zu of a text of %zu bytes; "
                            "use a simpler pattern or a shorter text",
                            byte, n_bytes);
        size_t begin = vector[0], end = vector[1];
        if (begin == end && end == last_end) {
            start = end + 1;
            continue;
        }
        start = last_end = end;
        pio_span *span = PIO_PUSH(matches, items);
        if (!span) return pio_fail_memory(error, "the pieces of a text", n_bytes);
        if (ascii) {
            *span = (pio_span){(uint32_t)begin, (uint32_t)end};
            byte = end;
            continue;
        }
        for (; character < begin; character++) byte += pio_utf8_length((unsigned char)text[byte]);
        span->begin = (uint32_t)byte;
        for (; character < end; character++) byte += pio_utf8_length((unsigned char)text[byte]);
        span->end = (uint32_t)byte;
    }
    return PIO_OK;
}

pio_status pio_regex_replace(const pio_regex *regex, pio_regex_scratch *scratch, pio_spans *matches, const char *text,
                             size_t n_bytes, const pio_text *by, pio_text *out, pio_error *error) {
    pio_status status = pio_regex_find_all(regex, scratch, text, n_bytes, matches, error);
    if (status) return status;
    size_t at = 0;
    bool ok = true;
    for (int32_t i = 0; i < matches->n_items && ok; i++) {
        pio_span match = matches->items[i];
        ok = pio_text_append(out, text + at, match.begin - at) && pio_text_append(out, by->bytes, by->n_bytes);
        at = match.end;
    }
    ok = ok && pio_text_append(out, text + at, n_bytes - at);
    return ok ? PIO_OK : pio_fail_memory(error, "a text with replacements", n_bytes);
}
