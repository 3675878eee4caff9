/* Ids to text. A byte-level file needs only its tokens' bytes; the general way runs the decoder's steps over a list of
 * texts, as the reference does. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "text/tokenizer_parts.h"

static const pio_added_token *find_added(const pio_tokenizer *t, int32_t id) {
    return t->added_of[id] < 0 ? NULL : &t->added.tokens[t->added_of[id]];
}

static bool has_token(const pio_tokenizer *t, int32_t id) {
    return t->added_of[id] >= 0 || (id < t->bpe.n_tokens && t->bpe.tokens[id].present);
}

/* Appends the token's text as decoders see it. */
static bool spell(const pio_tokenizer *t, int32_t id, pio_text *out) {
    const pio_added_token *added = find_added(t, id);
    if (added) return pio_text_append(out, added->matched, added->n_matched);
    return !has_token(t, id) || pio_bpe_spell(&t->bpe, id, out);
}

/* The only step turns the alphabet into bytes: tokens of a byte-level vocabulary are these bytes. */
static bool decodes_bytes(const pio_tokenizer *t) {
    return t->decoder.n_steps == 1 && t->decoder.steps[0].kind == PIO_DECODE_BYTES;
}

/* A text in the alphabet as bytes, any other as it is. */
static bool append_bytes(pio_text *out, const char *text, size_t n_bytes) {
    size_t n;
    if (!n_bytes) return true;
    if (!pio_text_reserve(out, n_bytes)) return false;
    char *to = out->bytes + out->n_bytes;
    if (!pio_alphabet_to_bytes(text, n_bytes, to, &n)) memcpy(to, text, n = n_bytes);
    out->n_bytes += n;
    return true;
}

