#!/usr/bin/env python3
"""A small Qwen3-VL checkpoint with random weights, three pictures of odd sizes, and what transformers makes of them in
float32. usage: make_golden_vl.py OUT SEED    (needs: pip install torch torchvision transformers pillow)"""
import inspect
import os
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

try:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl_fast import Qwen2VLImageProcessorFast as Processor
except ImportError:
    from transformers import Qwen2VLImageProcessor as Processor

SIZES = [(37, 53), (90, 41), (26, 26)]  # width, height
IMAGE, VIDEO, START, END = 250, 251, 252, 253
GREEDY = 12


def randomize(model):
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            noise = torch.randn_like(parameter)
            if parameter.dim() == 1:
                parameter.copy_(0.1 * noise if "bias" in name else 1 + 0.2 * noise)
            else:
                parameter.copy_(noise / parameter[0].numel() ** 0.5 if "pos_embed" not in name else noise)
    return model.to(torch.bfloat16)


def picture(rng, width, height):
    y, x = np.mgrid[0:height, 0:width]
    waves = [x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x // 9 + y // 7) % 2 * 200]
    pixels = np.stack(waves, -1).astype(np.int32) + rng.integers(-20, 20, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def main(out, seed):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    os.makedirs(out, exist_ok=True)
    text = dict(vocab_size=256, hidden_size=96, intermediate_size=160, num_hidden_layers=5, num_attention_heads=6,
                num_key_value_heads=2, head_dim=32, max_position_embeddings=1024,
                rope_parameters=dict(rope_type="default", rope_theta=5e6, mrope_section=[6, 5, 5],
                                     mrope_interleaved=True))
    vision = dict(depth=5, hidden_size=60, intermediate_size=88, num_heads=3, patch_size=8, spatial_merge_size=2,
                  temporal_patch_size=2, out_hidden_size=96, num_position_embeddings=49,
                  deepstack_visual_indexes=[3, 0, 2], hidden_act="gelu_pytorch_tanh")
    config = Qwen3VLConfig(text_config=text, vision_config=vision, image_token_id=IMAGE, video_token_id=VIDEO,
                           vision_start_token_id=START, vision_end_token_id=END, tie_word_embeddings=False)
    randomize(Qwen3VLForConditionalGeneration(config)).save_pretrained(out)
    model = Qwen3VLForConditionalGeneration.from_pretrained(out, dtype=torch.float32,
                                                            attn_implementation="eager").eval()
    processor = Processor(patch_size=8, temporal_patch_size=2, merge_size=2, image_mean=[.5] * 3, image_std=[.5] * 3,
                          size=dict(longest_edge=8192, shortest_edge=1024))
    processor.save_pretrained(out)
    pictures = [picture(rng, *size) for size in SIZES]
    for i, image in enumerate(pictures):
        image.save(f"{out}/image{i}.png")
    made = processor(images=pictures, return_tensors="pt")
    grid, pixels = made["image_grid_thw"], made["pixel_values"].float()
    ids = list(rng.integers(3, 240, 5))
    for t, h, w in grid.tolist():
        ids += [START] + [IMAGE] * (t * h * w // 4) + [END] + list(rng.integers(3, 240, 4))
    ids = torch.tensor([ids])

    def run(ids, **more):
        kw = dict(input_ids=ids, pixel_values=pixels, image_grid_thw=grid)
        if "mm_token_type_ids" in inspect.signature(model.model.forward).parameters:
            kw["mm_token_type_ids"] = (ids == IMAGE).int()
        with torch.no_grad():
            return model(**kw, use_cache=False, **more)

    first = run(ids, output_hidden_states=True)
    tensors = dict(input_ids=ids[0].to(torch.int32), logits=first.logits[0], pixel_values=pixels,
                   image_grid_thw=grid.to(torch.int32))
    signature = inspect.signature(model.model.get_rope_index).parameters
    kw = dict(input_ids=ids, image_grid_thw=grid)
    if "mm_token_type_ids" in signature:
        kw["mm_token_type_ids"] = (ids == IMAGE).int()
    tensors["position_ids"] = model.model.get_rope_index(**kw)[0][:, 0].to(torch.int32)
    with torch.no_grad():
        seen = model.model.visual(pixels, grid_thw=grid)
    values = list(seen.values() if hasattr(seen, "values") else seen)
    tensors["visual.merged"] = values[1]
    for i, rows in enumerate(values[2]):
        tensors[f"visual.deepstack.{i}"] = rows
    margins = []
    more = ids
    for _ in range(GREEDY):
        best = run(more).logits[0, -1].topk(2)
        margins.append((best.values[0] - best.values[1]).item())
        more = torch.cat([more, best.indices[:1][None]], 1)
    tensors["greedy_ids"] = more[0].to(torch.int32)
    tensors["greedy_margins"] = torch.tensor(margins)
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, f"{out}/golden.safetensors")
    print(ids.shape, grid.tolist(), {k: tuple(v.shape) for k, v in tensors.items()}, "least margin", min(margins))


main(sys.argv[1], int(sys.argv[2]))
