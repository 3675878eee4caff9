"""Mixtures of experts, computed densely: with a few small experts one wide product over all of them is faster than
gathering the tokens of each. The parameters are those wide matrices; published checkpoints hold them expert by expert.

`aux`, where a model is called with one, gathers what training wants to know of the routers: aux["loss"], to be added to
the loss, and aux["loads"], for each router the share of tokens that chose each expert; aux["live"] [rows, tokens] is 0
for padding and sums to 1."""
import re

import torch
from torch import nn
from torch.nn import functional as F

import qwen3

WIDE = re.compile(r"(.*\.mlp\.experts)\.(gate_proj|up_proj|down_proj)\.weight$")
ONE = re.compile(r"(.*\.mlp\.experts)\.(\d+)\.(gate_proj|up_proj|down_proj)\.weight$")


def chosen(scores, k):
    """1.0 where a score is among the k best of its row, the first of equals first; else 0.0."""
    a, b = scores.unsqueeze(-1), scores.unsqueeze(-2)
    index = torch.arange(scores.shape[-1], device=scores.device)
    before = (b > a) | ((b == a) & (index[None, :] < index[:, None]))
    return (before.sum(-1) < k).to(scores.dtype)


def load(x, aux):
    """The mean over all tokens of x [rows, tokens, experts]."""
    return (x * aux["live"].unsqueeze(-1)).sum((0, 1))


class Experts(nn.Module):
    def __init__(self, hidden, n, width):
        super().__init__()
        self.n, self.width = n, width
        self.gate_proj = nn.Linear(hidden, n * width, bias=False)
        self.up_proj = nn.Linear(hidden, n * width, bias=False)
        self.down_proj = nn.Linear(n * width, hidden, bias=False)

    def forward(self, x, share):
        """x [.., hidden]; share [.., experts], 0 where not chosen: multiplying before the last product is the same as
        multiplying each expert's output."""
        h = F.silu(self.gate_proj(x)) * self.up_proj(x)
        h = h.unflatten(-1, (self.n, self.width)) * share.unsqueeze(-1).to(h.dtype)
        return self.down_proj(h.flatten(-2))


class Layer(nn.Module):
    def __init__(self, c, attention, mlp):
        """mlp(x, aux)"""
        super().__init__()
        self.self_attn, self.mlp = attention, mlp
        self.input_layernorm = qwen3.RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.post_attention_layernorm = qwen3.RMSNorm(c.hidden_size, c.rms_norm_eps)

    def forward(self, x, cos, sin, aux):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x), aux)


class Model(nn.Module):
    def __init__(self, c, layer, rope_dim):
        """layer(c, index)"""
        super().__init__()
        self.c, self.model = c, qwen3.Body(c, layer)
        self.lm_head = nn.Linear(c.hidden_size, c.vocab_size, bias=False)
        self.rope = qwen3.Rope(c.rope_theta, rope_dim, c.max_position_embeddings)
        qwen3.initialise(self, c.num_hidden_layers)

    def forward(self, batch, aux=None):
        x, (cos, sin) = self.model.embed_tokens(batch["ids"]), self.rope(batch["ids"])
        for layer in self.model.layers:
            x = layer(x, cos, sin, aux)
        return self.lm_head(self.model.norm(x))


def to_published(model):
    """state_dict() with the experts one by one."""
    out = {}
    for name, w in model.state_dict().items():
        m = WIDE.match(name)
        if not m:
            out[name] = w
            continue
        n = model.get_submodule(m[1]).n
        for i, part in enumerate(w.chunk(n, 1 if m[2] == "down_proj" else 0)):
            out["%s.%d.%s.weight" % (m[1], i, m[2])] = part
    return out


def from_published(model, tensors):
    wide, parts = {}, {}
    for name, w in tensors.items():
        m = ONE.match(name)
        if m:
            parts.setdefault((m[1], m[3]), {})[int(m[2])] = w
        else:
            wide[name] = w
    for (prefix, kind), of in parts.items():
        rows = torch.cat([of[i] for i in range(len(of))], 1 if kind == "down_proj" else 0)
        wide["%s.%s.weight" % (prefix, kind)] = rows
    model.load_state_dict(wide)
