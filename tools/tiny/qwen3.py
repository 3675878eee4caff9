"""Qwen3 (dense) in plain PyTorch: the mathematics and the tensor names of the published checkpoints, so that
state_dict() is what model.safetensors holds."""
import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

import checkpoint


@dataclasses.dataclass(frozen=True)
class Config:
    """About 1.97 million parameters: 3.93 MB in bf16. All widths are multiples of 32."""

    vocab_size: int = 512
    hidden_size: int = 160
    intermediate_size: int = 320
    num_hidden_layers: int = 8
    num_attention_heads: int = 6
    num_key_value_heads: int = 2
    head_dim: int = 32
    max_position_embeddings: int = 1024
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0


def config_json(c, ids):
    """config.json in the published spelling. ids: {added token: its id}"""
    return {"architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
            "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "hidden_act": "silu",
            "initializer_range": 0.02, "max_window_layers": c.num_hidden_layers, "model_type": "qwen3", "rope_scaling": None,
            "sliding_window": None, "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_cache": True,
            "use_sliding_window": False, **dataclasses.asdict(c)}


def read_config(values):
    return checkpoint.pick(Config, values)


def to_published(model):
    return model.state_dict()


def from_published(model, tensors):
    model.load_state_dict(tensors)


class RMSNorm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        y = x.float()
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


class Rope(nn.Module):
    """cos and sin [positions, width], each half holding the same angles (rotate_half)."""

    def __init__(self, theta, width, n):
        super().__init__()
        inv = theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angle = torch.arange(n, dtype=torch.float64)[:, None] * inv[None]
        angle = torch.cat([angle, angle], -1)
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)

    def forward(self, ids):
        return self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return (x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        q, kv = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
        self.q_proj = nn.Linear(c.hidden_size, q, bias=False)
        self.k_proj = nn.Linear(c.hidden_size, kv, bias=False)
        self.v_proj = nn.Linear(c.hidden_size, kv, bias=False)
        self.o_proj = nn.Linear(q, c.hidden_size, bias=False)
        self.q_norm, self.k_norm = RMSNorm(c.head_dim, c.rms_norm_eps), RMSNorm(c.head_dim, c.rms_norm_eps)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        heads = lambda y: y.view(b, t, -1, self.c.head_dim).transpose(1, 2)  # [batch, heads, tokens, head_dim]
        q, k, v = heads(self.q_proj(x)), heads(self.k_proj(x)), heads(self.v_proj(x))
        q, k = rotate(self.q_norm(q), cos, sin).to(v.dtype), rotate(self.k_norm(k), cos, sin).to(v.dtype)
        group = self.c.num_attention_heads // self.c.num_key_value_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class MLP(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_proj = nn.Linear(hidden, width, bias=False)
        self.up_proj = nn.Linear(hidden, width, bias=False)
        self.down_proj = nn.Linear(width, hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c, i):
        super().__init__()
        self.self_attn, self.mlp = Attention(c), MLP(c.hidden_size, c.intermediate_size)
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, c, layer):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(layer(c, i) for i in range(c.num_hidden_layers))
        self.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)


def initialise(model, n_layers):
    """Random matrices; those that add to the residual stream are smaller, so that its size does not grow with depth."""
    for name, p in model.named_parameters():
        if p.dim() == 2:
            std = 0.5 * p.shape[1] ** -0.5
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                std /= (2 * n_layers) ** 0.5
            nn.init.normal_(p, std=0.05 if "embed" in name else std)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.model = c, Body(c, Layer)
        self.rope = Rope(c.rope_theta, c.head_dim, c.max_position_embeddings)
        initialise(self, c.num_hidden_layers)

    def forward(self, batch, aux=None):
        """batch["ids"] [rows, tokens] -> logits [rows, tokens, vocab]. aux: nothing here (see moe.py)."""
        x, (cos, sin) = self.model.embed_tokens(batch["ids"]), self.rope(batch["ids"])
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return F.linear(self.model.norm(x), self.model.embed_tokens.weight)
