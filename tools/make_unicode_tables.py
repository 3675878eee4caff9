#!/usr/bin/env python3
"""Writes text/unicode_tables.c by asking the reference tokenizer which characters its classes hold.

Usage: make_unicode_tables.py OUT.c      (needs: pip install tokenizers==0.23.*)

The regular expressions of a tokenizer.json follow one Unicode version (16.0 in tokenizers 0.23), its normalizers
another (9.0), its Digits, Punctuation and Whitespace steps those of their own libraries. So nothing is taken from a
Unicode database: every class is probed code point by code point. Only names of combining classes are proposed by
Python's unicodedata and then checked.
"""
import sys
import unicodedata

from tokenizers import Regex, __version__
from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P

# Planes 4 to 13 are unassigned, 15 and 16 private use: one sample of each stands for them.
PLANES = [c for p in (0, 1, 2, 3, 14) for c in range(p << 16, (p + 1) << 16) if not 0xD800 <= c < 0xE000]
SAMPLES = [0x40000, 0xDFFFF, 0xF0000, 0x10FFFD]
POINTS = sorted(PLANES + SAMPLES)
TEXT = "".join(map(chr, POINTS))

CATEGORIES = ("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn Cs").split()
# name in patterns (lower case, without "_", "-" and space), pattern or pre-tokenizer that shows it
SCRIPTS = ("Common Inherited Han Hiragana Katakana Hangul Bopomofo Latin Greek Cyrillic Armenian Hebrew Arabic Syriac "
           "Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam Sinhala Thai Lao Tibetan "
           "Myanmar Georgian Ethiopic Khmer Mongolian").split()
SETS = [("word", r"\w"), ("posixword", "[[:word:]]"), ("space", r"\s"), ("blank", "[[:blank:]]"),
        ("alphabetic", r"\p{Alphabetic}"), ("uppercase", r"\p{Uppercase}"), ("lowercase", r"\p{Lowercase}"),
        ("graph", "[[:graph:]]"), ("print", "[[:print:]]"), ("punct", r"\p{Punct}"), ("posixpunct", "[[:punct:]]"),
        ("emoji", r"\p{Emoji}"), ("emojipresentation", r"\p{Emoji_Presentation}"),
        ("extendedpictographic", r"\p{Extended_Pictographic}"), ("ideographic", r"\p{Ideographic}")]
SETS += [(s.lower(), r"\p{%s}" % s) for s in SCRIPTS]
# What the other steps use; '!' keeps these names out of patterns.
STEPS = [("!numeric", P.Digits(individual_digits=True)), ("!whitespace", P.WhitespaceSplit()),
         ("!punctuation", P.Punctuation("isolated")), ("!stepword", None), ("!stepspace", None), ("!mark", None)]


def members(pieces_kept):
    """The points whose offsets do not lie in the pieces that a step kept."""
    out = set(range(len(POINTS)))
    for _, (a, b) in pieces_kept:
        out.difference_update(range(a, b))
    return {POINTS[i] for i in out}


def of_pattern(pattern):
    return members(P.Split(Regex(pattern), "removed").pre_tokenize_str(TEXT))


def of_step(name, step):
    if name == "!whitespace":
        return members(step.pre_tokenize_str(TEXT))
    if name == "!mark":
        kept = N.StripAccents().normalize_str(TEXT)
        return set(POINTS) - set(map(ord, kept))
    if name == "!stepword":  # Whitespace joins word characters: "a" + c + "a" is one piece
        return {c for c in POINTS if len(P.Whitespace().pre_tokenize_str("a" + chr(c) + "a")) == 1}
    if name == "!stepspace":  # and leaves spaces out
        return {c for c in POINTS if not P.Whitespace().pre_tokenize_str(chr(c))}
    # Isolated steps: between two letters that the class does not hold, a member stands alone.
    return {c for c in POINTS if len(step.pre_tokenize_str("a" + chr(c) + "a")) == 3}


