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


def form(name, w):
    """How q4 stores the weight of this name: "q4", "q8", or "bf16" for what no type touches: norms, biases, tables of
    positions, the routers, and MLA's kv_b."""
    if w.dim() < 2 or name.endswith(("pos_embed.weight", "mlp.gate.weight", "kv_b_proj.weight")):
        return "bf16"
    return "q8" if name.endswith(("embed_tokens.weight", "lm_head.weight")) else "q4"


def weights(state, kind):
    """A checkpoint's tensors as the engine's `kind` holds them: "bf16", "q8" or "q4"; float32. A router's correction
    bias stays what it is."""
    out, groups = {}, {}
    for name, w in state.items():
        out[name] = w if name.endswith("e_score_correction_bias") else bf16(w.float())
        to = form(name, w) if kind == "q4" else "q8" if kind == "q8" and form(name, w) != "bf16" else "bf16"
        if to != "bf16":
            groups.setdefault((to, w[0].numel()), []).append(name)
    for (to, n), names in groups.items():  # rows are independent: all of one width at once
        rows = [out[name].reshape(-1, n) for name in names]
        parts = {"q8": q8, "q4": q4}[to](torch.cat(rows)).split([len(r) for r in rows])
        out.update({name: x.reshape(out[name].shape) for name, x in zip(names, parts)})
    return out


def activations(x):
    """int8 with one scale per token and 256 columns, as the engine's integer products read them."""
    y = torch.nn.functional.pad(x, (0, -x.shape[-1] % BLOCK)).unflatten(-1, (-1, BLOCK))
    scale = (y.abs().amax(-1, keepdim=True) / 127).clamp_min(1e-30)
    return ((y / scale).round() * scale).flatten(-2)[..., : x.shape[-1]]
