"""The engine's weight types, simulated in float32: what a weight becomes when it is stored as bf16, q8 or q4.
The forms are those of base/dtype.def."""
import torch

LEVELS = (-10, -8, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 9)
BLOCK, SUB, SUB_MAX = 256, 32, 12


def bf16(w):
    return w.to(torch.bfloat16).float()


def _blocks(w, n):
    """[rows, cols] -> zero-padded [rows * blocks, n]."""
    rows, cols = w.shape
    return torch.nn.functional.pad(w, (0, -cols % n)).reshape(-1, n)


def _unblock(x, w, n):
    rows, cols = w.shape
    return x.reshape(rows, -1)[:, :cols]


def q8(w):
    """One bf16 scale per row and 256 columns, codes -127..127."""
    x = _blocks(w, BLOCK)
    scale = bf16(x.abs().amax(1, keepdim=True) / 127).clamp_min(1e-30)
    return _unblock((x / scale).round().clamp(-127, 127) * scale, w, BLOCK)


def _nearest(x, levels):
    middle = (levels[1:] + levels[:-1]) / 2
    return levels[torch.bucketize(x, middle)]


def q4(w, n_scales=14):
    """w = scale * sub * level: the scale searched per 256 columns, the sub-scale (-12..12) per 32, for the least
    squared error."""
    x = _blocks(w, BLOCK)
    levels = torch.tensor(LEVELS, dtype=torch.float32, device=w.device)
    top = x.abs().amax(1, keepdim=True).clamp_min(1e-30) / (10 * SUB_MAX)
    best_error, best = torch.full_like(top, float("inf")), torch.zeros_like(x)
    for f in torch.linspace(0.75, 1.15, n_scales).tolist():
        scale = bf16(top * f)
        group = (x / scale).reshape(-1, BLOCK // SUB, SUB)
        error = torch.full_like(group[..., :1], float("inf"))
        value = torch.zeros_like(group)
        for sub in [s for s in range(-SUB_MAX, SUB_MAX + 1) if s]:
            v = _nearest(group / sub, levels) * sub
            e = (v - group).pow(2).sum(-1, keepdim=True)
            better = e < error
            error, value = torch.where(better, e, error), torch.where(better, v, value)
        total = error.sum((1, 2))[:, None] * scale * scale
        better = total < best_error
        best_error = torch.where(better, total, best_error)
        best = torch.where(better, value.reshape(x.shape) * scale, best)
    return _unblock(best, w, BLOCK)


def q4_noise(w):
    """A quick q4 for training: the same levels, a free scale per 32 columns out of eight."""
    x = _blocks(w, SUB)
    levels = torch.tensor(LEVELS, dtype=torch.float32, device=w.device)
    top = x.gather(1, x.abs().argmax(1, keepdim=True))  # signed: the largest value meets the table's long end
    best_error, best = torch.full_like(top, float("inf")), torch.zeros_like(x)
    for f in (0.85, 0.95, 1.05, 1.15):
        scale = -top * f / 10
        scale = torch.where(scale.abs() < 1e-20, torch.full_like(scale, 1e-20), scale)
        v = _nearest(x / scale, levels) * scale
        e = (v - x).pow(2).sum(1, keepdim=True)
        better = e < best_error
        best_error, best = torch.where(better, e, best_error), torch.where(better, v, best)
    return _unblock(best, w, SUB)


def weights(state, kind):
    """A copy of a state dict as the engine holds it with --weights kind: matrices quantised, the embedding (which is
    the output too) never below 8 bits, norms in bf16."""
    out = {}
    for name, w in state.items():
        w = bf16(w.float())
        if w.dim() == 2 and kind != "bf16":
            w = q8(w) if kind == "q8" or "embed_tokens" in name else q4(w)
        out[name] = w
    return out


def activations(x):
    """int8 with one scale per token and 256 columns, as the engine's integer products read them."""
    y = torch.nn.functional.pad(x, (0, -x.shape[-1] % BLOCK)).unflatten(-1, (-1, BLOCK))
    scale = (y.abs().amax(-1, keepdim=True) / 127).clamp_min(1e-30)
    return ((y / scale).round() * scale).flatten(-2)[..., : x.shape[-1]]
