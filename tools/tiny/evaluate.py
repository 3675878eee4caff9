#!/usr/bin/env python3
"""Asks fresh questions in PyTorch and prints the exact answers per task, with the weights as the engine stores them.
usage: evaluate.py MODEL_DIR [--n 2000] [--seed 7] [--modes bf16,q8,q4] [--check]    (needs: torch tokenizers)

An answer counts when greedy decoding would give every token of it, of the thoughts before it and of its end. That is so
exactly when each of those tokens is the likeliest after the prompt and the tokens before it, so one pass over prompt and
answer tells. --check also compares prompts and logits with transformers' (pip install transformers; for pictures also
pillow and torchvision)."""
import argparse
import json
import os
import random

import torch
from tokenizers import Tokenizer

import checkpoint
import data
import family
import quantise


def encode(tokenizer, world, questions):
    """A data.Row for each; what must be said carries the LEARN bit."""
    out = []
    for q in questions:
        scenes = q.get("scenes", [])
        text = world.render(q, world.expanded) if scenes else world.render(q)
        prompt = tokenizer.encode(text, add_special_tokens=False).ids
        say = tokenizer.encode(world.completion(q), add_special_tokens=False).ids
        out.append(data.Row(prompt + [i | data.LEARN for i in say], scenes))
    return out


def run(model, sibling, tokenizer, rows, device):
    """(ids with their LEARN bits, logits)"""
    batch = data.collate(sibling, tokenizer, rows, max(len(r.ids) for r in rows))
    batch = {k: v.to(device) for k, v in batch.items()}
    return batch["rows"], model({**batch, "ids": batch["rows"] & (data.LEARN - 1)})


@torch.no_grad()
def right(model, sibling, tokenizer, rows, device, at_once):
    """For each row whether greedy decoding gives what must be said; float32 throughout."""
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].scenes), len(rows[i].ids)))
    good = [False] * len(rows)
    for at in range(0, len(order), at_once):
        part = order[at : at + at_once]
        ids, logits = run(model, sibling, tokenizer, [rows[i] for i in part], device)
        wrong = (ids[:, 1:] & data.LEARN != 0) & (logits.argmax(-1)[:, :-1] != ids[:, 1:] & (data.LEARN - 1))
        for i, bad in zip(part, wrong.any(1).tolist()):
            good[i] = not bad
    return good


def integer_activations(model):
    """Makes every product read int8 activations, as the engine's integer kernels do; returns the hooks. Routers and
    MLA's kv_b stay as they are."""
    text = model.model.language_model if hasattr(model.model, "language_model") else model.model
    hooks = [m.register_forward_pre_hook(lambda _, x: (quantise.activations(x[0]),))
             for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and not n.endswith("kv_b_proj")]
    return hooks + [text.norm.register_forward_hook(lambda _, x, y: quantise.activations(y))]


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
    sibling = family.of_checkpoint(a.model)
    world = sibling.load_world()
    tokenizer = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    if a.source:
        with open(a.source, encoding="utf-8") as f:
            questions = [json.loads(line) for line in f][: a.n]
    else:
        questions = world.Generator(random.Random(a.seed)).questions(a.n)
    rows = encode(tokenizer, world, questions)
    model, tensors = checkpoint.load(a.model, sibling)
    if a.check:
        import reference

        reference.check(a.model, sibling, model, tokenizer, questions, rows)
    tensors, model, results = {k: v.to(device) for k, v in tensors.items()}, model.to(device), {}
    for mode in a.modes.split(","):
        kind, _, acts = mode.partition("+")
        sibling.load_architecture().from_published(model, quantise.weights(tensors, kind))
        hooks = integer_activations(model) if acts == "a8" else []
        results[mode] = right(model, sibling, tokenizer, rows, device, 250 if device == "cuda" else 32)
        for h in hooks:
            h.remove()
    print("%d questions, %s" % (len(questions), a.source or "seed %d" % a.seed))
    table([q["task"] for q in questions], results)
    for mode in results:
        for q in [q for q, g in zip(questions, results[mode]) if not g][: a.show]:
            print(mode, q["task"], repr(world.render(q)[-160:]), "->", repr(world.completion(q)))


if __name__ == "__main__":
    main()
