#!/usr/bin/env python3
"""Asks fresh questions in PyTorch and prints the exact answers per task, with the weights as the engine stores them.
usage: evaluate.py MODEL_DIR [--n 2000] [--seed 7] [--modes bf16,q8,q4] [--check]    (needs: torch tokenizers)

An answer counts when greedy decoding would give every token of it and then <|im_end|>. That is so exactly when each
of those tokens is the likeliest after the prompt and the tokens before it, so one pass over prompt and answer tells.
--check also compares the prompt with the chat template's and the logits with transformers' (pip install transformers).
"""
import argparse
import json
import os
import random

import torch
from tokenizers import Tokenizer

import checkpoint
import conversation
import quantise
import qwen3


def encode(tokenizer, questions):
    """[(ids, length of the prompt)]"""
    out = []
    for q in questions:
        prompt = tokenizer.encode(conversation.render(q["messages"]), add_special_tokens=False).ids
        answer = tokenizer.encode(q["answer"] + "<|im_end|>", add_special_tokens=False).ids
        out.append((prompt + answer, len(prompt)))
    return out


@torch.no_grad()
def right(model, encoded, device, rows):
    """For each question whether greedy decoding gives the expected answer; float32 throughout."""
    cos, sin = qwen3.rope_tables(model.c, max(len(i) for i, _ in encoded), device)
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]))
    good = [False] * len(encoded)
    for at in range(0, len(order), rows):
        part = order[at : at + rows]
        width = max(len(encoded[i][0]) for i in part)
        ids = torch.zeros(len(part), width, dtype=torch.int64)
        for r, i in enumerate(part):
            ids[r, : len(encoded[i][0])] = torch.tensor(encoded[i][0])
        best = model(ids.to(device), cos, sin).argmax(-1).cpu()
        for r, i in enumerate(part):
            n, prompt = len(encoded[i][0]), encoded[i][1]
            good[i] = bool((best[r, prompt - 1 : n - 1] == ids[r, prompt:n]).all())
    return good


def integer_activations(model):
    """Makes every product read int8 activations, as the engine's integer kernels do; returns the hooks."""
    hooks = [m.register_forward_pre_hook(lambda _, x: (quantise.activations(x[0]),))
             for m in model.modules() if isinstance(m, torch.nn.Linear)]
    return hooks + [model.model.norm.register_forward_hook(lambda _, x, y: quantise.activations(y))]


def check(path, model, tokenizer, questions, encoded):
    """The prompts and logits against transformers'."""
    import transformers

    reference = transformers.AutoTokenizer.from_pretrained(path)
    for q in questions:
        text = reference.apply_chat_template(q["messages"], tokenize=False, add_generation_prompt=True)
        assert text == conversation.render(q["messages"]), text
    for (ids, n), q in zip(encoded, questions):
        assert reference(conversation.render(q["messages"])).input_ids == ids[:n]
        parts = conversation.render(q["messages"]) + q["answer"] + "<|im_end|>"
        assert tokenizer.encode(parts, add_special_tokens=False).ids == ids, parts
    other = transformers.Qwen3ForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    worst = 0.0
    for ids, _ in encoded[:20]:
        cos, sin = qwen3.rope_tables(model.c, len(ids), "cpu")
        x = torch.tensor([ids])
        with torch.no_grad():
            a, b = model(x, cos, sin), other(x).logits
        worst = max(worst, ((a - b).pow(2).mean() / b.pow(2).mean()).item())
    assert worst < 1e-9, worst
    print("prompts and ids equal transformers' for %d questions; logits' normalised mean squared error at most %.1e" %
          (len(questions), worst))


def table(names, results):
    modes = list(results)
    print("| task | " + " | ".join(modes) + " |\n|---|" + "---:|" * len(modes))
    tasks = sorted(set(names), key=names.index)
    for t in tasks + ["all"]:
        cells = []
        for m in modes:
            of = [g for g, n in zip(results[m], names) if t in (n, "all")]
            cells.append("%.2f" % (100 * sum(of) / len(of)))
        print("| %s | %s |" % (t, " | ".join(cells)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("--n", type=int, default=2000)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--from", dest="source", metavar="FILE", help="the questions of this file instead of fresh ones")
    p.add_argument("--modes", default="bf16,q8,q4", help="a following +a8 makes the activations int8: q4+a8")
    p.add_argument("--show", type=int, default=0, help="print so many of the wrong answers' questions")
    p.add_argument("--check", action="store_true")
    a = p.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    if a.source:
        with open(a.source, encoding="utf-8") as f:
            questions = [json.loads(line) for line in f][: a.n]
    else:
        questions = conversation.Generator(random.Random(a.seed)).questions(a.n)
    encoded = encode(tokenizer, questions)
    model = checkpoint.load(a.model)
    if a.check:
        check(a.model, model, tokenizer, questions, encoded)
    state, model, results = {k: v.clone().to(device) for k, v in model.state_dict().items()}, model.to(device), {}
    for mode in a.modes.split(","):
        kind, _, acts = mode.partition("+")
        model.load_state_dict(quantise.weights(state, kind))
        hooks = integer_activations(model) if acts == "a8" else []
        results[mode] = right(model, encoded, device, 500 if device == "cuda" else 32)
        for h in hooks:
            h.remove()
    print("%d questions, %s" % (len(questions), a.source or "seed %d" % a.seed))
    table([q["task"] for q in questions], results)
    for mode in results:
        for q in [q for q, g in zip(questions, results[mode]) if not g][: a.show]:
            print(mode, q["task"], repr(q["messages"][-1]["content"]), "->", repr(q["answer"]))


if __name__ == "__main__":
    main()
