"""Qwen3 with a mixture of experts in every layer, in plain PyTorch; the published names by way of moe.py."""
import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

import checkpoint
import moe
import qwen3
from moe import from_published, to_published  # noqa: F401

BALANCE = 0.005  # weight of the loss that keeps the experts equally busy


@dataclasses.dataclass(frozen=True)
class Config(qwen3.Config):
    """About 2.3 million parameters, of which a token uses 1.1 million. All widths are multiples of 32."""

    vocab_size: int = 768
    hidden_size: int = 128
    intermediate_size: int = 384  # of dense layers, of which there are none
    moe_intermediate_size: int = 32
    num_experts: int = 16
    num_experts_per_tok: int = 4


def config_json(c, ids):
    """config.json in the published spelling."""
    return {"architectures": ["Qwen3MoeForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
            "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "decoder_sparse_step": 1,
            "hidden_act": "silu", "initializer_range": 0.02, "max_window_layers": c.num_hidden_layers,
            "mlp_only_layers": [], "model_type": "qwen3_moe", "norm_topk_prob": True, "output_router_logits": False,
            "rope_scaling": None, "router_aux_loss_coef": 0.001, "sliding_window": None, "tie_word_embeddings": False,
            "torch_dtype": "bfloat16", "use_cache": True, "use_sliding_window": False, **dataclasses.asdict(c)}


def read_config(values):
    return checkpoint.pick(Config, values)


class Gate(nn.Module):
    """The router: softmax over all experts in float32, the best k, their shares brought to a sum of 1."""

    def __init__(self, c):
        super().__init__()
        self.c, self.weight = c, nn.Parameter(torch.empty(c.num_experts, c.hidden_size))

    def forward(self, x, aux):
        with torch.autocast(x.device.type, enabled=False):
            p = F.linear(x.float(), self.weight.float()).softmax(-1)
            mask = moe.chosen(p.detach(), self.c.num_experts_per_tok)
            if aux is not None:
                load = moe.load(mask, aux)
                aux["loads"].append(load)
                aux["loss"] = aux["loss"] + BALANCE * self.c.num_experts * (load * moe.load(p, aux)).sum()
            share = p * mask
            return share / share.sum(-1, keepdim=True)


class MoE(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate, self.experts = Gate(c), moe.Experts(c.hidden_size, c.num_experts, c.moe_intermediate_size)

    def forward(self, x, aux):
        return self.experts(x, self.gate(x, aux))


class Layer(moe.Layer):
    def __init__(self, c, index):
        super().__init__(c, qwen3.Attention(c), MoE(c))


class Model(moe.Model):
    def __init__(self, c):
        super().__init__(c, Layer, c.head_dim)
