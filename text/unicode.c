#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/compiler.h"
#include "text/unicode_tables.h"

/* The tables are streams of numbers (pio_unicode_varint). Categories: pairs of the length of a run and one byte, the
 * category. Ranges of a set: pairs of the gap before a range and its length less one; a set is its categories, but for
 * the code points in its ranges. Mappings (lower case, folding, decompositions): the distance from the code point
 * before, the number of code points it becomes, and these. */

void pio_char_set_free(pio_char_set *set) {
    free(set->ranges);
    *set = (pio_char_set){0};
}

static pio_char_range *push(pio_char_set *set, uint32_t first, uint32_t last) {
    pio_char_range *range = PIO_PUSH(set, ranges);
    if (range) *range = (pio_char_range){first, last};
    return range;
}

/* Moves the ranges of `from` to `set`. */
static void take(pio_char_set *set, pio_char_set *from) {
    pio_char_set_free(set);
    *set = *from;
}

/* Both sorted: the union by merging. */
bool pio_char_set_add_set(pio_char_set *set, const pio_char_set *other) {
    pio_char_set sum = {0};
    int32_t a = 0, b = 0;
    while (a < set->n_ranges || b < other->n_ranges) {
        bool from_set = b == other->n_ranges || (a < set->n_ranges && set->ranges[a].first <= other->ranges[b].first);
        pio_char_range next = from_set ? set->ranges[a++] : other->ranges[b++];
        pio_char_range *last = sum.n_ranges ? &sum.ranges[sum.n_ranges - 1] : NULL;
        if (last && next.first <= last->last + 1) {
            if (next.last > last->last) last->last = next.last;
        } else if (!push(&sum, next.first, next.last)) {
            pio_char_set_free(&sum);
            return false;
        }
    }
    take(set, &sum);
    return true;
}

bool pio_char_set_add(pio_char_set *set, uint32_t first, uint32_t last) {
    if (set->n_ranges && first > set->ranges[set->n_ranges - 1].last + 1) return push(set, first, last) != NULL;
    pio_char_range range = {first, last};
    return pio_char_set_add_set(set, &(pio_char_set){.ranges = &range, .n_ranges = 1});
}

bool pio_char_set_intersect(pio_char_set *set, const pio_char_set *other) {
    pio_char_set common = {0};
    for (int32_t a = 0, b = 0; a < set->n_ranges && b < other->n_ranges;) {
        pio_char_range x = set->ranges[a], y = other->ranges[b];
        uint32_t first = x.first > y.first ? x.first : y.first, last = x.last < y.last ? x.last : y.last;
        if (first <= last && !push(&common, first, last)) {
            pio_char_set_free(&common);
            return false;
        }
        if (x.last < y.last)
            a++;
        else
            b++;
    }
    take(set, &common);
    return true;
}

bool pio_char_set_invert(pio_char_set *set) {
    pio_char_set rest = {0};
    uint32_t next = 0;
    for (int32_t i = 0; i <= set->n_ranges; i++) {
        uint32_t end = i < set->n_ranges ? set->ranges[i].first : PIO_UNICODE_LAST + 1;
        if (end > next && !push(&rest, next, end - 1)) {
            pio_char_set_free(&rest);
            return false;
        }
        if (i < set->n_ranges) next = set->ranges[i].last + 1;
    }
    take(set, &rest);
    return true;
}

