/* Merging: the pair of least rank first, of equal ones the leftmost, until no pair is left. Short pieces scan for it,
 * long ones keep a heap, so that a piece of n symbols costs n log n at most. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/compiler.h"
#include "text/bpe.h"

enum {
    SHORT_SYMBOLS = 40, /* up to here scanning is faster than a heap */
    CACHED_BYTES = 15,  /* longest piece in the cache; longer ones seldom come back */
    CACHED_IDS = 7,
    MAX_CACHED = 1 << 14, /* entries: 768 KiB */
    NO_RANK = INT32_MAX,
};

/* One piece and its ids; the key is the piece, zero bytes, and its length in the last byte (never 0 when used). */
typedef struct pio_bpe_cached {
    uint64_t key[2];
    int32_t n_ids;
    int32_t ids[CACHED_IDS];
} pio_bpe_cached;

typedef struct pio_bpe_symbol {
    int32_t id;             /* -1: merged into the one before */
    int32_t previous, next; /* -1: none */
} pio_bpe_symbol;

typedef struct pio_bpe_candidate {
    uint64_t order; /* rank << 32 | place */
    uint32_t id;    /* that the merge makes */
} pio_bpe_candidate;

void pio_bpe_scratch_cache(pio_bpe_scratch *scratch, size_t text_bytes) {
    if (scratch->cache || text_bytes < 256) return;
    uint32_t n = 64;
    while (n < MAX_CACHED && n < text_bytes / 8) n *= 2;
    scratch->cache = calloc(n, sizeof *scratch->cache);
    scratch->cache_mask = n - 1;
}

void pio_bpe_scratch_free(pio_bpe_scratch *scratch) {
    free(scratch->symbols);
    free(scratch->heap);
    free(scratch->cache);
    *scratch = (pio_bpe_scratch){0};
}

static PIO_ALWAYS_INLINE const pio_bpe_merge *find_merge(const pio_bpe *bpe, uint32_t left, uint32_t right) {
    if (!bpe->n_merge_slots) return NULL;
    const pio_bpe_merge *merge = pio_bpe_merge_slot(bpe->merges, bpe->n_merge_slots, left, right);
    return merge->left == UINT32_MAX ? NULL : merge;
}

static bool add_symbol(pio_bpe_scratch *scratch, int32_t id) {
    pio_bpe_symbol *symbol = PIO_PUSH(scratch, symbols);
    if (symbol) symbol->id = id;
    return symbol != NULL;
}

static pio_status fail_memory(pio_error *error, size_t n_bytes) {
    return pio_fail_memory(error, "the symbols of a text", n_bytes);
}

/* A symbol that the vocabulary lacks; `spelt` is it in the file's spelling. *unknown: such a one waits to be written,
 * since its neighbours may fuse with it. */
static pio_status add_unknown(const pio_bpe *bpe, pio_bpe_scratch *scratch, const char *spelt, size_t n_spelt,
                              bool *unknown, pio_error *error) {
    if (bpe->byte_fallback) {
        size_t known = 0;
        while (known < n_spelt && bpe->fallback_id[(unsigned char)spelt[known]] >= 0) known++;
        if (known == n_spelt) {
            for (size_t i = 0; i < n_spelt; i++) {
                if (!add_symbol(scratch, bpe->fallback_id[(unsigned char)spelt[i]])) return fail_memory(error, n_spelt);
            }
            return PIO_OK;
        }
    }
    if (!bpe->wants_unk) return PIO_OK; /* the reference drops such characters */
    if (bpe->unk_id < 0)
        return pio_fail(error, PIO_CORRUPT, "the text needs the tokenizer's unk_token, which its vocabulary lacks");
    if (*unknown && !bpe->fuse_unk && !add_symbol(scratch, bpe->unk_id)) return fail_memory(error, n_spelt);
    *unknown = true;
    return PIO_OK;
}

static pio_status add_known(const pio_bpe *bpe, pio_bpe_scratch *scratch, int32_t id, bool *unknown, pio_error *error) {
    if (*unknown && !add_symbol(scratch, bpe->unk_id)) return fail_memory(error, 1);
    *unknown = false;
    return add_symbol(scratch, id) ? PIO_OK : fail_memory(error, 1);
}

/* One symbol a byte. */
static pio_status split_bytes(const pio_bpe *bpe, pio_bpe_scratch *scratch, const char *piece, size_t n_bytes,
                              bool *unknown, pio_error *error) {
    for (size_t i = 0; i < n_bytes; i++) {
        int32_t id = bpe->byte_id[i > 0][i + 1 == n_bytes][(unsigned char)piece[i]];
        pio_status status;
        if (id >= 0) {
            status = add_known(bpe, scratch, id, unknown, error);
        } else {
            char spelt[4];
            int n = pio_utf8_encode(pio_byte_character((unsigned char)piece[i]), spelt);
            status = add_unknown(bpe, scratch, spelt, (size_t)n, unknown, error);
        }
        if (status) return status;
    }
    return PIO_OK;
}

