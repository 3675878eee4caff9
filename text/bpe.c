#include "text/bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/compiler.h"

static char *copy_or_null(const char *text) {
    return text && *text ? strdup(text) : NULL;
}

pio_status pio_bpe_begin(pio_bpe *bpe, const pio_bpe_options *options, pio_error *error) {
    *bpe = (pio_bpe){
        .byte_level = options->byte_level,
        .ignore_merges = options->ignore_merges,
        .fuse_unk = options->fuse_unk,
        .byte_fallback = options->byte_fallback,
        .wants_unk = options->unk_token != NULL,
        .unk_id = -1,
        .prefix = copy_or_null(options->prefix),
        .suffix = copy_or_null(options->suffix),
    };
    bool lost =
        (options->prefix && *options->prefix && !bpe->prefix) || (options->suffix && *options->suffix && !bpe->suffix);
    return lost ? pio_fail_memory(error, "a vocabulary", sizeof *bpe) : PIO_OK;
}

void pio_bpe_free(pio_bpe *bpe) {
    free(bpe->prefix);
    free(bpe->suffix);
    free(bpe->tokens);
    pio_text_free(&bpe->pool);
    free(bpe->slots);
    free(bpe->merges);
    *bpe = (pio_bpe){.unk_id = -1};
}

static uint32_t hash_token(const char *bytes, size_t n_bytes, bool literal) {
    return (uint32_t)pio_hash_bytes(bytes, n_bytes) ^ (literal ? 0x80000000u : 0);
}

/* The slot of a token or the empty slot where it belongs. */
static pio_bpe_slot *find_slot(const pio_bpe *bpe, const char *bytes, size_t n_bytes, bool literal, uint32_t hash) {
    uint32_t mask = bpe->n_slots - 1;
    for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
        pio_bpe_slot *slot = &bpe->slots[i];
        if (slot->id == UINT32_MAX) return slot;
        if (slot->hash != hash) continue;
        const pio_bpe_token *token = &bpe->tokens[slot->id];
        if (token->n_bytes == n_bytes && token->literal == literal &&
            !memcmp(bpe->pool.bytes + token->at, bytes, n_bytes))
            return slot;
    }
}

static bool grow_slots(pio_bpe *bpe) {
    uint32_t n = bpe->n_slots ? 2 * bpe->n_slots : 1024;
    pio_bpe_slot *old = bpe->slots, *grown = malloc(sizeof *grown * n);
    if (!grown) return false;
    memset(grown, 0xff, sizeof *grown * n);
    for (uint32_t i = 0; i < bpe->n_slots; i++) {
        if (old[i].id == UINT32_MAX) continue;
        uint32_t at = old[i].hash & (n - 1);
        while (grown[at].id != UINT32_MAX) at = (at + 1) & (n - 1);
        grown[at] = old[i];
    }
    free(old);
    bpe->slots = grown;
    bpe->n_slots = n;
    return true;
}

static bool reserve_ids(pio_bpe *bpe, int32_t id) {
    if (id < bpe->n_tokens) return true;
    int32_t more = id + 1 - bpe->n_tokens;
    if (!pio_array_reserve((void **)&bpe->tokens, bpe->n_tokens, more, &bpe->tokens_capacity, sizeof *bpe->tokens))
        return false;
    memset(bpe->tokens + bpe->n_tokens, 0, sizeof *bpe->tokens * (size_t)more);
    bpe->n_tokens = id + 1;
    return true;
}

pio_status pio_bpe_add_token(pio_bpe *bpe, const char *text, size_t n_bytes, uint64_t id, pio_error *error) {
    if (id > PIO_BPE_MAX_ID)
        return pio_fail(error, PIO_CORRUPT, "token '%.*s' has id %llu, but at most %d is possible",
                        (int)PIO_MIN(n_bytes, (size_t)60), text, (unsigned long long)id, PIO_BPE_MAX_ID);
    if (n_bytes > PIO_BPE_MAX_TOKEN_BYTES)
        return pio_fail(error, PIO_LIMIT, "token '%.60s...' is %zu bytes long, but at most %d are possible", text,
                        n_bytes, PIO_BPE_MAX_TOKEN_BYTES);
    size_t at = bpe->pool.n_bytes, n = n_bytes;
    bool ok = at + n_bytes < UINT32_MAX && pio_text_reserve(&bpe->pool, n_bytes + 1) && reserve_ids(bpe, (int32_t)id) &&
              (2 * ((uint64_t)bpe->n_entries + 1) < bpe->n_slots || grow_slots(bpe));
    if (!ok) return pio_fail_memory(error, "a vocabulary", at + n_bytes);
    char *to = bpe->pool.bytes + at;
    bool literal = bpe->byte_level && !pio_alphabet_to_bytes(text, n_bytes, to, &n);
    if (!bpe->byte_level || literal) memcpy(to, text, n = n_bytes);
    uint32_t hash = hash_token(to, n, literal);
    pio_bpe_slot *slot = find_slot(bpe, to, n, literal, hash);
    if (slot->id == UINT32_MAX) {
        bpe->n_entries++;
        bpe->pool.n_bytes += n;
    } else {
        at = bpe->tokens[slot->id].at; /* the same text again: its id changes */
    }
    *slot = (pio_bpe_slot){hash, (uint32_t)id};
    bpe->tokens[id] = (pio_bpe_token){.at = (uint32_t)at, .n_bytes = (uint32_t)n, .present = true, .literal = literal};
    return PIO_OK;
}

/* By the bytes as the pool keeps them. */
static int32_t find_kept(const pio_bpe *bpe, const char *bytes, size_t n_bytes, bool literal) {
    if (!bpe->n_slots) return -1;
    return (int32_t)find_slot(bpe, bytes, n_bytes, literal, hash_token(bytes, n_bytes, literal))->id;
}

