#include "text/splitter.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "text/bpe.h"

void pio_splitter_free(pio_splitter *splitter) {
    for (int32_t i = 0; i < splitter->n_steps; i++) {
        pio_regex_free(splitter->steps[i].regex);
        pio_text_free(&splitter->steps[i].text);
    }
    free(splitter->steps);
    *splitter = (pio_splitter){0};
}

void pio_splitter_scratch_free(pio_splitter_scratch *scratch) {
    pio_text_free(&scratch->buffers[0]);
    pio_text_free(&scratch->buffers[1]);
    free(scratch->pieces.items);
    free(scratch->next.items);
    free(scratch->matches.items);
    free(scratch->parts.items);
    *scratch = (pio_splitter_scratch){0};
}

static bool add(pio_spans *spans, size_t begin, size_t end) {
    if (begin == end) return true;
    pio_span *span = PIO_PUSH(spans, items);
    if (span) *span = (pio_span){(uint32_t)begin, (uint32_t)end};
    return span != NULL;
}

/* The parts of a piece, matches and what lies between, in order: the top bit of `begin` says which. An empty match is a
 * part too, for the behaviors count it. */
enum { IS_MATCH = (int)0x80000000u };

static bool add_part(pio_spans *parts, size_t begin, size_t end, bool is_match) {
    pio_span *span = PIO_PUSH(parts, items);
    if (span) *span = (pio_span){(uint32_t)begin | (is_match ? (uint32_t)IS_MATCH : 0), (uint32_t)end};
    return span != NULL;
}

static bool find_parts(const pio_splitter_step *step, const pio_spans *matches, size_t n_bytes, pio_spans *parts) {
    size_t at = 0;
    parts->n_items = 0;
    for (int32_t i = 0; i < matches->n_items; i++) {
        pio_span match = matches->items[i];
        if (at < match.begin && !add_part(parts, at, match.begin, step->invert)) return false;
        if (!add_part(parts, match.begin, match.end, !step->invert)) return false;
        at = match.end;
    }
    return at == n_bytes || add_part(parts, at, n_bytes, step->invert);
}

/* Joins parts by the behavior; offsets of the result are moved by `base`. */
static bool join_parts(pio_split_behavior behavior, const pio_spans *parts, size_t base, pio_spans *out) {
    const int32_t n = parts->n_items;
    for (int32_t i = 0; i < n;) {
        uint32_t begin = parts->items[i].begin & ~(uint32_t)IS_MATCH, end = parts->items[i].end;
        bool is_match = parts->items[i].begin & (uint32_t)IS_MATCH;
        i++;
        bool next_is_match = i < n && (parts->items[i].begin & (uint32_t)IS_MATCH);
        switch (behavior) {
        case PIO_SPLIT_REMOVED:
            if (is_match) continue;
            break;
        case PIO_SPLIT_ISOLATED:
            break;
        case PIO_SPLIT_CONTIGUOUS:
            while (i < n && !!(parts->items[i].begin & (uint32_t)IS_MATCH) == is_match) end = parts->items[i++].end;
            break;
        case PIO_SPLIT_MERGED_WITH_PREVIOUS: /* the first match after other text joins it */
            if (!is_match && next_is_match) end = parts->items[i++].end;
            break;
        case PIO_SPLIT_MERGED_WITH_NEXT: /* the last match before other text joins it */
            if (is_match && i < n && !next_is_match) end = parts->items[i++].end;
            break;
        }
        if (!add(out, base + begin, base + end)) return false;
    }
    return true;
}

static pio_status run_regex(const pio_splitter_step *step, pio_splitter_scratch *scratch, const char *text,
                            pio_error *error) {
    for (int32_t i = 0; i < scratch->pieces.n_items; i++) {
        pio_span piece = scratch->pieces.items[i];
        size_t n = piece.end - piece.begin;
        pio_status status =
            pio_regex_find_all(step->regex, scratch->regex, text + piece.begin, n, &scratch->matches, error);
        if (status) return status;
        if (!find_parts(step, &scratch->matches, n, &scratch->parts) ||
            !join_parts(step->behavior, &scratch->parts, piece.begin, &scratch->next))
            return pio_fail_memory(error, "the pieces of a text", n);
    }
    return PIO_OK;
}

