#!/usr/bin/env python3
"""Builds tokenizer.json and tokenizer_config.json: byte-level BPE trained on the generator's own text.
usage: build_tokenizer.py OUT_DIR [--vocab 512] [--seed 1]    (needs: pip install tokenizers)"""
import argparse
import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import conversation

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")  # their ids follow the vocabulary's, in this order

# Splits as the published Qwen tokenizers do: contractions, letters with one leading mark, single digits, punctuation,
# line ends, white space.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")


def build(vocab_size, texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size - len(SPECIAL), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    assert tokenizer.get_vocab_size() == vocab_size
    return tokenizer


def texts(seed, n_turns=60000):
    """The text to learn merges from: questions and answers, and the roles' names as often as a template writes them."""
    for q, a in conversation.Generator(random.Random(seed)).turns(n_turns):
        yield "user\n" + q
        yield "assistant\n" + a
    for _ in range(n_turns // 20):
        yield "system\n"


def config(tokenizer, max_length):
    added = {str(tokenizer.token_to_id(s)): {"content": s, "lstrip": False, "normalized": False, "rstrip": False,
                                             "single_word": False, "special": True} for s in SPECIAL}
    return {"add_bos_token": False, "add_prefix_space": False, "added_tokens_decoder": added,
            "additional_special_tokens": list(SPECIAL[1:]), "bos_token": None, "clean_up_tokenization_spaces": False,
            "eos_token": "<|im_end|>", "errors": "replace", "model_max_length": max_length,
            "pad_token": "<|endoftext|>", "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--vocab", type=int, default=512)
    p.add_argument("--max-length", type=int, default=1024)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    tokenizer = build(a.vocab, texts(a.seed))
    tokenizer.save(os.path.join(a.out, "tokenizer.json"))
    with open(os.path.join(a.out, "tokenizer_config.json"), "w") as f:
        json.dump(config(tokenizer, a.max_length), f, indent=2)
        f.write("\n")


if __name__ == "__main__":
    main()
