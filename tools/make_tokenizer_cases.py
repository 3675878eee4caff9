#!/usr/bin/env python3
"""Makes tests/data/tokenizer/: tokenizers in the styles of published models over small vocabularies, with texts and the
ids that the reference gives them; or compares a program with the reference on many random texts.

Usage: make_tokenizer_cases.py QWEN3_TOKENIZER_JSON OUT_DIR           (needs: pip install tokenizers==0.23.*)
       make_tokenizer_cases.py QWEN3_TOKENIZER_JSON --compare PROGRAM N SEED [STYLE...]

PROGRAM tokenize DIR and PROGRAM detokenize DIR work line by line, as the command line's do. A style is stored as the
beginning of its tokenizer.json, up to the model's tables; <tables>.json, shared by many styles, is the rest.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
QWEN = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
HAN_UPPER, HAN_LOWER = UPPER[:-1] + r"&&[^\p{Han}]]", LOWER[:-1] + r"&&[^\p{Han}]]"


def o200k(upper, lower, contractions, digits, newline="/"):
    head = r"[^\r\n\p{L}\p{N}]?"
    return (head + upper + "*" + lower + "+" + contractions + "|" + head + upper + "+" + lower + "*" + contractions +
            "|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n" + newline + r"]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(regex, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: regex}, "behavior": behavior, "invert": invert}


def byte_level(prefix=False, regex=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def seq(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def normal(*steps):
    return {"type": "Sequence", "normalizers": list(steps)}


def token(content, **flags):
    out = {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
           "special": True}
    out.update(flags)
    return out


CHAT = [token(t) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|user|>", "<｜begin▁of▁sentence｜>")]
CHAT += [token(t, special=False) for t in ("<think>", "</think>")]
SPACES = [token(" " * n, normalized=True, special=False) for n in range(24, 1, -1)]
BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
LLAMA2_DECODER = {"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
PUNCTUATION = r"!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~"

# name: (tables, normalizer, pre_tokenizer, decoder, added tokens, options of the model)
STYLES = {
    "qwen": ("bytes", {"type": "NFC"}, seq(split(QWEN), byte_level()), BYTES, CHAT, {}),
    "gpt2": ("bytes", None, byte_level(False, True), BYTES, CHAT[:1], {}),
    "roberta": ("bytes", None, byte_level(True, True), BYTES, CHAT[:1] + [token("<mask>", lstrip=True)], {}),
    "llama3": ("bytes", None, seq(split(LLAMA3), byte_level()), BYTES, CHAT, {"ignore_merges": True}),
    "glm4": ("bytes", None, seq(split(LLAMA3, "Removed", True), byte_level()), BYTES, CHAT, {"ignore_merges": True}),
    "deepseek": ("bytes", normal(), seq(
        split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"),
        split("[" + PUNCTUATION + r"][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|"
              r"\s+(?!\S)|\s+"), byte_level()), BYTES, CHAT, {}),
    "deepseek_coder": ("bytes", normal(), seq(
        split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-\ud7ff]+"),
        {"type": "Digits", "individual_digits": True}, byte_level()), BYTES, CHAT, {}),
    "tekken": ("bytes", None, seq(split(o200k(UPPER, LOWER, "", r"\p{N}")), byte_level()), BYTES, CHAT,
               {"ignore_merges": True}),
    "o200k": ("bytes", None, seq(split(o200k(UPPER, LOWER, CONTRACTIONS + "?", r"\p{N}{1,3}"), "Removed", True),
                                 byte_level()), BYTES, CHAT, {}),
    "kimi": ("bytes", None, seq(split(r"[\p{Han}]+|" + o200k(HAN_UPPER, HAN_LOWER, CONTRACTIONS + "?", r"\p{N}{1,3}", "")),
                                byte_level()), BYTES, CHAT, {"ignore_merges": True}),
    "cl100k": ("bytes", None, seq(split(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|"
        r"\s+(?!\S)|\s"), byte_level()), BYTES, CHAT, {}),
    "starcoder": ("bytes", None, seq({"type": "Digits", "individual_digits": True}, byte_level(False, True)), BYTES,
                  CHAT, {}),
    "falcon": ("bytes", None, seq(
        {"type": "Punctuation", "behavior": "Contiguous"}, byte_level(False, True),
        {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]")), BYTES, CHAT, {}),
    "phi": ("bytes", None, byte_level(False, True), BYTES, CHAT[:1] + SPACES, {}),
    "neox": ("bytes", {"type": "NFC"}, byte_level(False, True), BYTES, CHAT[:1] + SPACES, {}),
    "bloom": ("bytes", None, seq(split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), byte_level()), BYTES, CHAT, {}),
    "byte_normalizer": ("bytes", normal({"type": "NFKC"}, {"type": "ByteLevel"}), split("Ġ", "MergedWithNext", False, "String"),
                        BYTES, CHAT + [token("été", normalized=True, special=False)], {}),
    "flags": ("bytes", normal({"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}),
              seq({"type": "Whitespace"}, byte_level(True)), BYTES,
              [token("<A>", single_word=True), token("Word", single_word=True, normalized=True),
               token("<l>", lstrip=True), token("<r>", rstrip=True), token("<lr>", lstrip=True, rstrip=True),
               token("ÉTÉ", normalized=True), token("<a>"), token("<a>b", special=False)], {"ignore_merges": True}),
    "strips": ("bytes", normal({"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "NFKD"}, {"type": "Nmt"},
                               {"type": "Replace", "pattern": {"Regex": r"\s{2,}|a+b"}, "content": "<>"},
                               {"type": "Replace", "pattern": {"String": "e"}, "content": ""}),
               seq({"type": "WhitespaceSplit"}, {"type": "CharDelimiterSplit", "delimiter": "x"},
                   {"type": "FixedLength", "length": 7}, byte_level()), BYTES, CHAT, {}),
    "greedy": ("bytes", normal({"type": "ByteLevel"}, {"type": "Prepend", "prepend": " "}), None, BYTES,
               [token("  ", lstrip=True, rstrip=True), token(" ", lstrip=True, rstrip=True),
                token("<r>", rstrip=True)], {}),
    "bert": ("bytes", None, seq({"type": "BertPreTokenizer"}, byte_level(False, True)), BYTES, CHAT, {}),
    "clip": ("clip", normal({"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                            {"type": "Lowercase"}),
             seq(split(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "Removed", True), byte_level()),
             BYTES, [token("<|startoftext|>"), token("<|endoftext|>", normalized=True)],
             {"end_of_word_suffix": "</w>", "unk_token": "<|unk|>", "continuing_subword_prefix": ""}),
    "llama2": ("characters", normal({"type": "Prepend", "prepend": "▁"},
                                    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}), None,
               LLAMA2_DECODER, [token("<s>"), token("</s>"), token("<unk>")],
               {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}),
    "gemma": ("characters", {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
              split(" ", "MergedWithPrevious", False, "String"),
              {"type": "Sequence", "decoders": LLAMA2_DECODER["decoders"][:3]},
              [token("<s>"), token("<unk>"), token("\n\n", special=False), token("▁▁", special=False)],
              {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}),
    "metaspace": ("characters", None, METASPACE, METASPACE, [token("<s>", normalized=True), token("</s>")],
                  {"unk_token": "<unk>", "fuse_unk": False}),
    "metaspace_split": ("characters", None, dict(METASPACE, prepend_scheme="always", split=True),
                        dict(METASPACE, prepend_scheme="always"), [token("<s>")], {"unk_token": "<unk>", "fuse_unk": True}),
    "no_decoder": ("characters", None, {"type": "Punctuation", "behavior": "MergedWithPrevious"}, None, [token("<s>")], {}),
}
# Corners of the regular expressions' dialect, each as a style over the bytes.
PATTERNS = [r"a{2}+|\d{2}?", r"(?i)kränze|[^K-M]|ſ", r"(?i:[k-s]+|É)", r"^.|.$", r"\bw+\B|\h+", r"[\p{L}-]|[a-c&&[^b]]+",
            r"(?<=a)b+|(?<!\s)[[:punct:]]", r"(?>a|ab)c|\R+", r"(?m:.)(?x: b # c" "\n)|\\N", r"[^\p{^L}\d]+|[[:^alpha:]]",
            r"\x41|\x{e9}|\u4f60|[\x30-\x39]{,2}", r"(\s)(?:x|(?<n>y))*?z?|[]a-]", r"\p{Greek}+|\p{Hiragana}|\p{Cyrillic}+",
            r"(?:ab?)*|\Z|\A", r"[[:upper:]][[:lower:]]+|[[:alnum:]]|[[:word:]]", r"\w+|\W|\p{Alpha}", r"a?", r"\d+(?=\D)|\p{Emoji}",
            r"[^\w\s]+|[\p{Word}-]½?"]
BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
for i, pattern in enumerate(PATTERNS):
    step = split(pattern, BEHAVIORS[i % 5], i % 3 == 1)
    STYLES["pattern_%02d" % i] = ("bytes", None, seq(step, byte_level()), BYTES, CHAT[:1], {})


def make_tables(qwen):
    """The tables that styles share; `bytes` is cut from Qwen3's."""
    words = "Ġworld Ġthe ing Hello Ġtokenizer ĠUnicode 123 你好 ĠĠĠĠ".split()
    vocab, merges = qwen["model"]["vocab"], [tuple(m) for m in qwen["model"]["merges"]]
    by_id = sorted(vocab, key=vocab.get)
    tokens, kept = by_id[:256], []
    for a, b in merges[:520]:
        kept.append([a, b])
        tokens.append(a + b)
    for a, b in merges:  # some of other scripts
        if len(kept) < 620 and a in tokens and b in tokens and ord(a[0]) > 0xFF and (a + b) not in tokens:
            kept.append([a, b])
            tokens.append(a + b)
    tokens += [w for w in words if w not in tokens]
    out = {"bytes": {"vocab": {t: i for i, t in enumerate(dict.fromkeys(tokens))}, "merges": kept}}

    text = "▁the▁cat▁sat▁on▁the▁mat▁and▁the▁other▁cat▁is▁there▁1234567890▁été▁là▁你好世界\n\t.,!?'\"-<>"
    pairs = [("t", "h"), ("▁", "th"), ("▁th", "e"), ("a", "t"), ("c", "at"), ("▁", "cat"), ("▁", "▁"), ("▁▁", "▁▁"),
             ("e", "r"), ("th", "er"), ("▁the", "re"), ("r", "e"), ("你", "好"), ("é", "t"), ("1", "2"), ("\n", "\n"), ("i", "s"),
             ("▁", "is"), ("a", "b"), ("b", "a"), ("a", "a")]
    tokens = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)] + list(dict.fromkeys(text + "ab"))
    tokens += [a + b for a, b in pairs] + ["▁there", "the"]
    out["characters"] = {"vocab": {t: i for i, t in enumerate(dict.fromkeys(tokens))}, "merges": pairs}

    tokens = by_id[:256] + [t + "</w>" for t in by_id[:256]] + ["<|unk|>"]
    pairs = [("t", "h"), ("th", "e</w>"), ("e", "r</w>"), ("th", "er</w>"), ("a", "t</w>"), ("c", "at</w>"), ("Ã", "©"), ("Ã", "©</w>"),
             ("1", "2"), ("a", "b</w>"), ("l", "l"), ("e", "ll"), ("h", "ell"), ("hell", "o</w>")]
    tokens += [a + b for a, b in pairs]
    tokens.remove("z")  # unknown symbols
    tokens.remove("q</w>")
    out["clip"] = {"vocab": {t: i for i, t in enumerate(dict.fromkeys(tokens))}, "merges": pairs}
    return out


