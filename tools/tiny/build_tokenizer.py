#!/usr/bin/env python3
"""Builds a sibling's tokenizer.json and tokenizer_config.json: byte-level BPE trained on its own generator's text.
usage: build_tokenizer.py OUT_DIR [--sibling NAME] [--seed 1]    (needs: pip install tokenizers)"""
import argparse
import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import family

# Splits as the published Qwen tokenizers do: contractions, letters with one leading mark, single digits, punctuation,
# line ends, white space.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")


def build(sibling, texts):
    """The ids of the added tokens follow the vocabulary's, in the order of the sibling's lists."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    n_added = len(sibling.special) + len(sibling.visible)
    trainer = trainers.BpeTrainer(vocab_size=sibling.vocab - n_added, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in sibling.special])
    tokenizer.add_tokens([AddedToken(s, special=False, normalized=False) for s in sibling.visible])
    assert tokenizer.get_vocab_size() == sibling.vocab
    return tokenizer


def config(sibling, tokenizer):
    added = {str(tokenizer.token_to_id(s)): {"content": s, "lstrip": False, "normalized": False, "rstrip": False,
                                             "single_word": False, "special": s in sibling.special}
             for s in sibling.special + sibling.visible}
    return {"add_bos_token": False, "add_prefix_space": False, "added_tokens_decoder": added,
            "additional_special_tokens": list(sibling.special[1:]), "bos_token": None,
            "clean_up_tokenization_spaces": False, "eos_token": sibling.ends[0], "errors": "replace",
            "model_max_length": sibling.widths[-1], "pad_token": sibling.special[0], "split_special_tokens": False,
            "tokenizer_class": sibling.tokenizer_class, "unk_token": None}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--sibling", default=family.SIBLINGS[0].name)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    sibling = family.by_name(a.sibling)
    tokenizer = build(sibling, sibling.load_world().corpus(random.Random(a.seed)))
    tokenizer.save(os.path.join(a.out, "tokenizer.json"))
    with open(os.path.join(a.out, "tokenizer_config.json"), "w") as f:
        json.dump(config(sibling, tokenizer), f, indent=2)
        f.write("\n")


if __name__ == "__main__":
    main()