static bool run_length(const pio_splitter_step *step, pio_splitter_scratch *scratch, const char *text) {
    for (int32_t i = 0; i < scratch->pieces.n_items; i++) {
        size_t begin = scratch->pieces.items[i].begin, end = scratch->pieces.items[i].end, at = begin;
        for (int32_t n = 0; at < end;) {
            at += pio_utf8_length((unsigned char)text[at]);
            if (++n < step->n_characters && at < end) continue;
            if (!add(&scratch->next, begin, at)) return false;
            begin = at;
            n = 0;
        }
    }
    return true;
}

/* Steps that change the text write all pieces anew to `out`. */
static bool rewrite_piece(const pio_splitter_step *step, const char *piece, size_t n, bool first, pio_text *out) {
    const pio_text *text = &step->text;
    bool begins;
    switch (step->kind) {
    case PIO_SPLITTER_PREFIX:
        begins = n >= text->n_bytes && !memcmp(piece, text->bytes, text->n_bytes);
        if (!begins && (first || !step->first_only) && !pio_text_append(out, text->bytes, text->n_bytes)) return false;
        return pio_text_append(out, piece, n);
    case PIO_SPLITTER_SPACES:
        for (size_t i = 0, from = 0; i <= n; i++) {
            if (i < n && piece[i] != ' ') continue;
            if (!pio_text_append(out, piece + from, i - from)) return false;
            if (i < n && !pio_text_append(out, text->bytes, text->n_bytes)) return false;
            from = i + 1;
        }
        return true;
    default:
        return pio_bytes_to_alphabet(piece, n, out);
    }
}

static pio_status rewrite(const pio_splitter_step *step, pio_splitter_scratch *scratch, const char **text,
                          bool at_start, pio_error *error) {
    pio_text *out = &scratch->buffers[*text == scratch->buffers[0].bytes && *text ? 1 : 0];
    out->n_bytes = 0;
    for (int32_t i = 0; i < scratch->pieces.n_items; i++) {
        pio_span piece = scratch->pieces.items[i];
        size_t begin = out->n_bytes;
        if (!rewrite_piece(step, *text + piece.begin, piece.end - piece.begin, at_start && i == 0, out) ||
            !add(&scratch->next, begin, out->n_bytes))
            return pio_fail_memory(error, "the pieces of a text", out->n_bytes);
        if (out->n_bytes > INT32_MAX)
            return pio_fail(error, PIO_LIMIT, "the text is more than 2 GiB long after splitting; cut it");
    }
    *text = out->bytes ? out->bytes : "";
    return PIO_OK;
}

pio_status pio_splitter_run(const pio_splitter *splitter, pio_splitter_scratch *scratch, const char **text,
                            size_t n_bytes, bool at_start, pio_error *error) {
    scratch->pieces.n_items = 0;
    if (!add(&scratch->pieces, 0, n_bytes)) return pio_fail_memory(error, "the pieces of a text", n_bytes);
    for (int32_t i = 0; i < splitter->n_steps; i++) {
        const pio_splitter_step *step = &splitter->steps[i];
        pio_status status = PIO_OK;
        scratch->next.n_items = 0;
        if (step->kind == PIO_SPLITTER_REGEX)
            status = run_regex(step, scratch, *text, error);
        else if (step->kind != PIO_SPLITTER_LENGTH) {
            at_start &= scratch->pieces.n_items && scratch->pieces.items[0].begin == 0; /* later it always is 0 */
            status = rewrite(step, scratch, text, at_start, error);
        } else if (!run_length(step, scratch, *text))
            status = pio_fail_memory(error, "the pieces of a text", n_bytes);
        if (status) return status;
        pio_spans swap = scratch->pieces;
        scratch->pieces = scratch->next;
        scratch->next = swap;
    }
    return PIO_OK;
}