def head(style):
    tables, normalizer, pre, decoder, added, options = STYLES[style]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    model.update(options)
    top = {"version": "1.0", "truncation": None, "padding": None,
           "added_tokens": [dict(t, id=i) for i, t in enumerate(added)], "normalizer": normalizer, "pre_tokenizer": pre,
           "post_processor": None, "decoder": decoder, "model": model}
    return json.dumps(top, ensure_ascii=False)[:-2] + ", "


def whole(style, tables):
    return head(style) + json.dumps(tables[STYLES[style][0]], ensure_ascii=False)[1:] + "}"


POOLS = ["abcdefghij XYZ 'll 've 'S 'ſ 12345 .,!?\n\t", "äöüßéèñçøåÀÉ ﬁ ﬀ Å e\u0301 o\u0308 한국어 가 \u1100\u1161\u11a8 İıſKσς",
         "你好世界日本語テスト漢字ひらがなАБвгαβΓ", "🦙👩‍👩‍👧‍👦🏳️‍🌈 \u200d\ufe0f⚡", "  \n\n\r\n \t\u00a0\u2003\u3000\u0085\u180e x\u2028\v\f\x1c",
         "1234567890٠١٢٣४५६½²Ⅷ①", "aabbba ab'c-d_e x", "\u0301\u0327\u0345\u05b0\u0f71\u0f72\u0f74aé\u09c7\u09be"]
