#!/usr/bin/env python3
"""Trains the tiny model from one seed, on a GPU if there is one, else on the CPU; saves itself and resumes.
usage: train.py OUT_DIR --tokenizer DIR [--steps N] ...    (needs: pip install torch tokenizers safetensors)
OUT_DIR/checkpoint.pt is the running state, OUT_DIR/model/ the checkpoint in Hugging Face form when done."""
import argparse
import math
import os
import time

import torch
from torch.nn import functional as F

import checkpoint
import data
import quantise
import qwen3

WIDTHS = (128, 128, 384, 1024)  # of the rows, in turn: short conversations matter most, long ones keep working


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--steps", type=int, default=16000)
    p.add_argument("--batch-tokens", type=int, default=65536)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--weight-decay", type=float, default=0.1)
    p.add_argument("--warm-up", type=int, default=200)
    p.add_argument("--noise-from", type=float, default=0.5, help="q4 noise on every second step after this share")
    p.add_argument("--seed", type=int, default=1)
    cores = os.cpu_count() or 1
    p.add_argument("--workers", type=int, default=cores // 4 * 4, help="processes that make batches; 0: none")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--save-s", type=float, default=120, help="seconds between saves")
    p.add_argument("--limit-s", type=float, default=math.inf, help="save and stop after so many seconds")
    return p.parse_args()


def lr_at(a, step):
    share = step / a.steps
    return a.lr * min(1, (step + 1) / a.warm_up) * (0.5 + 0.5 * math.cos(math.pi * min(1, share)) + 1e-3)


def save(path, model, optimizer, step):
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, path + ".new")
    os.replace(path + ".new", path)


def loss_of(model, rows, cos, sin):
    """Mean cross-entropy of the tokens that carry the LEARN bit, each predicted from those before it."""
    ids = rows & (data.LEARN - 1)
    target = torch.where((rows & data.LEARN) != 0, ids, -100)[:, 1:]
    logits = model(ids, cos, sin)[:, :-1]
    return F.cross_entropy(logits.float().reshape(-1, logits.shape[-1]), target.reshape(-1).long())


class Noise:
    """While entered, the matrices are quantised; the gradient found there is applied to the exact ones."""

    def __init__(self, model):
        matrices = [(n, p) for n, p in model.named_parameters() if p.dim() == 2]
        self.embedding = [p for n, p in matrices if "embed_tokens" in n]
        self.linear = [p for n, p in matrices if "embed_tokens" not in n]

    @torch.no_grad()
    def __enter__(self):
        self.exact = [p.detach().clone() for p in self.linear + self.embedding]
        # All at once: a launch a matrix would take longer than the step. Rows are whole groups of 32.
        flat = quantise.q4_noise(torch.cat([p.reshape(-1, quantise.SUB) for p in self.linear]))
        parts = flat.split([p.numel() // quantise.SUB for p in self.linear])
        torch._foreach_copy_(self.linear, [x.reshape(p.shape) for x, p in zip(parts, self.linear)])
        for p in self.embedding:
            p.copy_(quantise.q8(p))

    @torch.no_grad()
    def __exit__(self, *_):
        torch._foreach_copy_(self.linear + self.embedding, self.exact)


def main():
    a = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(a.seed)
    os.makedirs(a.out, exist_ok=True)
    state_file = os.path.join(a.out, "checkpoint.pt")
    c = qwen3.Config()
    model = qwen3.Model(c).to(device)
    optimizer = torch.optim.AdamW([{"params": [p for p in model.parameters() if p.dim() == 2]},
                                   {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}],
                                  lr=a.lr, betas=(0.9, 0.98), weight_decay=a.weight_decay, fused=device == "cuda")
    step = 0
    if os.path.exists(state_file):
        state = torch.load(state_file, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
        print("resumed at step", step, flush=True)
    cos, sin = qwen3.rope_tables(c, max(WIDTHS), device)
    shapes = [(max(1, a.batch_tokens // w), w) for w in WIDTHS]
    rows = data.Rows(os.path.join(a.tokenizer, "tokenizer.json"), shapes, "%d/%d" % (a.seed, step))
    loader = iter(torch.utils.data.DataLoader(rows, batch_size=None, num_workers=a.workers, pin_memory=device == "cuda",
                                              prefetch_factor=8 if a.workers else None))
    forward = torch.compile(loss_of, dynamic=False) if a.compile else loss_of
    noise = Noise(model)
    began = saved = told = time.time()
    told_step, waited = step, 0.0
    while step < a.steps:
        for g in optimizer.param_groups:
            g["lr"] = lr_at(a, step)
        t = time.time()
        batch = next(loader).to(device, non_blocking=True)
        waited += time.time() - t
        noisy = step >= a.noise_from * a.steps and step % 2 == 1
        if noisy:
            noise.__enter__()
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = forward(model, batch, cos, sin)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if noisy:
            noise.__exit__()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % (100 if device == "cuda" else 10) == 0:
            now = time.time()
            if now - told > 10 or step == a.steps:
                rate = (step - told_step) * a.batch_tokens / (now - told)
                print("step %d loss %.4f lr %.2e %.0f tokens/s waited %.1f s at %.0f s" %
                      (step, loss.item(), lr_at(a, step), rate, waited, now - began), flush=True)
                told, told_step, waited = now, step, 0.0
        if time.time() - saved > a.save_s or time.time() - began > a.limit_s:
            save(state_file, model, optimizer, step)
            saved = time.time()
            if time.time() - began > a.limit_s:
                break
    save(state_file, model, optimizer, step)
    checkpoint.export(os.path.join(a.out, "model"), model, a.tokenizer)
    print("step %d of %d, %.0f s, %d parameters" % (step, a.steps, time.time() - began,
                                                    sum(p.numel() for p in model.parameters())), flush=True)
    os._exit(0)  # the workers' endless generators need no goodbye


if __name__ == "__main__":
    main()
