/* A template's text as tokens: data between the tags, and the words and signs inside them. White space, comments and
 * `raw` are dealt with here. */
#ifndef PIO_TEXT_TEMPLATE_LEX_H
#define PIO_TEXT_TEMPLATE_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum pio_template_token_kind {
    PIO_TOKEN_END,
    PIO_TOKEN_DATA,
    PIO_TOKEN_BLOCK_BEGIN,
    PIO_TOKEN_BLOCK_END,
    PIO_TOKEN_PRINT_BEGIN,
    PIO_TOKEN_PRINT_END,
    PIO_TOKEN_NAME,
    PIO_TOKEN_STRING,
    PIO_TOKEN_INTEGER,
    PIO_TOKEN_FLOAT,
    PIO_TOKEN_ADD,
    PIO_TOKEN_SUB,
    PIO_TOKEN_MUL,
    PIO_TOKEN_DIV,
    PIO_TOKEN_FLOORDIV,
    PIO_TOKEN_MOD,
    PIO_TOKEN_POW,
    PIO_TOKEN_TILDE,
    PIO_TOKEN_LBRACKET,
    PIO_TOKEN_RBRACKET,
    PIO_TOKEN_LPAREN,
    PIO_TOKEN_RPAREN,
    PIO_TOKEN_LBRACE,
    PIO_TOKEN_RBRACE,
    PIO_TOKEN_EQ,
    PIO_TOKEN_NE,
    PIO_TOKEN_GT,
    PIO_TOKEN_GE,
    PIO_TOKEN_LT,
    PIO_TOKEN_LE,
    PIO_TOKEN_ASSIGN,
    PIO_TOKEN_DOT,
    PIO_TOKEN_COLON,
    PIO_TOKEN_PIPE,
    PIO_TOKEN_COMMA,
    PIO_TOKEN_SEMICOLON
} pio_template_token_kind;

typedef struct pio_template_token {
    pio_template_token_kind kind;
    int32_t line;
    const char *text; /* as it stands in the source; strings with their quotes */
    size_t n;
} pio_template_token;

enum { PIO_TEMPLATE_NESTING = 200 };

typedef struct pio_template_lexer {
    const char *name;   /* of the template */
    const char *source; /* line ends are \n */
    const char *end, *at;
    int32_t line;
    uint8_t state; /* data, block, print */
    bool line_starting;
    bool raw;
    int32_t n_open;
    char open[PIO_TEMPLATE_NESTING]; /* the closing signs that are due */
} pio_template_lexer;

/* `source` has \n as line end and none at its end (pio_template_normal_lines makes it so); it must outlive the tokens.
 */
void pio_template_lexer_begin(pio_template_lexer *lexer, const char *name, const char *source, size_t n);

/* The next token; at the end PIO_TOKEN_END, again and again. PIO_CORRUPT, PIO_LIMIT. */
pio_status pio_template_lexer_next(pio_template_lexer *lexer, pio_template_token *token, pio_error *error);

/* Turns \r\n and \r into \n in place and returns the new length. */
size_t pio_template_normal_lines(char *text, size_t n);

/* The value of a string token into `out` (room for 10 bytes for each of the token's), its length in *n. */
pio_status pio_template_unescape(const pio_template_lexer *lexer, const pio_template_token *token, char *out, size_t *n,
                                 pio_error *error);

/* Python's str.isspace for one character. */
bool pio_template_is_space(uint32_t code);

/* "'end of statement block'" and the like: how an error names a token. At most 80 bytes. */
const char *pio_template_describe(const pio_template_token *token, char room[96]);

#endif