PIECES = ["user\n", " a", "  ", "<|", "|>", "é", "ÉTÉ", "été", "e\u0301te\u0301", "Word", "word", "wOrd ", "the", " the cat", "there",
          "Hello", " world", "a" * 50, "ab" * 40, "12345678", "can't", "WE'LL", "\r\n", "▁", "▁▁", "<0x41>", "tokenizer", "\n\n", "你好"]
RANGES = [(32, 0x250), (0x250, 0x370), (0x370, 0x1100), (0x1100, 0x2000), (0x2000, 0x2BFF), (0x2C00, 0x3100), (0x4E00, 0x9FFF),
          (0xA000, 0xD800), (0xE000, 0x10000), (0x1F300, 0x1FAFF), (0x10000, 0x20000), (0x20000, 0x32000), (0x10000, 0x10FFFF),
          (0, 32)]


def random_text(rng, specials):
    kind, n = rng.random(), rng.randrange(1, 50)
    if kind < 0.25:
        return "".join(chr(rng.randrange(*rng.choice(RANGES))) for _ in range(n))
    if kind < 0.5:
        return "".join(rng.choice(PIECES + specials) for _ in range(n // 3 + 1))
    pool = rng.choice(POOLS)
    return "".join(rng.choice(rng.choice(POOLS) if rng.random() < 0.3 else pool) for _ in range(n))


def texts_of(style, n, seed):
    rng = random.Random("%s %s" % (style, seed))
    specials = [t["content"] for t in STYLES[style][4]]
    return [random_text(rng, specials) for _ in range(n)]


def compare(program, n, seed, styles, tables):
    bad = 0
    for style in styles:
        with tempfile.TemporaryDirectory() as d:
            with open(d + "/tokenizer.json", "w") as f:
                f.write(whole(style, tables))
            reference = Tokenizer.from_file(d + "/tokenizer.json")
            texts = texts_of(style, n, seed)
            p = subprocess.run([program, "tokenize", d], input="".join(json.dumps(t) + "\n" for t in texts),
                               capture_output=True, text=True)
            if p.returncode:
                print(style, "FAILED:", p.stderr.strip())
                bad += 1
                continue
            wrong = 0
            all_ids = []
            for t, line in zip(texts, p.stdout.splitlines()):
                want = reference.encode(t, add_special_tokens=False)
                all_ids.append(want.ids)
                if json.loads(line) != want.ids:
                    wrong += 1
                    if wrong < 3:
                        print(style, "differs:", json.dumps(t), "\n  want", want.tokens, want.ids, "\n  got ", line)
            rng = random.Random(seed)
            all_ids += [[rng.randrange(reference.get_vocab_size()) for _ in range(rng.randrange(1, 20))] for _ in range(n)]
            all_ids = [i for i in all_ids if i]
            p = subprocess.run([program, "detokenize", d], input="".join(json.dumps(i) + "\n" for i in all_ids),
                               capture_output=True, text=True)
            if p.returncode:
                print(style, "FAILED:", p.stderr.strip())
                bad += 1
                continue
            undone = 0
            for ids, line in zip(all_ids, p.stdout.split("\n")):
                want = reference.decode(ids, skip_special_tokens=False)
                if json.loads(line) != want:
                    undone += 1
                    if undone < 3:
                        print(style, "decodes", ids, "\n  want", ascii(want), "\n  got ", line)
            print(style, wrong, "of", n, "differ; decoding", undone, "of", len(all_ids))
            bad += wrong + undone
    print(bad, "differences")
    return bad


def generate(out, tables):
    os.makedirs(out, exist_ok=True)
    for name, table in tables.items():
        with open("%s/%s.tables" % (out, name), "w") as f:
            f.write(json.dumps(table, ensure_ascii=False, separators=(",", ":"))[1:] + "}\n")
    with open(out + "/styles.txt", "w") as f:
        for style in STYLES:
            with open("%s/%s.head" % (out, style), "w") as h:
                h.write(head(style) + "\n")
            reference = Tokenizer.from_str(whole(style, tables))
            f.write("style %s %s\n" % (style, STYLES[style][0]))
            n = 8 if style.startswith("pattern") else 14
            for t in texts_of(style, n, "kept"):
                ids = reference.encode(t, add_special_tokens=False).ids
                f.write(json.dumps(t, ensure_ascii=True) + "\n" + json.dumps(ids, separators=(",", ":")) + "\n")
                back = reference.decode(ids, skip_special_tokens=False) if ids else ""
                f.write(json.dumps(back, ensure_ascii=True) + "\n")


def main():
    with open(sys.argv[1]) as f:
        tables = make_tables(json.load(f))
    if sys.argv[2] != "--compare":
        return generate(sys.argv[2], tables)
    styles = sys.argv[6:] or list(STYLES)
    return 1 if compare(sys.argv[3], int(sys.argv[4]), sys.argv[5], styles, tables) else 0


if __name__ == "__main__":
    sys.exit(main())
