/* Tokens that a tokenizer file adds to the model's vocabulary, and finding them in text before anything is split.
 * Matching is leftmost, then longest, as in the reference. */
#ifndef PIO_TEXT_ADDED_TOKENS_H
#define PIO_TEXT_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/unicode.h"

typedef struct pio_added_token {
    char *content; /* as the file has it */
    size_t n_content;
    char *matched; /* what is looked for and what decoding sees: normalized where the token wants that */
    size_t n_matched;
    int32_t id;
    bool single_word;    /* only where no word character touches it */
    bool lstrip, rstrip; /* takes the white space before and behind it along */
    bool normalized;     /* looked for in normalized text, else in the text as it comes */
    bool special;
} pio_added_token;

typedef struct pio_trie_node {
    int32_t child, sibling; /* -1: none */
    int32_t token;          /* that ends here, -1: none */
    uint8_t byte;
} pio_trie_node;

typedef struct pio_trie {
    pio_trie_node *nodes;
    int32_t n_nodes, nodes_capacity;
    int32_t root[256]; /* by first byte, -1: no token begins so */
} pio_trie;

typedef struct pio_added_tokens {
    pio_added_token *tokens;
    int32_t n_tokens, tokens_capacity;
    pio_trie tries[2];          /* [normalized] */
    pio_char_set words, spaces; /* for single_word and lstrip/rstrip */
} pio_added_tokens;

void pio_added_tokens_free(pio_added_tokens *added);

/* After the last token: the tries and sets. PIO_OUT_OF_MEMORY. */
pio_status pio_added_tokens_finish(pio_added_tokens *added, pio_error *error);

typedef struct pio_added_match {
    size_t begin, end; /* bytes, with the white space that it takes along */
    int32_t token;     /* its index */
} pio_added_match;

/* Finds the next token at or behind *at in text[0, n_bytes) and moves *at behind it. `from` is where the text begins
 * that no earlier match has taken. False: none is left. */
bool pio_added_tokens_next(const pio_added_tokens *added, bool normalized, const char *text, size_t n_bytes,
                           size_t from, size_t *at, pio_added_match *match);

#endif