int32_t pio_bpe_find(const pio_bpe *bpe, const char *text, size_t n_bytes) {
    if (n_bytes > PIO_BPE_MAX_TOKEN_BYTES) return -1;
    if (!bpe->byte_level) return find_kept(bpe, text, n_bytes, false);
    char bytes[PIO_BPE_MAX_TOKEN_BYTES];
    size_t n;
    bool literal = !pio_alphabet_to_bytes(text, n_bytes, bytes, &n);
    return literal ? find_kept(bpe, text, n_bytes, true) : find_kept(bpe, bytes, n, false);
}

int32_t pio_bpe_find_piece(const pio_bpe *bpe, const char *piece, size_t n_bytes) {
    return find_kept(bpe, piece, n_bytes, false);
}

bool pio_bpe_spell(const pio_bpe *bpe, int32_t id, pio_text *out) {
    const pio_bpe_token *token = &bpe->tokens[id];
    const char *bytes = bpe->pool.bytes + token->at;
    if (!bpe->byte_level || token->literal) return pio_text_append(out, bytes, token->n_bytes);
    return pio_bytes_to_alphabet(bytes, token->n_bytes, out);
}

static bool grow_merges(pio_bpe *bpe) {
    uint32_t n = bpe->n_merge_slots ? 2 * bpe->n_merge_slots : 1024;
    pio_bpe_merge *grown = malloc(sizeof *grown * n);
    if (!grown) return false;
    memset(grown, 0xff, sizeof *grown * n);
    for (uint32_t i = 0; i < bpe->n_merge_slots; i++) {
        const pio_bpe_merge *merge = &bpe->merges[i];
        if (merge->left != UINT32_MAX) *pio_bpe_merge_slot(grown, n, merge->left, merge->right) = *merge;
    }
    free(bpe->merges);
    bpe->merges = grown;
    bpe->n_merge_slots = n;
    return true;
}

static pio_status fail_merge(pio_error *error, uint32_t rank, const char *text, size_t n_bytes) {
    return pio_fail(error, PIO_CORRUPT, "merge %u needs the token '%.*s', which the vocabulary lacks", rank,
                    (int)PIO_MIN(n_bytes, (size_t)60), text);
}

pio_status pio_bpe_add_merge(pio_bpe *bpe, const char *left, size_t n_left, const char *right, size_t n_right,
                             pio_error *error) {
    uint32_t rank = bpe->n_merges;
    size_t n_prefix = bpe->prefix ? strlen(bpe->prefix) : 0;
    int32_t left_id = pio_bpe_find(bpe, left, n_left), right_id = pio_bpe_find(bpe, right, n_right);
    if (left_id < 0) return fail_merge(error, rank, left, n_left);
    if (right_id < 0) return fail_merge(error, rank, right, n_right);
    if (n_right < n_prefix) return fail_merge(error, rank, right, n_right);
    char joined[2 * PIO_BPE_MAX_TOKEN_BYTES];
    size_t n = n_left + n_right - n_prefix;
    memcpy(joined, left, n_left);
    memcpy(joined + n_left, right + n_prefix, n_right - n_prefix);
    int32_t id = pio_utf8_valid_prefix(joined, n) == n ? pio_bpe_find(bpe, joined, n) : -1;
    if (id < 0) return fail_merge(error, rank, joined, n);
    if (rank == UINT32_MAX / 4) return pio_fail(error, PIO_LIMIT, "there are more than %u merges", rank);
    if (5 * ((uint64_t)rank + 1) > 3 * (uint64_t)bpe->n_merge_slots && !grow_merges(bpe))
        return pio_fail_memory(error, "the merges", sizeof *bpe->merges * 2ull * bpe->n_merge_slots);
    *pio_bpe_merge_slot(bpe->merges, bpe->n_merge_slots, (uint32_t)left_id, (uint32_t)right_id) =
        (pio_bpe_merge){(uint32_t)left_id, (uint32_t)right_id, rank, (uint32_t)id};
    bpe->n_merges++;
    return PIO_OK;
}

/* The symbol of one byte as first, middle or last of a piece, through the file's spelling. */
static bool find_byte(pio_bpe *bpe, int inner, int last, int byte, pio_text *spelt) {
    char c = (char)byte;
    spelt->n_bytes = 0;
    bool ok = (!inner || !bpe->prefix || pio_text_append(spelt, bpe->prefix, strlen(bpe->prefix))) &&
              pio_bytes_to_alphabet(&c, 1, spelt) &&
              (!last || !bpe->suffix || pio_text_append(spelt, bpe->suffix, strlen(bpe->suffix)));
    if (ok) bpe->byte_id[inner][last][byte] = pio_bpe_find(bpe, spelt->bytes, spelt->n_bytes);
    return ok;
}

pio_status pio_bpe_finish(pio_bpe *bpe, const pio_bpe_options *options, pio_error *error) {
    if (options->unk_token) bpe->unk_id = pio_bpe_find(bpe, options->unk_token, strlen(options->unk_token));
    pio_text spelt = {0};
    bool ok = true;
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", byte);
        bpe->fallback_id[byte] = bpe->byte_fallback ? pio_bpe_find(bpe, name, 6) : -1;
        for (int k = 0; k < 4 && bpe->byte_level && ok; k++) ok = find_byte(bpe, k / 2, k % 2, byte, &spelt);
    }
    pio_text_free(&spelt);
    return ok ? PIO_OK : pio_fail_memory(error, "a vocabulary", sizeof bpe->byte_id);
}
