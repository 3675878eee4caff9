"""Qwen3-VL in plain PyTorch: the vision tower with its table of positions, mergers and DeepStack, and the text model with
interleaved M-RoPE, under the published names. Pictures come as packed scenes (drawing.py), all padded to the largest."""
import dataclasses

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import checkpoint
import drawing
import qwen3
from qwen3 import from_published, to_published  # noqa: F401

SLOTS = drawing.MOST_PATCHES // drawing.MERGE**2  # merged tokens of the largest picture
LIMITS = {"longest_edge": 65536, "shortest_edge": 4096}  # pixels: drawn scenes keep their size
FURTHER_FILES = {"preprocessor_config.json": {
    "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_processor_type": "Qwen2VLImageProcessorFast",
    "merge_size": drawing.MERGE, "patch_size": drawing.PATCH, "processor_class": "Qwen3VLProcessor", "resample": 3,
    "rescale_factor": 1 / 255, "size": LIMITS, "temporal_patch_size": 2}}


@dataclasses.dataclass(frozen=True)
class Text(qwen3.Config):
    hidden_size: int = 128
    num_hidden_layers: int = 6


@dataclasses.dataclass(frozen=True)
class Vision:
    depth: int = 4
    hidden_size: int = 96
    intermediate_size: int = 192
    num_heads: int = 3
    in_channels: int = 3
    patch_size: int = drawing.PATCH
    spatial_merge_size: int = drawing.MERGE
    temporal_patch_size: int = 2
    out_hidden_size: int = 128
    num_position_embeddings: int = 64
    deepstack_visual_indexes: tuple = (1, 2)


@dataclasses.dataclass(frozen=True)
class Config:
    """About 2.2 million parameters, half of them in the vision tower. All widths are multiples of 32."""

    text: Text = Text()
    vision: Vision = Vision()
    mrope_section: tuple = (6, 5, 5)


def config_json(c, ids):
    """config.json in the published spelling."""
    text = {"model_type": "qwen3_vl_text", "attention_bias": False, "attention_dropout": 0.0,
            "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "dtype": "bfloat16",
            "hidden_act": "silu", "initializer_range": 0.02, "tie_word_embeddings": True, "use_cache": True,
            "rope_scaling": {"mrope_interleaved": True, "mrope_section": list(c.mrope_section),
                             "rope_type": "default"}, **dataclasses.asdict(c.text)}
    vision = {"model_type": "qwen3_vl", "hidden_act": "gelu_pytorch_tanh", "initializer_range": 0.02,
              **dataclasses.asdict(c.vision)}
    return {"architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl",
            "image_token_id": ids["<|image_pad|>"], "video_token_id": ids["<|video_pad|>"],
            "vision_start_token_id": ids["<|vision_start|>"], "vision_end_token_id": ids["<|vision_end|>"],
            "tie_word_embeddings": True, "text_config": text, "vision_config": vision}


def read_config(values):
    vision = dict(values["vision_config"])
    vision["deepstack_visual_indexes"] = tuple(vision["deepstack_visual_indexes"])
    section = tuple(values["text_config"]["rope_scaling"]["mrope_section"])
    return Config(checkpoint.pick(Text, values["text_config"]), checkpoint.pick(Vision, vision), section)


