/* Tokens, nodes and errors for the parser. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text/template_compile.h"

bool pio_template_advance(pio_template_parser *p) {
    if (p->status) return false;
    p->now = p->after;
    p->status = pio_template_lexer_next(&p->lexer, &p->after, p->error);
    return !p->status;
}

bool pio_template_is_word(const pio_template_token *token, const char *word) {
    size_t n = strlen(word);
    return token->kind == PIO_TOKEN_NAME && token->n == n && !memcmp(token->text, word, n);
}

bool pio_template_skip(pio_template_parser *p, pio_template_token_kind kind) {
    return !p->status && p->now.kind == kind && pio_template_advance(p);
}

bool pio_template_skip_word(pio_template_parser *p, const char *word) {
    return !p->status && pio_template_is_word(&p->now, word) && pio_template_advance(p);
}

bool pio_template_expect(pio_template_parser *p, pio_template_token_kind kind, const char *what) {
    if (p->status) return false;
    if (p->now.kind == kind) return pio_template_advance(p);
    char room[96];
    pio_template_mistake(p, PIO_CORRUPT, p->now.line, "%s stands where %s is due", pio_template_describe(&p->now, room),
                         what);
    return false;
}

void *pio_template_mistake(pio_template_parser *p, pio_status status, int32_t line, const char *format, ...) {
    if (p->status) return NULL;
    p->status = status;
    char what[700];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    pio_fail(p->error, status, "template '%s', line %d: %s", p->result->name, (int)line, what);
    return NULL;
}

void *pio_template_take(pio_template_parser *p, size_t bytes) {
    if (p->status) return NULL;
    void *memory = pio_template_arena_take(&p->result->arena, bytes);
    if (!memory) {
        if (pio_template_arena_limited(&p->result->arena))
            return pio_template_mistake(p, PIO_LIMIT, p->now.line, "compiling takes more than %zu bytes of memory",
                                        p->result->arena.limit_bytes);
        p->status = pio_fail_memory(p->error, "a compiled template", bytes);
    }
    return memory;
}

pio_template_node *pio_template_node_new(pio_template_parser *p, pio_template_node_kind kind, int32_t line) {
    pio_template_node *node = pio_template_take(p, sizeof *node);
    if (node) {
        node->kind = (uint8_t)kind;
        node->line = line;
    }
    return node;
}

const pio_template_word *pio_template_intern(pio_template_parser *p, const char *text, size_t n) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    pio_template_word **bucket = &p->names[(hash ^ hash >> 16) % PIO_TEMPLATE_NAME_BUCKETS];
    for (pio_template_word *name = *bucket; name; name = name->next)
        if (name->n == n && !memcmp(name->bytes, text, n)) return name;
    pio_template_word *name = pio_template_take(p, sizeof *name);
    char *copy = pio_template_take(p, n + 1);
    if (!name || !copy) return NULL;
    memcpy(copy, text, n);
    *name = (pio_template_word){.next = *bucket, .bytes = copy, .n = (uint32_t)n};
    return *bucket = name;
}

const pio_template_word *pio_template_read_name(pio_template_parser *p, const char *what) {
    if (p->status) return NULL;
    pio_template_token token = p->now;
    return pio_template_expect(p, PIO_TOKEN_NAME, what) ? pio_template_intern(p, token.text, token.n) : NULL;
}

bool pio_template_deeper(pio_template_parser *p) {
    if (p->status) return false;
    if (p->depth >= PIO_TEMPLATE_NESTING) {
        pio_template_mistake(p, PIO_LIMIT, p->now.line, "expressions and statements nest more than %d deep",
                             PIO_TEMPLATE_NESTING);
        return false;
    }
    p->depth++;
    return true;
}
