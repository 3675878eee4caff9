#!/usr/bin/env python3
"""Makes video.safetensors: frames of small videos and the patches that transformers makes of them, and which frames it
takes of longer ones. usage: make_golden_video.py OUT_FILE    (needs: pip install torch torchvision transformers)"""
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
from transformers.video_utils import VideoMetadata

VIDEOS = [(5, 37, 22), (2, 9, 30), (4, 64, 48)]  # frames, width, height
SAMPLED = [(26, 2.26), (30, 4), (35, 2.4), (51, 2.26), (1000, 29.97), (97, 25), (3, 2)]  # frames, frames a second


def main(out):
    rng = np.random.default_rng(3)
    processor = Qwen3VLVideoProcessor(patch_size=8, temporal_patch_size=2, merge_size=2, do_sample_frames=False,
                                      size=dict(shortest_edge=1024, longest_edge=4096), cap_pixels_per_frame=False)
    tensors = {}
    for i, (n, width, height) in enumerate(VIDEOS):
        frames = torch.from_numpy(rng.integers(0, 256, (n, height, width, 3), dtype=np.uint8))
        made = processor(videos=[frames.permute(0, 3, 1, 2)], return_tensors="pt")
        tensors[f"frames.{i}"] = frames
        tensors[f"patches.{i}"] = made["pixel_values_videos"].float()
        tensors[f"grid.{i}"] = made["video_grid_thw"][0].to(torch.int32)
    for i, (n, fps) in enumerate(SAMPLED):
        taken = processor.sample_frames(VideoMetadata(total_num_frames=n, fps=fps), fps=2)
        tensors[f"sampled.{i}"] = torch.tensor([n, round(fps * 100), *taken], dtype=torch.int32)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out)
    print({name: tuple(tensor.shape) for name, tensor in tensors.items()})


main(sys.argv[1])