def inputs(ids, scenes, n_pictures, image_token):
    """What a batch needs beside ids [rows, tokens]; scenes: those of each row. Returns arrays
    positions [rows, tokens, 3]   time, height, width
    slots     [rows, tokens]      where in the merged tokens of all pictures, or -1 for text
    scenes    [rows x n_pictures, ..]"""
    rows, width = ids.shape
    positions, slots = np.zeros((rows, width, 3), np.int32), np.full((rows, width), -1, np.int32)
    blank = {"width": 64, "height": 64, "ground": ("", (0, 0, 0)), "shapes": []}
    packed = np.stack([drawing.packed(s) for of in scenes for s in of + [blank] * (n_pictures - len(of))]) \
        if n_pictures else np.zeros((0, 2 + drawing.MOST_SHAPES, 8), np.int32)
    side = drawing.PATCH * drawing.MERGE
    for r in range(rows):
        at = p = 0
        for k, scene in enumerate(scenes[r]):
            start = at + int(np.argmax(ids[r, at:] == image_token))
            h, w = scene["height"] // side, scene["width"] // side
            positions[r, at:start] = np.arange(p, p + start - at)[:, None]
            p += start - at
            grid = np.stack([np.zeros(h * w, np.int32), np.repeat(np.arange(h), w), np.tile(np.arange(w), h)], -1)
            positions[r, start : start + h * w] = p + grid
            slots[r, start : start + h * w] = (r * n_pictures + k) * SLOTS + np.arange(h * w)
            at, p = start + h * w, p + max(h, w)
        positions[r, at:] = np.arange(p, p + width - at)[:, None]
    return {"positions": positions, "slots": slots, "scenes": packed}


class MRope(nn.Module):
    """cos and sin [rows, tokens, head_dim] of three positions a token, their frequencies interleaved."""

    def __init__(self, c):
        super().__init__()
        half = c.text.head_dim // 2
        inv = c.text.rope_theta ** (-torch.arange(half, dtype=torch.float64) / half)
        pick = torch.zeros(3, half)
        for i in range(half):
            pick[i % 3 if i % 3 and i < 3 * c.mrope_section[i % 3] else 0, i] = 1
        self.register_buffer("weights", (pick * inv).float(), persistent=False)

    def forward(self, positions):
        angle = (positions.float().unsqueeze(-1) * self.weights).sum(-2)  # each column of weights has one number
        angle = torch.cat([angle, angle], -1).unsqueeze(1)  # for all heads
        return angle.cos(), angle.sin()