/* "<0xHH>": the byte, else -1. */
static int fallback_byte(const char *text, size_t n_bytes) {
    if (n_bytes != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    if (text[3] == '+' && pio_hex_digit(text[4]) >= 0)
        return pio_hex_digit(text[4]); /* the reference's number parser */
    int high = pio_hex_digit(text[3]), low = pio_hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

typedef struct piece {
    size_t begin, end; /* in the list's text */
} piece;

/* Texts one behind the other. */
typedef struct list {
    pio_text text;
    piece *pieces;
    int32_t n_pieces, pieces_capacity;
} list;

static void list_free(list *of) {
    pio_text_free(&of->text);
    free(of->pieces);
}

/* An empty list has an address too, so that its empty pieces have one. */
static bool list_begin(list *of) {
    return pio_text_reserve(&of->text, 1);
}

static bool list_close(list *of, size_t begin) {
    piece *added = PIO_PUSH(of, pieces);
    if (added) *added = (piece){begin, of->text.n_bytes};
    return added != NULL;
}

static bool list_add(list *of, const char *text, size_t n_bytes) {
    size_t begin = of->text.n_bytes;
    return pio_text_append(&of->text, text, n_bytes) && list_close(of, begin);
}

static bool step_bytes(const list *in, list *out) {
    pio_text bytes = {0};
    bool ok = true;
    for (int32_t i = 0; ok && i < in->n_pieces; i++)
        ok = append_bytes(&bytes, in->text.bytes + in->pieces[i].begin, in->pieces[i].end - in->pieces[i].begin);
    ok = ok && pio_utf8_append_lossy(&out->text, bytes.bytes ? bytes.bytes : "", bytes.n_bytes) && list_close(out, 0);
    pio_text_free(&bytes);
    return ok;
}

/* Bytes in a row that are UTF-8 together become that; else each becomes U+FFFD. */
static bool flush_fallback(pio_text *bytes, list *out) {
    bool valid = pio_utf8_valid_prefix(bytes->bytes, bytes->n_bytes) == bytes->n_bytes, ok = true;
    if (bytes->n_bytes && valid) ok = list_add(out, bytes->bytes, bytes->n_bytes);
    for (size_t i = 0; ok && !valid && i < bytes->n_bytes; i++) ok = list_add(out, PIO_UTF8_REPLACEMENT, 3);
    bytes->n_bytes = 0;
    return ok;
}

static bool step_fallback(const list *in, list *out) {
    pio_text bytes = {0};
    bool ok = true;
    for (int32_t i = 0; ok && i < in->n_pieces; i++) {
        const char *text = in->text.bytes + in->pieces[i].begin;
        size_t n = in->pieces[i].end - in->pieces[i].begin;
        int byte = n ? fallback_byte(text, n) : -1;
        char c = (char)byte;
        ok = byte >= 0 ? pio_text_append(&bytes, &c, 1) : flush_fallback(&bytes, out) && list_add(out, text, n);
    }
    ok = ok && flush_fallback(&bytes, out);
    pio_text_free(&bytes);
    return ok;
}

static bool step_strip(const pio_decoder_step *step, const list *in, list *out) {
    const size_t n = step->text.n_bytes;
    for (int32_t i = 0; i < in->n_pieces; i++) {
        size_t begin = in->pieces[i].begin, end = in->pieces[i].end;
        for (int32_t k = 0; k < step->start && end - begin >= n; k++, begin += n) {
            if (memcmp(in->text.bytes + begin, step->text.bytes, n) != 0) break;
        }
        for (int32_t k = 0; k < step->stop && end - begin >= n; k++, end -= n) {
            if (memcmp(in->text.bytes + end - n, step->text.bytes, n) != 0) break;
        }
        if (!list_add(out, in->text.bytes + begin, end - begin)) return false;
    }
    return true;
}

/* Every `step->text` in a piece by `by`. */
static bool add_replaced(const pio_decoder_step *step, const char *text, size_t n_bytes, const char *by, list *out) {
    size_t begin = out->text.n_bytes, at = 0;
    while (at < n_bytes) {
        const char *found = memmem(text + at, n_bytes - at, step->text.bytes, step->text.n_bytes);
        size_t stop = found ? (size_t)(found - text) : n_bytes;
        if (!pio_text_append(&out->text, text + at, stop - at) ||
            (found && !pio_text_append(&out->text, by, strlen(by))))
            return false;
        at = found ? stop + step->text.n_bytes : n_bytes;
    }
    return list_close(out, begin);
}

static bool step_spaces(const pio_decoder_step *step, const list *in, list *out) {
    for (int32_t i = 0; i < in->n_pieces; i++) {
        bool nothing = step->kind == PIO_DECODE_SUFFIX ? i + 1 == in->n_pieces : i == 0 && step->drop_first;
        const char *text = in->text.bytes + in->pieces[i].begin;
        if (!add_replaced(step, text, in->pieces[i].end - in->pieces[i].begin, nothing ? "" : " ", out)) return false;
    }
    return true;
}

static pio_status step_replace(const pio_decoder_step *step, const list *in, list *out, pio_error *error) {
    pio_regex_scratch scratch = {0};
    pio_spans matches = {0};
    pio_status status = PIO_OK;
    for (int32_t i = 0; i < in->n_pieces && !status; i++) {
        const char *text = in->text.bytes + in->pieces[i].begin;
        size_t n = in->pieces[i].end - in->pieces[i].begin, begin = out->text.n_bytes;
        status = pio_regex_replace(step->regex, &scratch, &matches, text, n, &step->text, &out->text, error);
        if (!status && !list_close(out, begin)) status = pio_fail_memory(error, "the decoded text", n);
    }
    pio_regex_scratch_free(&scratch);
    free(matches.items);
    return status;
}

static pio_status run_step(const pio_decoder_step *step, const list *in, list *out, pio_error *error) {
    bool ok = list_begin(out);
    if (!ok) return pio_fail_memory(error, "the decoded text", in->text.n_bytes);
    switch (step->kind) {
    case PIO_DECODE_BYTES:
        ok = step_bytes(in, out);
        break;
    case PIO_DECODE_REPLACE:
        return step_replace(step, in, out, error);
    case PIO_DECODE_BYTE_FALLBACK:
        ok = step_fallback(in, out);
        break;
    case PIO_DECODE_FUSE:
        ok = list_add(out, in->text.bytes, in->text.n_bytes);
        break;
    case PIO_DECODE_STRIP:
        ok = step_strip(step, in, out);
        break;
    case PIO_DECODE_METASPACE:
    case PIO_DECODE_SUFFIX:
        ok = step_spaces(step, in, out);
        break;
    }
    return ok ? PIO_OK : pio_fail_memory(error, "the decoded text", in->text.n_bytes);
}

static pio_status decode_steps(const pio_tokenizer *t, const int32_t *ids, size_t n_ids, pio_text *text,
                               pio_error *error) {
    list now = {0};
    pio_status status = list_begin(&now) ? PIO_OK : pio_fail_memory(error, "the decoded text", n_ids);
    for (size_t i = 0; i < n_ids && !status; i++) {
        size_t begin = now.text.n_bytes;
        if (!has_token(t, ids[i])) continue;
        bool space = !t->decoder.present && now.n_pieces;
        if ((space && !pio_text_append(&now.text, " ", 1)) || !spell(t, ids[i], &now.text) || !list_close(&now, begin))
            status = pio_fail_memory(error, "the decoded text", now.text.n_bytes);
    }
    for (int32_t s = 0; s < t->decoder.n_steps && !status; s++) {
        list next = {0};
        status = run_step(&t->decoder.steps[s], &now, &next, error);
        list_free(&now);
        now = next;
    }
    if (!status && !pio_utf8_append_lossy(text, now.text.bytes, now.text.n_bytes))
        status = pio_fail_memory(error, "the decoded text", now.text.n_bytes);
    list_free(&now);
    return status;
}

pio_status pio_tokenizer_decode(const pio_tokenizer *t, const int32_t *ids, size_t n_ids, pio_text *text,
                                pio_error *error) {
    for (size_t i = 0; i < n_ids; i++) {
        if (ids[i] < 0 || ids[i] >= t->vocab_size)
            return pio_fail(error, PIO_INVALID_ARGUMENT, "id %d at place %zu is outside the vocabulary, 0 to %d",
                            ids[i], i, t->vocab_size - 1);
    }
    if (!decodes_bytes(t)) return decode_steps(t, ids, n_ids, text, error);
    pio_text bytes = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < n_ids; i++) {
        size_t n;
        const char *token = pio_tokenizer_token_bytes(t, ids[i], &n);
        ok = pio_text_append(&bytes, token, n);
    }
    ok = ok && pio_utf8_append_lossy(text, bytes.bytes ? bytes.bytes : "", bytes.n_bytes);
    pio_status status = ok ? PIO_OK : pio_fail_memory(error, "the decoded text", bytes.n_bytes);
    pio_text_free(&bytes);
    return status;
}

/* What one token of a file over characters gives: the steps that look at a token by itself. */
static bool append_view(const pio_tokenizer *t, const char *text, size_t n_bytes, pio_text *out) {
    list now = {0};
    bool ok = list_begin(&now) && list_add(&now, text, n_bytes);
    int byte = -1;
    for (int32_t s = 0; ok && s < t->decoder.n_steps; s++) {
        pio_decoder_step step = t->decoder.steps[s];
        list next = {0};
        ok = list_begin(&next);
        step.drop_first = false; /* that concerns the beginning of a text */
        if (!ok)
            break;
        else if (step.kind == PIO_DECODE_BYTE_FALLBACK)
            byte = fallback_byte(now.text.bytes, now.text.n_bytes);
        else if (step.kind == PIO_DECODE_BYTES)
            ok = append_bytes(&next.text, now.text.bytes, now.text.n_bytes) && list_close(&next, 0);
        else if (step.kind == PIO_DECODE_REPLACE)
            ok = step_replace(&step, &now, &next, NULL) == PIO_OK;
        else if (step.kind == PIO_DECODE_METASPACE || step.kind == PIO_DECODE_SUFFIX)
            ok = add_replaced(&step, now.text.bytes, now.text.n_bytes, " ", &next);
        if (!next.n_pieces) {
            list_free(&next);
            continue;
        }
        list_free(&now);
        now = next;
    }
    char c = (char)byte;
    ok = ok && (byte >= 0 ? pio_text_append(out, &c, 1) : pio_text_append(out, now.text.bytes, now.text.n_bytes));
    list_free(&now);
    return ok;
}

static bool make_view(pio_tokenizer *t, int32_t id, pio_text *spelt) {
    const pio_added_token *added = find_added(t, id);
    size_t begin = t->output.n_bytes;
    spelt->n_bytes = 0;
    if (!spell(t, id, spelt)) return false;
    const char *text = spelt->bytes ? spelt->bytes : "";
    bool ok = added && !decodes_bytes(t) ? pio_text_append(&t->output, added->content, added->n_content)
                                         : append_view(t, text, spelt->n_bytes, &t->output);
    t->views[id] = (pio_token_view){(uint32_t)begin, (uint32_t)(t->output.n_bytes - begin)};
    return ok && t->output.n_bytes < UINT32_MAX;
}

pio_status pio_tokenizer_make_views(pio_tokenizer *t, pio_error *error) {
    t->vocab_size = t->bpe.n_tokens;
    for (int32_t i = 0; i < t->added.n_tokens; i++) {
        if (t->added.tokens[i].id >= t->vocab_size) t->vocab_size = t->added.tokens[i].id + 1;
    }
    size_t n = (size_t)t->vocab_size + 1;
    pio_text spelt = {0};
    bool plain = t->bpe.byte_level && decodes_bytes(t), ok = true;
    t->added_of = malloc(sizeof *t->added_of * n);
    if (!plain) t->views = calloc(n, sizeof *t->views);
    if (!t->added_of || (!plain && !t->views) || !pio_text_reserve(&t->output, 1))
        return pio_fail_memory(error, "a vocabulary", n);
    memset(t->added_of, -1, sizeof *t->added_of * n);
    for (int32_t i = 0; i < t->added.n_tokens; i++) t->added_of[t->added.tokens[i].id] = i;
    if (plain) { /* only the added tokens are not there as bytes */
        t->views = calloc((size_t)t->added.n_tokens + 1, sizeof *t->views);
        if (!t->views) return pio_fail_memory(error, "a vocabulary", n);
        for (int32_t i = 0; i < t->added.n_tokens && ok; i++) {
            size_t begin = t->output.n_bytes;
            ok = append_bytes(&t->output, t->added.tokens[i].matched, t->added.tokens[i].n_matched);
            t->views[i] = (pio_token_view){(uint32_t)begin, (uint32_t)(t->output.n_bytes - begin)};
        }
    }
    for (int32_t id = 0; id < t->vocab_size && ok && !plain; id++) ok = make_view(t, id, &spelt);
    pio_text_free(&spelt);
    t->plain_views = plain;
    return ok ? PIO_OK : pio_fail_memory(error, "a vocabulary", t->output.n_bytes);
}

const char *pio_tokenizer_token_bytes(const pio_tokenizer *t, int32_t id, size_t *n_bytes) {
    *n_bytes = 0;
    if (id < 0 || id >= t->vocab_size || !has_token(t, id)) return NULL;
    int32_t added = t->added_of[id];
    if (t->plain_views && added < 0) {
        *n_bytes = t->bpe.tokens[id].n_bytes;
        return t->bpe.pool.bytes + t->bpe.tokens[id].at;
    }
    pio_token_view view = t->views[t->plain_views ? added : id];
    *n_bytes = view.n_bytes;
    return t->output.bytes + view.at;
}
