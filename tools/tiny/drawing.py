"""Draws scenes as pictures.py does, in PyTorch: whole batches at once, straight into the patches that the vision tower
reads, in its order: (block row, block column, row in the block, column in the block)."""
import numpy as np
import torch
from torch import nn

import pictures

PATCH, MERGE = 16, 2
CLASSES = [(w, h) for h in pictures.SIDES for w in pictures.SIDES]
MOST_PATCHES = (max(pictures.SIDES) // PATCH) ** 2
MOST_SHAPES = max(pictures.MOST.values()) + 1  # one more may come from the other picture
FAR = -10000


def packed(scene):
    """int32 [2 + MOST_SHAPES, 8]: size class; ground; for each shape kind, x, y, r, red, green, blue."""
    out = np.full((2 + MOST_SHAPES, 8), FAR, np.int32)
    out[0, 0] = CLASSES.index((scene["width"], scene["height"]))
    out[1, 4:7] = scene["ground"][1]
    for row, s in zip(out[2:], scene["shapes"]):
        row[:7] = (pictures.SHAPES.index(s.kind), s.x, s.y, s.r, *s.rgb)
    return out


def _order(w, h):
    """(row, column) of each patch."""
    blocks = PATCH * MERGE
    return [(MERGE * i + di, MERGE * j + dj) for i in range(h // blocks) for j in range(w // blocks)
            for di in range(MERGE) for dj in range(MERGE)]


class Geometry(nn.Module):
    """Tables by size class; patches past a picture's last are padding.

    rows, columns [classes, patches]; live [classes, patches] bool; x, y [classes, patches, pixels]"""

    def __init__(self):
        super().__init__()
        n = (len(CLASSES), MOST_PATCHES)
        place, live = torch.zeros(*n, 2, dtype=torch.int32), torch.zeros(n, dtype=torch.bool)
        for i, (w, h) in enumerate(CLASSES):
            order = torch.tensor(_order(w, h), dtype=torch.int32)
            place[i, : len(order)], live[i, : len(order)] = order, True
        inside = torch.arange(PATCH * PATCH, dtype=torch.int32)
        put = lambda name, x: self.register_buffer(name, x, persistent=False)
        put("rows", place[..., 0]), put("columns", place[..., 1]), put("live", live)
        put("y", place[..., :1] * PATCH + inside // PATCH), put("x", place[..., 1:] * PATCH + inside % PATCH)

    def draw(self, scenes):
        """scenes int32 [pictures, 2 + shapes, 8] -> float [pictures, patches, 3 x pixels], 0..255 brought to -1..1."""
        kind = scenes[:, 0, 0].long()
        x, y = self.x[kind], self.y[kind]  # [pictures, patches, pixels]
        rgb = [scenes[:, 1, 4 + i, None, None].expand_as(x) for i in range(3)]
        for s in range(2, scenes.shape[1]):
            f = [scenes[:, s, i, None, None] for i in range(7)]
            dx, dy, r = x - f[1], y - f[2], f[3]
            ax, ay, d2 = dx.abs(), dy.abs(), dx * dx + dy * dy
            far, near = torch.maximum(ax, ay), torch.minimum(ax, ay)
            covers = {
                "circle": d2 <= r * r, "square": far < r, "triangle": (ay <= r) & (2 * ax <= dy + r),
                "diamond": ax + ay <= r, "cross": (far <= r) & (3 * near <= r),
                "ring": (r * r <= 4 * d2) & (d2 <= r * r)}
            hit = torch.zeros_like(d2, dtype=torch.bool)
            for i, name in enumerate(pictures.SHAPES):
                hit = hit | (covers[name] & (f[0] == i))
            rgb = [torch.where(hit, f[4 + i], c) for i, c in enumerate(rgb)]
        return torch.cat(rgb, -1).float() / 127.5 - 1