class Block(nn.Module):
    """A layer of the vision tower; pictures never see each other."""

    def __init__(self, v):
        super().__init__()
        self.heads = v.num_heads
        self.norm1, self.norm2 = nn.LayerNorm(v.hidden_size, eps=1e-6), nn.LayerNorm(v.hidden_size, eps=1e-6)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv = nn.Linear(v.hidden_size, 3 * v.hidden_size)
        self.attn.proj = nn.Linear(v.hidden_size, v.hidden_size)
        self.mlp.linear_fc1 = nn.Linear(v.hidden_size, v.intermediate_size)
        self.mlp.linear_fc2 = nn.Linear(v.intermediate_size, v.hidden_size)

    def forward(self, x, cos, sin, live):
        n, t, width = x.shape
        q, k, v = self.attn.qkv(self.norm1(x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = qwen3.rotate(q, cos, sin).to(v.dtype), qwen3.rotate(k, cos, sin).to(v.dtype)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=live[:, None, None, :])
        x = x + self.attn.proj(y.transpose(1, 2).reshape(n, t, width))
        return x + self.mlp.linear_fc2(F.gelu(self.mlp.linear_fc1(self.norm2(x)), approximate="tanh"))


class Merger(nn.Module):
    """Four neighbouring patches become one token; the norm comes before or, in DeepStack, after they are joined."""

    def __init__(self, v, joined):
        super().__init__()
        self.joined, wide = joined, v.hidden_size * v.spatial_merge_size**2
        self.norm = nn.LayerNorm(wide if joined else v.hidden_size, eps=1e-6)
        self.linear_fc1, self.linear_fc2 = nn.Linear(wide, wide), nn.Linear(wide, v.out_hidden_size)

    def forward(self, x):
        join = lambda y: y.reshape(y.shape[0], SLOTS, -1)
        x = self.norm(join(x)) if self.joined else join(self.norm(x))
        return self.linear_fc2(F.gelu(self.linear_fc1(x)))


class Tower(nn.Module):
    def __init__(self, v):
        super().__init__()
        self.v, self.geometry = v, drawing.Geometry()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv3d(v.in_channels, v.hidden_size, (v.temporal_patch_size, 16, 16))
        self.pos_embed = nn.Embedding(v.num_position_embeddings, v.hidden_size)
        self.blocks = nn.ModuleList(Block(v) for _ in range(v.depth))
        self.merger = Merger(v, False)
        self.deepstack_merger_list = nn.ModuleList(Merger(v, True) for _ in v.deepstack_visual_indexes)
        g, put = self.geometry, lambda name, x: self.register_buffer(name, x, persistent=False)
        angle = self._angles(g)
        put("cos", angle.cos()), put("sin", angle.sin())
        put("resample", self._resample(g))

    def _angles(self, g):
        """[classes, patches, head_dim]: row angles, column angles, and both again."""
        quarter = self.v.hidden_size // self.v.num_heads // 4
        inv = 10000.0 ** (-torch.arange(quarter) / quarter)
        half = torch.cat([g.rows[..., None] * inv, g.columns[..., None] * inv], -1)
        return torch.cat([half, half], -1)

    def _resample(self, g):
        """[classes, patches, positions]: how much each entry of the table of positions counts, between four of them,
        the table's corners being the picture's."""
        side = int(self.v.num_position_embeddings**0.5)
        out = torch.zeros(*g.live.shape, side, side)
        for i, (w, h) in enumerate(drawing.CLASSES):
            for p in range(int(g.live[i].sum())):
                taps = []
                for at, n in ((g.rows[i, p].item(), h // 16), (g.columns[i, p].item(), w // 16)):
                    x = at * (side - 1) / (n - 1)
                    low = min(int(x), side - 2)
                    taps.append(((low, 1 - x + low), (low + 1, x - low)))
                for row, a in taps[0]:
                    for column, b in taps[1]:
                        out[i, p, row, column] += a * b
        return out.flatten(-2)

    def forward(self, scenes):
        """packed scenes -> merged tokens [pictures x SLOTS, out_hidden_size], and the same from DeepStack's layers."""
        kind = scenes[:, 0, 0].long()
        pixels = self.geometry.draw(scenes)
        weight = self.patch_embed.proj.weight.sum(2).flatten(1)  # both frames are the same picture
        x = F.linear(pixels, weight, self.patch_embed.proj.bias) + self.resample[kind] @ self.pos_embed.weight
        cos, sin = self.cos[kind].unsqueeze(1), self.sin[kind].unsqueeze(1)
        live, deep = self.geometry.live[kind], []
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, live)
            if i in self.v.deepstack_visual_indexes:
                merger = self.deepstack_merger_list[self.v.deepstack_visual_indexes.index(i)]
                deep.append(merger(x).flatten(0, 1))
        return self.merger(x).flatten(0, 1), deep


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.model, self.rope = c, nn.Module(), MRope(c)
        self.model.visual, self.model.language_model = Tower(c.vision), qwen3.Body(c.text, qwen3.Layer)
        qwen3.initialise(self, c.text.num_hidden_layers)
        nn.init.normal_(self.model.visual.pos_embed.weight, std=0.1)

    def forward(self, batch, aux=None):
        """batch: ids, and what inputs() makes -> logits [rows, tokens, vocab]."""
        text, slots = self.model.language_model, batch["slots"].long()
        x, (cos, sin) = text.embed_tokens(batch["ids"]), self.rope(batch["positions"])
        deep = []
        if batch["scenes"].shape[0]:
            merged, deep = self.model.visual(batch["scenes"])
            seen, slots = (slots >= 0).unsqueeze(-1), slots.clamp_min(0)
            x = torch.where(seen, merged[slots].to(x.dtype), x)
        for i, layer in enumerate(text.layers):
            x = layer(x, cos, sin)
            if i < len(deep):
                x = x + torch.where(seen, deep[i][slots], 0).to(x.dtype)
        return F.linear(text.norm(x), text.embed_tokens.weight)
