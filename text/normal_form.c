#include "text/normal_form.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/compiler.h"
#include "text/unicode.h"
#include "text/unicode_tables.h"

enum {
    MAPPED_END = 0x30000, /* no character behind this changes or moves */
    N_COMBINING = 256,
    HANGUL_S = 0xac00,
    HANGUL_L = 0x1100,
    HANGUL_V = 0x1161,
    HANGUL_T = 0x11a7,
    HANGUL_NL = 19,
    HANGUL_NV = 21,
    HANGUL_NT = 28,
    HANGUL_NS = HANGUL_NL * HANGUL_NV * HANGUL_NT,
};

typedef struct decomposition {
    uint32_t code;
    int32_t at, n; /* in points */
} decomposition;

typedef struct composition {
    uint64_t pair; /* first << 32 | second */
    uint32_t code;
} composition;

typedef struct point {
    uint32_t code;
} point;

struct pio_normal_form {
    bool compose;
    decomposition *maps; /* sorted by code; full decompositions */
    int32_t n_maps, maps_capacity;
    point *points;
    int32_t n_points, points_capacity;
    composition *pairs; /* sorted by pair */
    int32_t n_pairs, pairs_capacity;
    uint8_t *combining; /* [MAPPED_END]: canonical combining class */
    uint8_t *busy;      /* [MAPPED_END / 8], a bit each: may change itself, move, or join the character before it */
};

void pio_normal_form_destroy(pio_normal_form *form) {
    if (!form) return;
    free(form->maps);
    free(form->points);
    free(form->pairs);
    free(form->combining);
    free(form->busy);
    free(form);
}

static void set_busy(pio_normal_form *form, uint32_t code) {
    form->busy[code / 8] |= (uint8_t)(1u << (code % 8));
}

static bool is_busy(const pio_normal_form *form, uint32_t code) {
    return code < MAPPED_END && (form->busy[code / 8] >> (code % 8) & 1);
}

static int combining(const pio_normal_form *form, uint32_t code) {
    return code < MAPPED_END ? form->combining[code] : 0;
}

static bool read_map(pio_normal_form *form, const unsigned char **at, uint32_t code) {
    decomposition *map = PIO_PUSH(form, maps);
    if (!map) return false;
    *map = (decomposition){.code = code, .at = form->n_points, .n = (int32_t)pio_unicode_varint(at)};
    for (int32_t i = 0; i < map->n; i++) {
        point *added = PIO_PUSH(form, points);
        if (!added) return false;
        added->code = pio_unicode_varint(at);
    }
    return true;
}

static void skip_map(const unsigned char **at) {
    for (uint32_t n = pio_unicode_varint(at); n; n--) pio_unicode_varint(at);
}

/* Both tables are sorted: merges them, compatibility first where both map a character. */
static bool read_maps(pio_normal_form *form, bool compatible) {
    const unsigned char *a = pio_unicode_canonical, *a_end = a + pio_unicode_canonical_bytes;
    const unsigned char *b = pio_unicode_compatible, *b_end = b + (compatible ? pio_unicode_compatible_bytes : 0);
    uint32_t a_code = pio_unicode_varint(&a), b_code = compatible ? pio_unicode_varint(&b) : UINT32_MAX;
    while (a_code != UINT32_MAX || b_code != UINT32_MAX) {
        bool from_b = b_code <= a_code, both = b_code == a_code;
        if (!read_map(form, from_b ? &b : &a, from_b ? b_code : a_code)) return false;
        if (both) skip_map(&a);
        if (!from_b || both) a_code = a < a_end ? a_code + pio_unicode_varint(&a) : UINT32_MAX;
        if (from_b) b_code = b < b_end ? b_code + pio_unicode_varint(&b) : UINT32_MAX;
    }
    return true;
}

static bool read_pairs(pio_normal_form *form) {
    const unsigned char *at = pio_unicode_compositions, *end = at + pio_unicode_compositions_bytes;
    while (at < end) { /* sorted by the tool */
        composition *pair = PIO_PUSH(form, pairs);
        if (!pair) return false;
        uint64_t first = pio_unicode_varint(&at);
        pair->pair = first << 32 | pio_unicode_varint(&at);
        pair->code = pio_unicode_varint(&at);
    }
    return true;
}

