"""GLM-4.7-Flash's architecture in plain PyTorch: latent attention, a mixture of experts behind a sigmoid router whose
correction bias keeps the load even, a shared expert, a dense first layer. The published names by way of moe.py."""
import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

import checkpoint
import moe
import qwen3
from moe import from_published, to_published  # noqa: F401

BIAS_STEP = 1e-3  # of the correction bias, per training step, at the full learning rate


@dataclasses.dataclass(frozen=True)
class Config:
    """About 2.4 million parameters, of which a token uses 1.4 million. All widths are multiples of 32 but the 48 of a
    head's queries and keys."""

    vocab_size: int = 512
    hidden_size: int = 128
    intermediate_size: int = 256
    moe_intermediate_size: int = 32
    n_routed_experts: int = 16
    n_shared_experts: int = 1
    num_experts_per_tok: int = 4
    n_group: int = 4
    topk_group: int = 2
    routed_scaling_factor: float = 1.8
    first_k_dense_replace: int = 1
    num_hidden_layers: int = 8
    num_attention_heads: int = 5
    num_key_value_heads: int = 5
    q_lora_rank: int = 96
    kv_lora_rank: int = 64
    qk_nope_head_dim: int = 32
    qk_rope_head_dim: int = 16
    v_head_dim: int = 32
    max_position_embeddings: int = 1024
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0


def config_json(c, ids):
    """config.json in the published spelling."""
    ends = [ids["<|endoftext|>"], ids["<|user|>"], ids["<|observation|>"]]
    return {"architectures": ["Glm4MoeLiteForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
            "dtype": "bfloat16", "eos_token_id": ends, "hidden_act": "silu", "model_type": "glm4_moe_lite",
            "norm_topk_prob": True, "num_nextn_predict_layers": 0, "pad_token_id": ids["<|endoftext|>"],
            "partial_rotary_factor": 1.0, "rope_scaling": None, "tie_word_embeddings": False,
            "topk_method": "noaux_tc", **dataclasses.asdict(c)}


def read_config(values):
    return checkpoint.pick(Config, values)


def rotate_pairs(x, cos, sin):
    """Rotates the pairs (0, 1), (2, 3), ...; the result holds all first halves, then all second ones."""
    half = x.shape[-1] // 2
    a, b, cos, sin = x[..., 0::2], x[..., 1::2], cos[..., :half], sin[..., :half]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        qk, heads = c.qk_nope_head_dim + c.qk_rope_head_dim, c.num_attention_heads
        self.q_a_proj = nn.Linear(c.hidden_size, c.q_lora_rank, bias=False)
        self.q_a_layernorm = qwen3.RMSNorm(c.q_lora_rank, 1e-6)  # whatever rms_norm_eps says
        self.q_b_proj = nn.Linear(c.q_lora_rank, heads * qk, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(c.hidden_size, c.kv_lora_rank + c.qk_rope_head_dim, bias=False)
        self.kv_a_layernorm = qwen3.RMSNorm(c.kv_lora_rank, 1e-6)
        self.kv_b_proj = nn.Linear(c.kv_lora_rank, heads * (c.qk_nope_head_dim + c.v_head_dim), bias=False)
        self.o_proj = nn.Linear(heads * c.v_head_dim, c.hidden_size, bias=False)

    def forward(self, x, cos, sin):
        c, (b, t, _) = self.c, x.shape
        heads = lambda y: y.view(b, t, c.num_attention_heads, -1).transpose(1, 2)  # [batch, heads, tokens, width]
        q = heads(self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))))
        latent, k_rope = self.kv_a_proj_with_mqa(x).split([c.kv_lora_rank, c.qk_rope_head_dim], -1)
        kv = heads(self.kv_b_proj(self.kv_a_layernorm(latent)))
        k_nope, v = kv.split([c.qk_nope_head_dim, c.v_head_dim], -1)
        q_nope, q_rope = q.split([c.qk_nope_head_dim, c.qk_rope_head_dim], -1)
        k_rope = rotate_pairs(k_rope.unsqueeze(1), cos, sin).expand(-1, c.num_attention_heads, -1, -1)
        q = torch.cat([q_nope, rotate_pairs(q_rope, cos, sin)], -1)
        k = torch.cat([k_nope, k_rope.to(k_nope.dtype)], -1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class Gate(nn.Module):
    """The router, in float32: sigmoids; the bias helps to choose the best k, out of the best groups, and leaves their
    shares alone."""

    def __init__(self, c):
        super().__init__()
        self.c, self.weight = c, nn.Parameter(torch.empty(c.n_routed_experts, c.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(c.n_routed_experts))

    def forward(self, x, aux):
        with torch.autocast(x.device.type, enabled=False):
            s = F.linear(x.float(), self.weight.float()).sigmoid()
            choice = (s.detach() + self.e_score_correction_bias).unflatten(-1, (self.c.n_group, -1))
            best = moe.chosen(choice.topk(2, -1)[0].sum(-1), self.c.topk_group).unsqueeze(-1)  # [.., groups, 1]
            choice = choice.masked_fill(best == 0, -torch.inf).flatten(-2)
            mask = moe.chosen(choice, self.c.num_experts_per_tok)
            if aux is not None:
                aux["loads"].append(moe.load(mask, aux))
            share = s * mask
            return share / (share.sum(-1, keepdim=True) + 1e-20) * self.c.routed_scaling_factor


class MoE(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate, self.experts = Gate(c), moe.Experts(c.hidden_size, c.n_routed_experts, c.moe_intermediate_size)
        self.shared_experts = qwen3.MLP(c.hidden_size, c.moe_intermediate_size * c.n_shared_experts)

    def forward(self, x, aux):
        return self.experts(x, self.gate(x, aux)) + self.shared_experts(x)


class Dense(qwen3.MLP):
    def forward(self, x, aux):
        return super().forward(x)


class Layer(moe.Layer):
    def __init__(self, c, index):
        dense = index < c.first_k_dense_replace
        super().__init__(c, Attention(c), Dense(c.hidden_size, c.intermediate_size) if dense else MoE(c))


class Model(moe.Model):
    def __init__(self, c):
        super().__init__(c, Layer, c.qk_rope_head_dim)

    @torch.no_grad()
    def after_step(self, loads, pace):
        """Moves each router's bias towards an even load; pace falls with the learning rate."""
        gates = [layer.mlp.gate for layer in self.model.layers if isinstance(layer.mlp, MoE)]
        move = BIAS_STEP * pace * (loads.mean(-1, keepdim=True) - loads).sign()
        torch._foreach_add_([g.e_score_correction_bias for g in gates], list(move))