bool pio_char_set_contains(const pio_char_set *set, uint32_t code) {
    int32_t low = 0, high = set->n_ranges;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (set->ranges[middle].last < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n_ranges && set->ranges[low].first <= code;
}

bool pio_char_set_equal(const pio_char_set *a, const pio_char_set *b) {
    return a->n_ranges == b->n_ranges &&
           (!a->n_ranges || !memcmp(a->ranges, b->ranges, sizeof *a->ranges * (size_t)a->n_ranges));
}

/* ASCII letters fold to each other, but for k (Kelvin sign) and s (long s). */
static bool add_folded_ascii(pio_char_set *set, uint32_t code) {
    uint32_t lower = code | 0x20;
    if (lower < 'a' || lower > 'z') return true;
    return pio_char_set_add(set, lower, lower) && pio_char_set_add(set, lower & ~0x20u, lower & ~0x20u) &&
           (lower != 'k' || pio_char_set_add(set, 0x212a, 0x212a)) &&
           (lower != 's' || pio_char_set_add(set, 0x17f, 0x17f));
}

bool pio_char_set_add_folded(pio_char_set *set) {
    if (set->n_ranges == 1 && set->ranges[0].first == set->ranges[0].last && set->ranges[0].first < 0x80)
        return add_folded_ascii(set, set->ranges[0].first);
    /* Twice over the table: which representatives have a member here, then all that fold to one of them. */
    pio_char_set reached = {0}, folded = {0};
    const unsigned char *end = pio_unicode_fold + pio_unicode_fold_bytes;
    bool ok = true;
    for (int pass = 0; pass < 2 && ok; pass++) {
        uint32_t code = 0;
        for (const unsigned char *at = pio_unicode_fold; at < end && ok;) {
            code += pio_unicode_varint(&at);
            pio_unicode_varint(&at); /* one code point each */
            uint32_t into = pio_unicode_varint(&at);
            if (pass)
                ok = !pio_char_set_contains(&reached, into) ||
                     (pio_char_set_add(&folded, code, code) && pio_char_set_add(&folded, into, into));
            else if (pio_char_set_contains(set, code) || pio_char_set_contains(set, into))
                ok = pio_char_set_add(&reached, into, into);
        }
    }
    ok = ok && pio_char_set_add_set(set, &folded);
    pio_char_set_free(&reached);
    pio_char_set_free(&folded);
    return ok;
}

/* All code points whose category is in the mask. */
static bool add_categories(pio_char_set *set, uint32_t mask) {
    pio_char_set found = {0};
    const unsigned char *at = pio_unicode_category_runs, *end = at + pio_unicode_category_runs_bytes;
    uint32_t first = 0;
    bool ok = true;
    while (at < end && ok) {
        uint32_t n = pio_unicode_varint(&at);
        bool in = mask >> *at++ & 1;
        pio_char_range *last = found.n_ranges ? &found.ranges[found.n_ranges - 1] : NULL;
        if (in && last && last->last + 1 == first)
            last->last = first + n - 1;
        else if (in)
            ok = push(&found, first, first + n - 1) != NULL;
        first += n;
    }
    ok = ok && pio_char_set_add_set(set, &found);
    pio_char_set_free(&found);
    return ok;
}

static bool add_named(pio_char_set *set, const pio_unicode_set *named) {
    pio_char_set base = {0}, differ = {0}, both = {0};
    const unsigned char *at = pio_unicode_set_ranges + named->at, *end = at + named->n_bytes;
    uint32_t next = 0;
    bool ok = add_categories(&base, named->categories);
    while (at < end && ok) {
        uint32_t first = next + pio_unicode_varint(&at), last = first + pio_unicode_varint(&at);
        ok = push(&differ, first, last) != NULL;
        next = last + 1;
    }
    /* (base | differ) less what is in both */
    ok = ok && pio_char_set_add_set(&both, &base) && pio_char_set_intersect(&both, &differ) &&
         pio_char_set_invert(&both) && pio_char_set_add_set(&base, &differ) && pio_char_set_intersect(&base, &both) &&
         pio_char_set_add_set(set, &base);
    pio_char_set_free(&base);
    pio_char_set_free(&differ);
    pio_char_set_free(&both);
    return ok;
}

/* Other names of categories and sets. A name of one or two letters that is no alias is a category or its group. */
static const struct {
    const char *name, *means;
} aliases[] = {
    {"letter", "l"},
    {"mark", "m"},
    {"number", "n"},
    {"punctuation", "p"},
    {"symbol", "s"},
    {"separator", "z"},
    {"other", "c"},
    {"uppercaseletter", "lu"},
    {"lowercaseletter", "ll"},
    {"titlecaseletter", "lt"},
    {"modifierletter", "lm"},
    {"otherletter", "lo"},
    {"nonspacingmark", "mn"},
    {"spacingmark", "mc"},
    {"enclosingmark", "me"},
    {"decimalnumber", "nd"},
    {"letternumber", "nl"},
    {"othernumber", "no"},
    {"digit", "nd"},
    {"cntrl", "cc"},
    {"control", "cc"},
    {"format", "cf"},
    {"unassigned", "cn"},
    {"privateuse", "co"},
    {"surrogate", "cs"},
    {"alpha", "alphabetic"},
    {"upper", "uppercase"},
    {"lower", "lowercase"},
    {"whitespace", "space"},
    {"wspace", "space"},
    {"casedletter", "lc"},
    {"dashpunctuation", "pd"},
    {"openpunctuation", "ps"},
    {"closepunctuation", "pe"},
    {"initialpunctuation", "pi"},
    {"finalpunctuation", "pf"},
    {"connectorpunctuation", "pc"},
    {"otherpunctuation", "po"},
    {"mathsymbol", "sm"},
    {"currencysymbol", "sc"},
    {"modifiersymbol", "sk"},
    {"othersymbol", "so"},
    {"spaceseparator", "zs"},
    {"lineseparator", "zl"},
    {"paragraphseparator", "zp"},
    {"hani", "han"},
    {"hira", "hiragana"},
    {"kana", "katakana"},
    {"hang", "hangul"},
    {"latn", "latin"},
    {"cyrl", "cyrillic"},
    {"grek", "greek"},
    {"arab", "arabic"},
    {"hebr", "hebrew"},
    {"deva", "devanagari"},
    {"zyyy", "common"},
    {"zinh", "inherited"},
    {"qaai", "inherited"},
};

static uint32_t category_mask(const char *name) {
    uint32_t mask = 0;
    size_t n = strlen(name);
    if (n > 2) return 0;
    for (int i = 0; i < PIO_UNICODE_CATEGORIES; i++) {
        const char *category = pio_unicode_category_names[i];
        bool cased = category[0] == 'L' && (category[1] == 'u' || category[1] == 'l' || category[1] == 't');
        if ((category[0] | 0x20) != name[0]) continue;
        if (n == 1 || category[1] == name[1] || (name[1] == 'c' && cased && name[0] == 'l')) mask |= 1u << i;
    }
    return mask;
}

pio_property pio_char_set_add_property(pio_char_set *set, const char *name, size_t n_name, bool posix) {
    char plain[32];
    size_t n = 0;
    for (size_t i = 0; i < n_name; i++) {
        char c = name[i];
        if (c == '_' || c == '-' || c == ' ') continue;
        if (n + 6 > sizeof plain) return PIO_PROPERTY_UNKNOWN; /* room for "posix" */
        plain[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    plain[n] = 0;
    if (posix && (!strcmp(plain, "word") || !strcmp(plain, "punct"))) {
        memmove(plain + 5, plain, n + 1);
        memcpy(plain, "posix", 5);
    }
    for (size_t i = 0; i < PIO_COUNT(aliases); i++) {
        if (!strcmp(plain, aliases[i].name)) strcpy(plain, aliases[i].means);
    }
    bool ok = true;
    uint32_t mask = category_mask(plain);
    if (mask) {
        ok = add_categories(set, mask);
    } else if (!strcmp(plain, "any")) {
        ok = pio_char_set_add(set, 0, PIO_UNICODE_LAST);
    } else if (!strcmp(plain, "assigned")) {
        ok = add_categories(set, ~category_mask("cn"));
    } else if (!strcmp(plain, "ascii")) {
        ok = pio_char_set_add(set, 0, 0x7f);
    } else if (!strcmp(plain, "xdigit")) {
        ok = pio_char_set_add(set, '0', '9') && pio_char_set_add(set, 'A', 'F') && pio_char_set_add(set, 'a', 'f');
    } else if (!strcmp(plain, "alnum")) {
        ok = pio_char_set_add_property(set, "alphabetic", 10, false) == PIO_PROPERTY_ADDED &&
             add_categories(set, category_mask("nd"));
    } else {
        for (size_t i = 0; i < pio_unicode_n_sets; i++) {
            if (!strcmp(plain, pio_unicode_sets[i].name))
                return add_named(set, &pio_unicode_sets[i]) ? PIO_PROPERTY_ADDED : PIO_PROPERTY_NO_MEMORY;
        }
        return PIO_PROPERTY_UNKNOWN;
    }
    return ok ? PIO_PROPERTY_ADDED : PIO_PROPERTY_NO_MEMORY;
}