def widen(points):
    """Ranges over all of Unicode, samples standing for their planes."""
    full = set(points)
    if 0x40000 in full:
        full |= set(range(0x40000, 0xE0000))
    for p, s in ((15, 0xF0000), (16, 0x10FFFD)):
        if s in full:  # the last two code points of a plane are noncharacters, as 0xDFFFF is
            full |= set(range(p << 16, (p << 16) + 0xFFFE))
        if 0xDFFFF in full:
            full |= {(p << 16) + 0xFFFE, (p << 16) + 0xFFFF}
    return full


def varint(n):
    out = []
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return out + [n]


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] + 1 == c:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def pack_ranges(points):
    data, at = [], 0
    for a, b in ranges(points):
        data += varint(a - at) + varint(b - a)
        at = b + 1
    return data


def categories():
    of = {c: "Cn" for c in range(0x110000)}
    for c in range(0xD800, 0xE000):
        of[c] = "Cs"
    for name in CATEGORIES:
        if name not in ("Cn", "Cs"):
            for c in widen(of_pattern(r"\p{%s}" % name)):
                of[c] = name
    return of


def normal(step, text):
    return step.normalize_str(text)


def combining_classes():
    """Class by class: two marks change places exactly if both classes are not 0 and the first is greater."""
    proposed = {c: unicodedata.combining(chr(c)) for c in PLANES if unicodedata.combining(chr(c))}
    sample = {}
    for c, k in proposed.items():
        if c < 0x1E00 or k not in sample:
            sample.setdefault(k, c)
    nfd, out = N.NFD(), {}

    def swaps(a, b):
        return normal(nfd, "a" + chr(a) + chr(b)) != "a" + normal(nfd, chr(a)) + normal(nfd, chr(b))

    # Classes younger than the reference's Unicode have no sample that moves.
    grave = 0x300
    sample = {k: c for k, c in sample.items() if c == grave or swaps(c, grave) or swaps(grave, c)}
    for c, k in proposed.items():
        if len(normal(nfd, chr(c))) > 1 or normal(nfd, chr(c)) != chr(c):
            out[c] = k
            continue
        ok = all(swaps(s, c) == (q > k) and swaps(c, s) == (k > q) for q, s in sample.items())
        if ok:
            out[c] = k
        else:
            assert not any(swaps(s, c) or swaps(c, s) for s in sample.values()), hex(c)
    # No other character may move: after the highest and before the lowest class.
    high, low = sample[max(sample)], sample[min(sample)]
    for c in PLANES:
        if c not in out and normal(nfd, chr(c)) == chr(c):
            assert normal(nfd, "a" + chr(high) + chr(c) + chr(low)) == "a" + chr(high) + chr(c) + chr(low), hex(c)
    return out


def normalization():
    nfd, nfkd, nfc = N.NFD(), N.NFKD(), N.NFC()
    hangul = range(0xAC00, 0xAC00 + 11172)
    canonical, compat, pairs = {}, {}, {}
    for c in PLANES:
        if c in hangul:
            continue
        d, k = normal(nfd, chr(c)), normal(nfkd, chr(c))
        if d != chr(c):
            canonical[c] = [ord(x) for x in d]
        if k != d:
            compat[c] = [ord(x) for x in k]
    for c, d in canonical.items():
        if len(d) > 1 and normal(nfc, "".join(map(chr, d))) == chr(c):
            first = normal(nfc, "".join(map(chr, d[:-1])))
            assert len(first) == 1 and normal(nfc, first + chr(d[-1])) == chr(c), hex(c)
            pairs[ord(first), d[-1]] = c
    return canonical, compat, pairs


def pack_mapping(mapping):
    data, at = [], 0
    for c in sorted(mapping):
        data += varint(c - at) + varint(len(mapping[c]))
        for x in mapping[c]:
            data += varint(x)
        at = c
    return data


