#include "text/added_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "text/utf8.h"

void pio_added_tokens_free(pio_added_tokens *added) {
    for (int32_t i = 0; i < added->n_tokens; i++) {
        free(added->tokens[i].content);
        free(added->tokens[i].matched);
    }
    free(added->tokens);
    free(added->tries[0].nodes);
    free(added->tries[1].nodes);
    pio_char_set_free(&added->words);
    pio_char_set_free(&added->spaces);
    *added = (pio_added_tokens){0};
}

static int32_t add_node(pio_trie *trie, uint8_t byte, int32_t sibling) {
    pio_trie_node *node = PIO_PUSH(trie, nodes);
    if (!node) return -1;
    *node = (pio_trie_node){.child = -1, .sibling = sibling, .token = -1, .byte = byte};
    return trie->n_nodes - 1;
}

static int32_t find_child(const pio_trie *trie, int32_t node, uint8_t byte) {
    int32_t child = trie->nodes[node].child;
    while (child >= 0 && trie->nodes[child].byte != byte) child = trie->nodes[child].sibling;
    return child;
}

/* Of two tokens with the same text the later one counts. */
static bool insert(pio_trie *trie, const pio_added_token *token, int32_t index) {
    const uint8_t *bytes = (const uint8_t *)token->matched;
    if (!token->n_matched) return true;
    if (trie->root[bytes[0]] < 0 && (trie->root[bytes[0]] = add_node(trie, bytes[0], -1)) < 0) return false;
    int32_t node = trie->root[bytes[0]];
    for (size_t i = 1; i < token->n_matched; i++) {
        int32_t child = find_child(trie, node, bytes[i]);
        if (child < 0) {
            child = add_node(trie, bytes[i], trie->nodes[node].child);
            if (child < 0) return false;
            trie->nodes[node].child = child;
        }
        node = child;
    }
    trie->nodes[node].token = index;
    return true;
}

pio_status pio_added_tokens_finish(pio_added_tokens *added, pio_error *error) {
    memset(added->tries[0].root, -1, sizeof added->tries[0].root);
    memset(added->tries[1].root, -1, sizeof added->tries[1].root);
    bool ok = pio_char_set_add_property(&added->words, "!stepword", 9, false) == PIO_PROPERTY_ADDED &&
              pio_char_set_add_property(&added->spaces, "!stepspace", 10, false) == PIO_PROPERTY_ADDED;
    for (int32_t i = 0; ok && i < added->n_tokens; i++)
        ok = insert(&added->tries[added->tokens[i].normalized], &added->tokens[i], i);
    return ok ? PIO_OK : pio_fail_memory(error, "the added tokens", sizeof *added);
}

/* The longest token that begins at `at`; its end, or 0. */
static size_t longest(const pio_trie *trie, const char *text, size_t at, size_t n_bytes, int32_t *token) {
    int32_t node = trie->root[(unsigned char)text[at]];
    size_t end = 0;
    while (node >= 0) {
        at++;
        if (trie->nodes[node].token >= 0) {
            *token = trie->nodes[node].token;
            end = at;
        }
        node = at < n_bytes ? find_child(trie, node, (uint8_t)text[at]) : -1;
    }
    return end;
}

static bool holds(const pio_char_set *set, const char *at) {
    return pio_char_set_contains(set, pio_utf8_next(&at));
}

bool pio_added_tokens_next(const pio_added_tokens *added, bool normalized, const char *text, size_t n_bytes,
                           size_t from, size_t *at, pio_added_match *match) {
    const pio_trie *trie = &added->tries[normalized];
    while (trie->n_nodes) {
        while (*at < n_bytes && trie->root[(unsigned char)text[*at]] < 0) ++*at;
        if (*at == n_bytes) break;
        int32_t index = -1;
        size_t begin = *at, end = longest(trie, text, begin, n_bytes, &index);
        if (!end) {
            ++*at;
            continue;
        }
        *at = end;
        const pio_added_token *token = &added->tokens[index];
        if (token->single_word && ((begin > 0 && holds(&added->words, pio_utf8_back(text, text + begin))) ||
                                   (end < n_bytes && holds(&added->words, text + end))))
            continue;
        while (token->lstrip && begin > from) {
            const char *last = pio_utf8_back(text, text + begin);
            if (!holds(&added->spaces, last)) break;
            begin = (size_t)(last - text);
        }
        if (token->lstrip && begin < from) begin = from; /* the token before took its beginning along */
        while (token->rstrip && end < n_bytes && holds(&added->spaces, text + end))
            end += pio_utf8_length((unsigned char)text[end]);
        if (begin >= end) continue;
        *match = (pio_added_match){begin, end, index};
        return true;
    }
    return false;
}
