#!/usr/bin/env python3
"""Trains a tiny model from one seed, on a GPU if there is one, else on the CPU; saves itself and resumes.
usage: train.py OUT_DIR --tokenizer DIR [--sibling NAME] [--limit-s S | --steps N] ...
       (needs: pip install torch tokenizers safetensors)
OUT_DIR/checkpoint.pt is the running state, OUT_DIR/model/ the checkpoint in Hugging Face form when done."""
import argparse
import math
import os
import time

import torch
from torch.nn import functional as F

import checkpoint
import data
import family
import quantise


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--sibling", default=family.SIBLINGS[0].name)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--steps", type=int, default=16000)
    p.add_argument("--limit-s", type=float, default=math.inf, help="done after so many seconds, or --steps")
    p.add_argument("--stop-s", type=float, default=math.inf, help="save and stop, to be resumed, after so many seconds")
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
    return p.parse_args()


def save(path, state):
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def loss_of(model, batch, pad):
    """(mean cross-entropy of the tokens that carry the LEARN bit, each predicted from those before it, and what the
    routers ask for; their loads [routers, experts], or None)"""
    rows = batch["rows"]
    ids = rows & (data.LEARN - 1)
    live = (ids != pad).float()
    aux = {"loss": 0.0, "loads": [], "live": live / live.sum()}
    logits = model({**batch, "ids": ids}, aux)[:, :-1]
    target = torch.where((rows & data.LEARN) != 0, ids, -100)[:, 1:]
    loss = F.cross_entropy(logits.float().reshape(-1, logits.shape[-1]), target.reshape(-1).long())
    return loss + aux["loss"], torch.stack(aux["loads"]) if aux["loads"] else None


class Noise:
    """While entered, the matrices are quantised; the gradient found there is applied to the exact ones."""

    def __init__(self, model):
        forms = [(quantise.form(n, p), p) for n, p in model.named_parameters()]
        self.coarse, self.fine = [p for f, p in forms if f == "q4"], [p for f, p in forms if f == "q8"]

    @torch.no_grad()
    def __enter__(self):
        self.exact = [p.detach().clone() for p in self.coarse + self.fine]
        # All at once: a launch a matrix would take longer than the step. Rows are whole groups of 32.
        flat = quantise.q4_noise(torch.cat([p.reshape(-1, quantise.SUB) for p in self.coarse]))
        parts = flat.split([p.numel() // quantise.SUB for p in self.coarse])
        torch._foreach_copy_(self.coarse, [x.reshape(p.shape) for x, p in zip(parts, self.coarse)])
        for p in self.fine:
            p.copy_(quantise.q8(p))

    @torch.no_grad()
    def __exit__(self, *_):
        torch._foreach_copy_(self.coarse + self.fine, self.exact)


class Run:
    """Model, optimizer and how far they are; `spent` counts the seconds of earlier runs too."""

    def __init__(self, a, sibling, device):
        self.a, self.device, self.file = a, device, os.path.join(a.out, "checkpoint.pt")
        architecture = sibling.load_architecture()
        self.model = architecture.Model(architecture.Config()).to(device)
        matrices = [p for p in self.model.parameters() if p.dim() > 1]
        vectors = [p for p in self.model.parameters() if p.dim() == 1]
        self.optimizer = torch.optim.AdamW([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], lr=a.lr,
                                           betas=(0.9, 0.98), weight_decay=a.weight_decay, fused=device == "cuda")
        self.step, self.before, self.began = 0, 0.0, time.time()
        if os.path.exists(self.file):
            state = torch.load(self.file, map_location=device)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.before = state["step"], state["spent"]
            print("resumed at step", self.step, flush=True)

    def spent(self):
        return self.before + time.time() - self.began

    def share(self):
        """How much of the training is done, 0 to 1."""
        return min(1.0, max(self.step / self.a.steps, self.spent() / self.a.limit_s))

    def pace(self):
        """The learning rate's share of its peak: a warm-up, then half a cosine."""
        return min(1, (self.step + 1) / self.a.warm_up) * (0.5 + 0.5 * math.cos(math.pi * self.share()) + 1e-3)

    def save(self):
        save(self.file, {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step,
                         "spent": self.spent()})


def train(run, loader, forward, pad):
    """Until it is done, or stopped; says which by returning whether it is done."""
    a, device = run.a, run.device
    noise, saved, told, told_step, waited = Noise(run.model), time.time(), time.time(), run.step, 0.0
    while run.share() < 1:
        pace = run.pace()
        for g in run.optimizer.param_groups:
            g["lr"] = a.lr * pace
        t = time.time()
        batch = {k: v.to(device, non_blocking=True) for k, v in next(loader).items()}
        waited += time.time() - t
        noisy = run.share() >= a.noise_from and run.step % 2 == 1
        if noisy:
            noise.__enter__()
        with torch.autocast(device, dtype=torch.bfloat16):
            loss, loads = forward(run.model, batch, pad)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if noisy:
            noise.__exit__()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        run.optimizer.step()
        if hasattr(run.model, "after_step"):
            run.model.after_step(loads, pace)
        run.step += 1
        if run.step % (100 if device == "cuda" else 10) == 0 and time.time() - told > 10:
            rate = (run.step - told_step) * a.batch_tokens / (time.time() - told)
            most = "" if loads is None else " busiest expert %.2f of all tokens" % loads.max().item()
            print("step %d loss %.4f lr %.2e %.0f tokens/s waited %.1f s at %.0f s%s" %
                  (run.step, loss.item(), a.lr * pace, rate, waited, run.spent(), most), flush=True)
            told, told_step, waited = time.time(), run.step, 0.0
        if time.time() - saved > a.save_s:
            run.save()
            saved = time.time()
        if time.time() - run.began > a.stop_s:
            return False
    return True


def main():
    a = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(a.seed)
    os.makedirs(a.out, exist_ok=True)
    sibling = family.by_name(a.sibling)
    run = Run(a, sibling, device)
    tokenizer_file = os.path.join(a.tokenizer, "tokenizer.json")
    rows = data.Rows(sibling, tokenizer_file, a.batch_tokens, "%d/%d" % (a.seed, run.step))
    loader = iter(torch.utils.data.DataLoader(rows, batch_size=None, num_workers=a.workers, pin_memory=device == "cuda",
                                              prefetch_factor=8 if a.workers else None))
    forward = torch.compile(loss_of, dynamic=False) if a.compile else loss_of
    done = train(run, loader, forward, data.padding(sibling, tokenizer_file))
    run.save()
    if done:
        checkpoint.export(os.path.join(a.out, "model"), sibling, run.model, a.tokenizer)
    print("%s at step %d, %.0f s, %d parameters" % ("done" if done else "stopped", run.step, run.spent(),
                                                    sum(p.numel() for p in run.model.parameters())), flush=True)
    os._exit(0)  # the workers' endless generators need no goodbye


if __name__ == "__main__":
    main()