/* One symbol a character. */
static pio_status split_characters(const pio_bpe *bpe, pio_bpe_scratch *scratch, const char *piece, size_t n_bytes,
                                   bool *unknown, pio_error *error) {
    pio_text spelt = {0};
    pio_status status = PIO_OK;
    for (size_t i = 0; i < n_bytes && !status;) {
        const char *symbol = piece + i;
        size_t n = pio_utf8_length((unsigned char)piece[i]), n_symbol = n;
        const char *prefix = i ? bpe->prefix : NULL, *suffix = i + n == n_bytes ? bpe->suffix : NULL;
        bool ok = true;
        if (prefix || suffix) {
            spelt.n_bytes = 0;
            ok = (!prefix || pio_text_append(&spelt, prefix, strlen(prefix))) && pio_text_append(&spelt, symbol, n) &&
                 (!suffix || pio_text_append(&spelt, suffix, strlen(suffix)));
            symbol = spelt.bytes;
            n_symbol = spelt.n_bytes;
        }
        int32_t id = ok ? pio_bpe_find(bpe, symbol, n_symbol) : -1;
        if (!ok)
            status = fail_memory(error, n_bytes);
        else if (id >= 0)
            status = add_known(bpe, scratch, id, unknown, error);
        else
            status = add_unknown(bpe, scratch, symbol, n_symbol, unknown, error);
        i += n;
    }
    pio_text_free(&spelt);
    return status;
}

/* Merges n <= SHORT_SYMBOLS symbols by scanning; the number that is left. */
static int32_t merge_short(const pio_bpe *bpe, pio_bpe_symbol *symbols, int32_t n) {
    int32_t ids[SHORT_SYMBOLS], ranks[SHORT_SYMBOLS + 1]; /* ranks[i]: of the pair i, i + 1 */
    uint32_t into[SHORT_SYMBOLS];
    for (int32_t i = 0; i < n; i++) ids[i] = symbols[i].id;
    for (int32_t i = 0; i + 1 < n; i++) {
        const pio_bpe_merge *merge = find_merge(bpe, (uint32_t)ids[i], (uint32_t)ids[i + 1]);
        ranks[i] = merge ? (int32_t)merge->rank : NO_RANK;
        into[i] = merge ? merge->id : 0;
    }
    while (n > 1) {
        int32_t best = 0;
        for (int32_t i = 1; i + 1 < n; i++) best = ranks[i] < ranks[best] ? i : best;
        if (ranks[best] == NO_RANK) break;
        ids[best] = (int32_t)into[best];
        n--;
        for (int32_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
            into[i - 1] = into[i];
        }
        for (int32_t i = PIO_MAX(best - 1, 0); i <= best && i + 1 < n; i++) {
            const pio_bpe_merge *merge = find_merge(bpe, (uint32_t)ids[i], (uint32_t)ids[i + 1]);
            ranks[i] = merge ? (int32_t)merge->rank : NO_RANK;
            into[i] = merge ? merge->id : 0;
        }
    }
    for (int32_t i = 0; i < n; i++) symbols[i].id = ids[i];
    return n;
}

static void sift_up(pio_bpe_candidate *heap, int32_t at) {
    pio_bpe_candidate moving = heap[at];
    while (at > 0 && heap[(at - 1) / 2].order > moving.order) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moving;
}

static pio_bpe_candidate pop(pio_bpe_scratch *scratch) {
    pio_bpe_candidate *heap = scratch->heap, top = heap[0], moving = heap[--scratch->n_heap];
    int32_t at = 0, n = scratch->n_heap;
    for (int32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1].order < heap[child].order) child++;
        if (heap[child].order >= moving.order) break;
        heap[at] = heap[child];
    }
    if (n) heap[at] = moving;
    return top;
}

/* Puts the pair of the symbol at `place` and the next one into the heap, if they merge. */
static bool offer(const pio_bpe *bpe, pio_bpe_scratch *scratch, int32_t place) {
    const pio_bpe_symbol *symbol = &scratch->symbols[place];
    if (symbol->next < 0) return true;
    const pio_bpe_merge *merge = find_merge(bpe, (uint32_t)symbol->id, (uint32_t)scratch->symbols[symbol->next].id);
    if (!merge) return true;
    pio_bpe_candidate *candidate = PIO_PUSH(scratch, heap);
    if (!candidate) return false;
    *candidate = (pio_bpe_candidate){(uint64_t)merge->rank << 32 | (uint32_t)place, merge->id};
    sift_up(scratch->heap, scratch->n_heap - 1);
    return true;
}