static void read_combining(pio_normal_form *form) {
    const unsigned char *at = pio_unicode_combining, *end = at + pio_unicode_combining_bytes;
    uint32_t code = 0;
    while (at < end) {
        code += pio_unicode_varint(&at);
        form->combining[code] = *at++;
        set_busy(form, code);
    }
}

static uint32_t compose(const pio_normal_form *form, uint32_t first, uint32_t second) {
    if (first - HANGUL_L < HANGUL_NL && second - HANGUL_V < HANGUL_NV)
        return HANGUL_S + ((first - HANGUL_L) * HANGUL_NV + (second - HANGUL_V)) * HANGUL_NT;
    if (first - HANGUL_S < HANGUL_NS && (first - HANGUL_S) % HANGUL_NT == 0 && second - HANGUL_T - 1 < HANGUL_NT - 1)
        return first + (second - HANGUL_T);
    uint64_t pair = (uint64_t)first << 32 | second;
    int32_t low = 0, high = form->n_pairs;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (form->pairs[middle].pair < pair)
            low = middle + 1;
        else
            high = middle;
    }
    return low < form->n_pairs && form->pairs[low].pair == pair ? form->pairs[low].code : 0;
}

static const decomposition *find_map(const pio_normal_form *form, uint32_t code) {
    int32_t low = 0, high = form->n_maps;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (form->maps[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < form->n_maps && form->maps[low].code == code ? &form->maps[low] : NULL;
}

/* A character that has a decomposition and comes out of composing it again is not busy in a composed form, if it also
 * leaves the character before it alone. */
static void mark_busy(pio_normal_form *form) {
    if (!form->compose) {
        for (uint32_t s = HANGUL_S; s < HANGUL_S + HANGUL_NS; s++) set_busy(form, s);
        for (int32_t i = 0; i < form->n_maps; i++) set_busy(form, form->maps[i].code);
        return;
    }
    for (uint32_t v = HANGUL_V; v < HANGUL_V + HANGUL_NV; v++) set_busy(form, v);
    for (uint32_t t = HANGUL_T + 1; t < HANGUL_T + HANGUL_NT; t++) set_busy(form, t);
    for (int32_t i = 0; i < form->n_pairs; i++) set_busy(form, (uint32_t)form->pairs[i].pair);
    for (int32_t i = 0; i < form->n_maps; i++) {
        const decomposition *map = &form->maps[i];
        const point *points = form->points + map->at;
        uint32_t again = points[0].code;
        for (int32_t k = 1; k < map->n && again; k++) again = compose(form, again, points[k].code);
        if (again != map->code || is_busy(form, points[0].code)) set_busy(form, map->code);
    }
}

pio_status pio_normal_form_create(pio_normal_form_kind kind, pio_normal_form **out, pio_error *error) {
    *out = NULL;
    pio_normal_form *form = calloc(1, sizeof *form);
    if (!form) goto fail;
    form->compose = kind == PIO_NFC || kind == PIO_NFKC;
    form->combining = calloc(MAPPED_END, 1);
    form->busy = calloc(MAPPED_END / 8, 1);
    if (!form->combining || !form->busy || !read_maps(form, kind == PIO_NFKC || kind == PIO_NFKD)) goto fail;
    read_combining(form);
    if (form->compose && !read_pairs(form)) goto fail;
    mark_busy(form);
    *out = form;
    return PIO_OK;
fail:
    pio_normal_form_destroy(form);
    return pio_fail_memory(error, "the tables of a normalization form", MAPPED_END);
}

typedef struct run {
    point *points;
    int32_t n_points, points_capacity;
    point *spare; /* for sorting */
    int32_t n_spare, spare_capacity;
} run;

static bool run_add(run *to, uint32_t code) {
    point *added = PIO_PUSH(to, points);
    if (added) added->code = code;
    return added != NULL;
}

static bool decompose(const pio_normal_form *form, run *to, uint32_t code) {
    if (code - HANGUL_S < HANGUL_NS) {
        uint32_t s = code - HANGUL_S, t = s % HANGUL_NT;
        return run_add(to, HANGUL_L + s / (HANGUL_NV * HANGUL_NT)) &&
               run_add(to, HANGUL_V + s % (HANGUL_NV * HANGUL_NT) / HANGUL_NT) && (!t || run_add(to, HANGUL_T + t));
    }
    const decomposition *map = find_map(form, code);
    if (!map) return run_add(to, code);
    for (int32_t i = 0; i < map->n; i++) {
        if (!run_add(to, form->points[map->at + i].code)) return false;
    }
    return true;
}

/* Sorts marks [begin, end) by combining class, stably, by counting: a text may consist of marks alone. */
static bool sort_marks(const pio_normal_form *form, run *of, int32_t begin, int32_t end) {
    int32_t n = end - begin, starts[N_COMBINING + 1] = {0};
    if (n < 2) return true;
    if (!pio_array_reserve((void **)&of->spare, 0, n, &of->spare_capacity, sizeof *of->spare)) return false;
    memcpy(of->spare, of->points + begin, sizeof *of->spare * (size_t)n);
    for (int32_t i = 0; i < n; i++) starts[combining(form, of->spare[i].code) + 1]++;
    for (int k = 0; k < N_COMBINING; k++) starts[k + 1] += starts[k];
    for (int32_t i = 0; i < n; i++) of->points[begin + starts[combining(form, of->spare[i].code)]++] = of->spare[i];
    return true;
}

static bool reorder(const pio_normal_form *form, run *of) {
    int32_t begin = 0;
    for (int32_t i = 0; i <= of->n_points; i++) {
        if (i < of->n_points && combining(form, of->points[i].code)) continue;
        if (!sort_marks(form, of, begin, i)) return false;
        begin = i + 1;
    }
    return true;
}

static void recompose(const pio_normal_form *form, run *of) {
    int32_t n = 0, starter = -1;
    for (int32_t i = 0; i < of->n_points; i++) {
        uint32_t code = of->points[i].code, joined = 0;
        int class = combining(form, code);
        if (starter >= 0 && (n == starter + 1 || combining(form, of->points[n - 1].code) < class) &&
            (n == starter + 1 || combining(form, of->points[n - 1].code)))
            joined = compose(form, of->points[starter].code, code);
        if (joined) {
            of->points[starter].code = joined;
            continue;
        }
        if (!class) starter = n;
        of->points[n++].code = code;
    }
    of->n_points = n;
}

/* Normalizes [begin, end), whose ends touch nothing else, and appends it. */
static bool append_run(const pio_normal_form *form, run *scratch, const char *begin, const char *end, pio_text *out) {
    scratch->n_points = 0;
    while (begin < end) {
        if (!decompose(form, scratch, pio_utf8_next(&begin))) return false;
    }
    if (!reorder(form, scratch)) return false;
    if (form->compose) recompose(form, scratch);
    if (!pio_text_reserve(out, 4 * (size_t)scratch->n_points)) return false;
    for (int32_t i = 0; i < scratch->n_points; i++)
        out->n_bytes += (size_t)pio_utf8_encode(scratch->points[i].code, out->bytes + out->n_bytes);
    return true;
}

/* The first busy character at or behind `at`, or `end`; *before is the character in front of it (or `at`). */
static const char *find_busy(const pio_normal_form *form, const char *at, const char *end, const char **before) {
    *before = at;
    while (at < end) {
        const char *next = at;
        if ((unsigned char)*at < 0xc0) { /* ASCII is never busy */
            *before = at++;
            continue;
        }
        if (is_busy(form, pio_utf8_next(&next))) return at;
        *before = at;
        at = next;
    }
    return end;
}

pio_status pio_normal_form_apply(const pio_normal_form *form, const char *text, size_t n_bytes, pio_text *out,
                                 bool *changed, pio_error *error) {
    const char *at = text, *end = text + n_bytes, *before;
    const char *busy = find_busy(form, at, end, &before);
    out->n_bytes = 0;
    *changed = busy < end;
    if (!*changed) return PIO_OK;
    run scratch = {0};
    bool ok = true;
    while (ok && busy < end) {
        const char *stop = busy;
        while (stop < end) { /* all busy characters in a row, and the one before them, which they may join */
            const char *next = stop;
            if (!is_busy(form, pio_utf8_next(&next))) break;
            stop = next;
        }
        ok = pio_text_append(out, at, (size_t)(before - at)) && append_run(form, &scratch, before, stop, out);
        at = stop;
        busy = find_busy(form, at, end, &before);
    }
    ok = ok && pio_text_append(out, at, (size_t)(end - at));
    free(scratch.points);
    free(scratch.spare);
    return ok ? PIO_OK : pio_fail_memory(error, "a normalized text", n_bytes);
}
