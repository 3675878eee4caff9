#include "text/normalizer.h"

#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"
#include "text/unicode_tables.h"

void pio_normalizer_free(pio_normalizer *normalizer) {
    for (int32_t i = 0; i < normalizer->n_steps; i++) {
        pio_normalizer_step *step = &normalizer->steps[i];
        pio_normal_form_destroy(step->form);
        pio_regex_free(step->regex);
        pio_char_set_free(&step->set);
        pio_text_free(&step->text);
    }
    free(normalizer->steps);
    *normalizer = (pio_normalizer){0};
}

void pio_normalizer_scratch_free(pio_normalizer_scratch *scratch) {
    pio_text_free(&scratch->buffers[0]);
    pio_text_free(&scratch->buffers[1]);
    free(scratch->matches.items);
    *scratch = (pio_normalizer_scratch){0};
}

/* Lower case as a list in code point order, made for one run: few tokenizers ask for it. */
typedef struct lower_map {
    uint32_t code, to[3];
    int n;
} lower_map;

static lower_map *read_lower(int32_t *n_maps) {
    lower_map *maps = malloc(sizeof *maps * (pio_unicode_lower_bytes / 3 + 1));
    const unsigned char *at = pio_unicode_lower, *end = at + pio_unicode_lower_bytes;
    uint32_t code = 0;
    for (*n_maps = 0; maps && at < end; ++*n_maps) {
        lower_map *map = &maps[*n_maps];
        code += pio_unicode_varint(&at);
        *map = (lower_map){.code = code, .n = (int)pio_unicode_varint(&at)};
        for (int i = 0; i < map->n; i++) {
            uint32_t to = pio_unicode_varint(&at);
            if (i < 3) map->to[i] = to;
        }
    }
    return maps;
}

static int compare_lower(const void *key, const void *item) {
    uint32_t a = *(const uint32_t *)key, b = ((const lower_map *)item)->code;
    return (a > b) - (a < b);
}

static bool append_code(pio_text *out, uint32_t code) {
    char bytes[4];
    return pio_text_append(out, bytes, (size_t)pio_utf8_encode(code, bytes));
}

static bool run_lower(const char *text, size_t n_bytes, pio_text *out) {
    int32_t n_maps;
    lower_map *maps = read_lower(&n_maps);
    bool ok = maps != NULL;
    for (const char *at = text, *end = text + n_bytes; ok && at < end;) {
        const char *begin = at;
        uint32_t code = pio_utf8_next(&at);
        const lower_map *map = NULL;
        if (code < 0x80)
            code = code >= 'A' && code <= 'Z' ? code | 0x20 : code;
        else
            map = bsearch(&code, maps, (size_t)n_maps, sizeof *maps, compare_lower);
        if (map)
            for (int i = 0; ok && i < map->n; i++) ok = append_code(out, map->to[i]);
        else if (code < 0x80)
            ok = append_code(out, code);
        else
            ok = pio_text_append(out, begin, (size_t)(at - begin));
    }
    free(maps);
    return ok;
}

static bool run_strip(const pio_normalizer_step *step, const char *text, size_t n_bytes, pio_text *out) {
    const char *at = text, *end = text + n_bytes;
    for (const char *next = at; step->left && at < end; at = next) {
        if (!pio_char_set_contains(&step->set, pio_utf8_next(&next))) break;
    }
    while (step->right && end > at) {
        const char *last = pio_utf8_back(at, end), *code = last;
        if (!pio_char_set_contains(&step->set, pio_utf8_next(&code))) break;
        end = last;
    }
    return pio_text_append(out, at, (size_t)(end - at));
}

static bool run_drop(const pio_normalizer_step *step, const char *text, size_t n_bytes, pio_text *out) {
    for (const char *at = text, *end = text + n_bytes; at < end;) {
        const char *begin = at;
        if (pio_char_set_contains(&step->set, pio_utf8_next(&at))) continue;
        if (!pio_text_append(out, begin, (size_t)(at - begin))) return false;
    }
    return true;
}

static bool run_nmt(const char *text, size_t n_bytes, pio_text *out) {
    for (const char *at = text, *end = text + n_bytes; at < end;) {
        const char *begin = at;
        uint32_t c = pio_utf8_next(&at);
        if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f) continue;
        bool space = c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
                     c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd;
        if (!pio_text_append(out, space ? " " : begin, space ? 1 : (size_t)(at - begin))) return false;
    }
    return true;
}

pio_status pio_normalizer_run(const pio_normalizer *normalizer, pio_normalizer_scratch *scratch, const char **text,
                              size_t *n_bytes, pio_error *error) {
    for (int32_t i = 0; i < normalizer->n_steps; i++) {
        const pio_normalizer_step *step = &normalizer->steps[i];
        pio_text *out = &scratch->buffers[*text == scratch->buffers[0].bytes && *text ? 1 : 0];
        pio_status status = PIO_OK;
        bool ok = true, changed = true;
        out->n_bytes = 0;
        switch (step->kind) {
        case PIO_NORMALIZE_FORM:
            status = pio_normal_form_apply(step->form, *text, *n_bytes, out, &changed, error);
            break;
        case PIO_NORMALIZE_LOWER:
            ok = run_lower(*text, *n_bytes, out);
            break;
        case PIO_NORMALIZE_STRIP:
            ok = run_strip(step, *text, *n_bytes, out);
            break;
        case PIO_NORMALIZE_DROP:
            ok = run_drop(step, *text, *n_bytes, out);
            break;
        case PIO_NORMALIZE_REPLACE:
            status = pio_regex_replace(step->regex, scratch->regex, &scratch->matches, *text, *n_bytes, &step->text,
                                       out, error);
            break;
        case PIO_NORMALIZE_PREPEND:
            ok = !*n_bytes ||
                 (pio_text_append(out, step->text.bytes, step->text.n_bytes) && pio_text_append(out, *text, *n_bytes));
            break;
        case PIO_NORMALIZE_BYTES:
            ok = pio_bytes_to_alphabet(*text, *n_bytes, out);
            break;
        case PIO_NORMALIZE_NMT:
            ok = run_nmt(*text, *n_bytes, out);
            break;
        }
        if (!ok) status = pio_fail_memory(error, "a normalized text", *n_bytes);
        if (status) return status;
        if (!changed) continue;
        *text = out->bytes ? out->bytes : "";
        *n_bytes = out->n_bytes;
        if (*n_bytes > INT32_MAX)
            return pio_fail(error, PIO_LIMIT, "the text is %zu bytes long after normalizing; at most 2 GiB is possible",
                            *n_bytes);
    }
    return PIO_OK;
}