def folds(a, b):
    return not P.Split(Regex(r"(?i:\x{%x})" % a), "removed").pre_tokenize_str(chr(b))


def fold_groups():
    """Simple case folding: proposed by the reference's lower case and Python's folding, checked with its patterns."""
    lower = {}
    for c in PLANES:
        low = normal(N.Lowercase(), chr(c))
        if low != chr(c):
            lower[c] = [ord(x) for x in low]
    fold = {c: m[0] for c, m in lower.items() if len(m) == 1}
    for c in PLANES:
        f = chr(c).casefold()
        if len(f) == 1 and f != chr(c):
            fold[c] = ord(f)
    for c in list(fold):  # chains end in one representative
        seen = {c}
        while fold[c] in fold and fold[c] not in seen:
            seen.add(fold[c])
            fold[c] = fold[fold[c]]
    return lower, {c: [f] for c, f in fold.items() if c != f and folds(c, f)}


def array(out, name, data):
    out.append("const unsigned char %s[] = {" % name)
    line = "   "
    for b in data:
        if len(line) + len(" %d," % b) > 118:
            out.append(line)
            line = "   "
        line += " %d," % b
    out += [line, "};", "const size_t %s_bytes = sizeof %s;" % (name, name), ""]


def main():
    of = categories()
    out = ["/* Made by tools/make_unicode_tables.py from tokenizers %s: do not edit. The format is in text/unicode.c. */"
           % __version__, "/* clang-format off */", '#include "text/unicode_tables.h"', "",
           "const char pio_unicode_category_names[%d][3] = {" % len(CATEGORIES),
           "    " + ", ".join('"%s"' % c for c in CATEGORIES) + ",", "};", ""]
    runs, at = [], 0
    while at < 0x110000:
        end = at
        while end < 0x110000 and of[end] == of[at]:
            end += 1
        runs += varint(end - at) + [CATEGORIES.index(of[at])]
        at = end
    array(out, "pio_unicode_category_runs", runs)

    by_category = {k: set() for k in CATEGORIES}
    for c, k in of.items():
        by_category[k].add(c)
    rows, blob = [], []
    for name, how in SETS + STEPS:
        full = widen(of_pattern(how) if isinstance(how, str) else of_step(name, how))
        mask, base = 0, set()
        for i, k in enumerate(CATEGORIES):
            if len(by_category[k] & full) * 2 > len(by_category[k]):
                mask |= 1 << i
                base |= by_category[k]
        diff = pack_ranges(base ^ full)
        rows.append('    {"%s", 0x%xu, %d, %d},' % (name, mask, len(blob), len(diff)))
        blob += diff
        print(name, len(full), "differs in", len(base ^ full), file=sys.stderr)
    out += ["const pio_unicode_set pio_unicode_sets[] = {"] + rows
    out += ["};", "const size_t pio_unicode_n_sets = sizeof pio_unicode_sets / sizeof pio_unicode_sets[0];", ""]
    array(out, "pio_unicode_set_ranges", blob)

    ccc = combining_classes()
    data, at = [], 0
    for c in sorted(ccc):
        data += varint(c - at) + [ccc[c]]
        at = c
    array(out, "pio_unicode_combining", data)
    canonical, compat, pairs = normalization()
    array(out, "pio_unicode_canonical", pack_mapping(canonical))
    array(out, "pio_unicode_compatible", pack_mapping(compat))
    data = []
    for (a, b), c in sorted(pairs.items()):
        data += varint(a) + varint(b) + varint(c)
    array(out, "pio_unicode_compositions", data)
    lower, fold = fold_groups()
    array(out, "pio_unicode_lower", pack_mapping(lower))
    array(out, "pio_unicode_fold", pack_mapping(fold))
    with open(sys.argv[1], "w") as f:
        f.write("\n".join(out[:-1]) + "\n")


if __name__ == "__main__":
    main()
