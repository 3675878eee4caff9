/* Byte-pair encoding (Sennrich, Haddow, Birch 2016): a vocabulary, and the merging of a piece's symbols.
 *
 * In a byte-level vocabulary the file writes every byte as one printable character (GPT-2's alphabet). Such tokens are
 * kept as the bytes that they stand for, so that pieces of text need no translation; a token with a character outside
 * the alphabet can never come out of merging and is kept as its text (`literal`). */
#ifndef PIO_TEXT_BPE_H
#define PIO_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"
#include "text/token_ids.h"
#include "text/utf8.h"

enum {
    PIO_BPE_MAX_ID = (1 << 24) - 1,
    PIO_BPE_MAX_TOKEN_BYTES = 4096, /* as the file writes it */
};

typedef struct pio_bpe_token {
    uint32_t at, n_bytes; /* in the pool */
    bool present, literal;
} pio_bpe_token;

typedef struct pio_bpe_merge {
    uint32_t left, right; /* left UINT32_MAX: an empty slot */
    uint32_t rank, id;
} pio_bpe_merge;

typedef struct pio_bpe_slot {
    uint32_t hash, id; /* id UINT32_MAX: an empty slot */
} pio_bpe_slot;

/* How the file wants the model; texts are well-formed UTF-8 and owned by the caller until pio_bpe_finish. */
typedef struct pio_bpe_options {
    bool byte_level, ignore_merges, fuse_unk, byte_fallback;
    const char *unk_token, *prefix, *suffix; /* NULL: none; of continuing subwords, of words' ends */
} pio_bpe_options;

typedef struct pio_bpe {
    bool byte_level, ignore_merges, fuse_unk, byte_fallback;
    bool wants_unk; /* an unknown symbol stands for unk_id, or is an error if that is -1 */
    int32_t unk_id;
    char *prefix, *suffix; /* NULL: none; as the file writes them */
    pio_bpe_token *tokens; /* [n_tokens], by id */
    int32_t n_tokens, tokens_capacity;
    int32_t n_entries;   /* tokens that are present */
    pio_text pool;       /* the tokens' bytes */
    pio_bpe_slot *slots; /* hash table of tokens; a power of two */
    uint32_t n_slots;
    pio_bpe_merge *merges; /* hash table of merges; a power of two */
    uint32_t n_merge_slots, n_merges;
    int32_t byte_id[2][2][256]; /* byte-level: the symbol of a byte [not first][last], -1: none */
    int32_t fallback_id[256];   /* of "<0x00>" to "<0xFF>", -1: none */
} pio_bpe;

/* Sets up an empty vocabulary; pio_bpe_free frees what it has, at any time. */
pio_status pio_bpe_begin(pio_bpe *bpe, const pio_bpe_options *options, pio_error *error);
void pio_bpe_free(pio_bpe *bpe);

/* Adds a token (UTF-8, as the file writes it); the later of two equal texts counts. PIO_CORRUPT: id out of range;
 * PIO_LIMIT: too long. */
pio_status pio_bpe_add_token(pio_bpe *bpe, const char *text, size_t n_bytes, uint64_t id, pio_error *error);

/* Adds the next merge; all tokens are there. PIO_CORRUPT: a part or the whole is no token. */
pio_status pio_bpe_add_merge(pio_bpe *bpe, const char *left, size_t n_left, const char *right, size_t n_right,
                             pio_error *error);

/* After the last token and merge: the tables of single symbols. Read only from here on. */
pio_status pio_bpe_finish(pio_bpe *bpe, const pio_bpe_options *options, pio_error *error);

/* The id of a token by its text in the file's spelling, or -1. */
int32_t pio_bpe_find(const pio_bpe *bpe, const char *text, size_t n_bytes);

/* The id of a piece (bytes in a byte-level vocabulary), or -1. */
int32_t pio_bpe_find_piece(const pio_bpe *bpe, const char *piece, size_t n_bytes);

/* Appends the token's text in the file's spelling; false: no memory. */
bool pio_bpe_spell(const pio_bpe *bpe, int32_t id, pio_text *out);

/* What encoding writes to; begin with {0}, free with pio_bpe_scratch_free; one thread. */
typedef struct pio_bpe_scratch {
    struct pio_bpe_symbol *symbols;
    int32_t n_symbols, symbols_capacity;
    struct pio_bpe_candidate *heap;
    int32_t n_heap, heap_capacity;
    struct pio_bpe_cached *cache; /* [cache_mask + 1], or NULL */
    uint32_t cache_mask;
} pio_bpe_scratch;

/* Makes a cache of pieces that suits a text of this size; optional, and without one encoding works as well. */
void pio_bpe_scratch_cache(pio_bpe_scratch *scratch, size_t text_bytes);
void pio_bpe_scratch_free(pio_bpe_scratch *scratch);

/* Appends the ids of one piece: bytes in a byte-level vocabulary, else well-formed UTF-8. */
pio_status pio_bpe_encode(const pio_bpe *bpe, pio_bpe_scratch *scratch, const char *piece, size_t n_bytes,
                          pio_token_ids *out, pio_error *error);

/* GPT-2's alphabet: the character of a byte (U+0021 to U+0143), and the byte of a character or -1. */
uint32_t pio_byte_character(unsigned char byte);
int pio_character_byte(uint32_t code);

/* Writes the bytes that a text in the alphabet stands for to `out` (room for n_bytes) and their number; false, with
 * `out` spoilt, if a character lies outside it. `out` may be `text`. */
bool pio_alphabet_to_bytes(const char *text, size_t n_bytes, char *out, size_t *n_out);

/* Appends the spelling of bytes in the alphabet; false: no memory. */
bool pio_bytes_to_alphabet(const char *bytes, size_t n_bytes, pio_text *out);

/* The slot of a pair or the empty slot where it belongs, in a table of n_slots > 0. */
static inline pio_bpe_merge *pio_bpe_merge_slot(pio_bpe_merge *merges, uint32_t n_slots, uint32_t left,
                                                uint32_t right) {
    uint64_t pair = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    uint32_t mask = n_slots - 1, i = ((uint32_t)(pair >> 32) ^ (uint32_t)(pair >> 60)) & mask;
    while (merges[i].left != UINT32_MAX && (merges[i].left != left || merges[i].right != right)) i = (i + 1) & mask;
    return &merges[i];
}

/* 64-bit hash of bytes, for tables in memory only. */
static inline uint64_t pio_hash_bytes(const char *bytes, size_t n) {
    uint64_t hash = 0x9e3779b97f4a7c15u ^ n, word;
    for (; n >= 8; bytes += 8, n -= 8) {
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * 0xbf58476d1ce4e5b9u;
        hash ^= hash >> 29;
    }
    word = 0;
    if (n) memcpy(&word, bytes, n);
    hash = (hash ^ word) * 0x94d049bb133111ebu;
    return hash ^ hash >> 32;
}

#endif
