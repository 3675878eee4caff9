/* Text to ids: added tokens that stand in the text as it comes, normalizing what lies between, added tokens that are
 * looked for in normalized text, splitting, merging. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "text/tokenizer_parts.h"

enum { MAX_TEXT_BYTES = 1 << 30 };

typedef struct encoder {
    const pio_tokenizer *tokenizer;
    pio_token_ids *ids;
    pio_regex_scratch regex;
    pio_normalizer_scratch normalizer;
    pio_splitter_scratch splitter;
    pio_bpe_scratch bpe;
    pio_error *error;
} encoder;

static pio_status add_id(encoder *e, int32_t id) {
    int32_t *item = PIO_PUSH(e->ids, items);
    if (!item) return pio_fail_memory(e->error, "token ids", sizeof *item);
    *item = id;
    return PIO_OK;
}

/* Normalized text without added tokens. */
static pio_status encode_plain(encoder *e, const char *text, size_t n_bytes, bool at_start) {
    const pio_tokenizer *t = e->tokenizer;
    if (!n_bytes) return PIO_OK;
    pio_status status = pio_splitter_run(&t->splitter, &e->splitter, &text, n_bytes, at_start, e->error);
    const pio_spans *pieces = &e->splitter.pieces;
    for (int32_t i = 0; i < pieces->n_items && !status; i++) {
        pio_span piece = pieces->items[i];
        status = pio_bpe_encode(&t->bpe, &e->bpe, text + piece.begin, piece.end - piece.begin, e->ids, e->error);
    }
    return status;
}

static pio_status encode_between(encoder *e, bool normalized, const char *text, size_t n_bytes, bool at_start);

/* Splits at the added tokens of one kind; what lies between goes on to the next stage. */
static pio_status encode_added(encoder *e, bool normalized, const char *text, size_t n_bytes, bool at_start) {
    size_t from = 0, at = 0;
    pio_added_match match;
    pio_status status = PIO_OK;
    while (!status && pio_added_tokens_next(&e->tokenizer->added, normalized, text, n_bytes, from, &at, &match)) {
        if (match.begin > from)
            status = encode_between(e, normalized, text + from, match.begin - from, at_start && !from);
        if (!status) status = add_id(e, e->tokenizer->added.tokens[match.token].id);
        from = match.end;
    }
    if (!status && from < n_bytes)
        status = encode_between(e, normalized, text + from, n_bytes - from, at_start && !from);
    return status;
}

static pio_status encode_between(encoder *e, bool normalized, const char *text, size_t n_bytes, bool at_start) {
    if (normalized) return encode_plain(e, text, n_bytes, at_start);
    pio_status status = pio_normalizer_run(&e->tokenizer->normalizer, &e->normalizer, &text, &n_bytes, e->error);
    return status ? status : encode_added(e, true, text, n_bytes, at_start);
}

pio_status pio_tokenizer_encode(const pio_tokenizer *tokenizer, const char *text, size_t n_bytes, pio_token_ids *ids,
                                pio_error *error) {
    if (n_bytes >= MAX_TEXT_BYTES)
        return pio_fail(error, PIO_LIMIT, "the text has %zu bytes, but at most 1 GiB is possible; cut it", n_bytes);
    size_t valid = pio_utf8_valid_prefix(text, n_bytes);
    if (valid < n_bytes)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the text is not valid UTF-8 at byte %zu (0x%02x); convert it",
                        valid, (unsigned char)text[valid]);
    encoder e = {.tokenizer = tokenizer, .ids = ids, .error = error};
    e.normalizer.regex = e.splitter.regex = &e.regex;
    pio_bpe_scratch_cache(&e.bpe, n_bytes);
    const int32_t before = ids->n_items;
    pio_status status = encode_added(&e, false, text, n_bytes, true);
    if (status) ids->n_items = before;
    pio_regex_scratch_free(&e.regex);
    pio_normalizer_scratch_free(&e.normalizer);
    pio_splitter_scratch_free(&e.splitter);
    pio_bpe_scratch_free(&e.bpe);
    return status;
}