/* Merges any number of symbols with a heap of candidates, some of them outdated; false: no memory. */
static bool merge_long(const pio_bpe *bpe, pio_bpe_scratch *scratch) {
    pio_bpe_symbol *symbols = scratch->symbols;
    int32_t n = scratch->n_symbols;
    for (int32_t i = 0; i < n; i++) {
        symbols[i].previous = i - 1;
        symbols[i].next = i + 1 < n ? i + 1 : -1;
    }
    scratch->n_heap = 0;
    for (int32_t i = 0; i + 1 < n; i++) {
        if (!offer(bpe, scratch, i)) return false;
    }
    while (scratch->n_heap) {
        pio_bpe_candidate top = pop(scratch);
        int32_t place = (int32_t)(uint32_t)top.order;
        pio_bpe_symbol *left = &symbols[place];
        if (left->id < 0 || left->next < 0) continue;
        pio_bpe_symbol *right = &symbols[left->next];
        const pio_bpe_merge *merge = find_merge(bpe, (uint32_t)left->id, (uint32_t)right->id);
        if (!merge || merge->id != top.id) continue; /* one of the two has changed since */
        left->id = (int32_t)merge->id;
        left->next = right->next;
        right->id = -1;
        if (left->next >= 0) symbols[left->next].previous = place;
        if ((left->previous >= 0 && !offer(bpe, scratch, left->previous)) || !offer(bpe, scratch, place)) return false;
    }
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        if (symbols[i].id >= 0) symbols[kept++].id = symbols[i].id;
    }
    scratch->n_symbols = kept;
    return true;
}

static bool reserve_ids(pio_token_ids *out, int32_t n) {
    return pio_array_reserve((void **)&out->items, out->n_items, n, &out->items_capacity, sizeof *out->items);
}

static pio_status encode_piece(const pio_bpe *bpe, pio_bpe_scratch *scratch, const char *piece, size_t n_bytes,
                               pio_token_ids *out, pio_error *error) {
    int32_t whole = bpe->ignore_merges ? pio_bpe_find_piece(bpe, piece, n_bytes) : -1;
    if (whole >= 0) {
        if (!reserve_ids(out, 1)) return fail_memory(error, n_bytes);
        out->items[out->n_items++] = whole;
        return PIO_OK;
    }
    bool unknown = false;
    scratch->n_symbols = 0;
    pio_status status = bpe->byte_level ? split_bytes(bpe, scratch, piece, n_bytes, &unknown, error)
                                        : split_characters(bpe, scratch, piece, n_bytes, &unknown, error);
    if (status) return status;
    if (unknown && !add_symbol(scratch, bpe->unk_id)) return fail_memory(error, n_bytes);
    if (scratch->n_symbols <= SHORT_SYMBOLS)
        scratch->n_symbols = merge_short(bpe, scratch->symbols, scratch->n_symbols);
    else if (!merge_long(bpe, scratch))
        return fail_memory(error, n_bytes);
    if (!reserve_ids(out, scratch->n_symbols)) return fail_memory(error, n_bytes);
    for (int32_t i = 0; i < scratch->n_symbols; i++) out->items[out->n_items++] = scratch->symbols[i].id;
    return PIO_OK;
}

pio_status pio_bpe_encode(const pio_bpe *bpe, pio_bpe_scratch *scratch, const char *piece, size_t n_bytes,
                          pio_token_ids *out, pio_error *error) {
    if (!n_bytes) return PIO_OK;
    if (!scratch->cache || n_bytes > CACHED_BYTES) return encode_piece(bpe, scratch, piece, n_bytes, out, error);
    char padded[16] = {0};
    memcpy(padded, piece, n_bytes);
    padded[15] = (char)n_bytes;
    uint64_t key[2];
    memcpy(key, padded, sizeof key);
    uint64_t hash = (key[0] ^ key[1] * 0x94d049bb133111ebu) * 0xbf58476d1ce4e5b9u;
    pio_bpe_cached *cached = &scratch->cache[(hash >> 40) & scratch->cache_mask];
    if (cached->key[0] == key[0] && cached->key[1] == key[1]) {
        if (!reserve_ids(out, CACHED_IDS)) return fail_memory(error, n_bytes);
        memcpy(out->items + out->n_items, cached->ids, sizeof cached->ids);
        out->n_items += cached->n_ids;
        return PIO_OK;
    }
    int32_t before = out->n_items;
    pio_status status = encode_piece(bpe, scratch, piece, n_bytes, out, error);
    if (status || out->n_items - before > CACHED_IDS) return status;
    cached->key[0] = key[0], cached->key[1] = key[1];
    cached->n_ids = out->n_items - before;
    if (cached->n_ids) memcpy(cached->ids, out->items + before, sizeof *cached->ids * (size_t)cached->n_ids);
    return PIO_OK;
}
