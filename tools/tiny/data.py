"""Endless batches of token rows for training. One conversation a row, from position 0; the top bit of a token marks
what the model must learn to say."""
import dataclasses
import os
import random

import numpy as np
import torch

LEARN = 1 << 15


@dataclasses.dataclass
class Row:
    ids: list
    scenes: list = dataclasses.field(default_factory=list)


def encode(tokenizer, examples, most):
    """A Row for each example: whole turns while they fit its room, at most `most` tokens; none where not even the first
    fits."""
    flat = [text for e in examples for turn in e.turns for text, _ in turn]
    ids = iter(tokenizer.encode_batch_fast(flat, add_special_tokens=False))
    out = []
    for e in examples:
        row, full = [], False
        for turn in e.turns:
            part = []
            for _, learn in turn:
                part += [i | LEARN for i in next(ids).ids] if learn else next(ids).ids
            full = full or len(row) + len(part) > min(e.room, most)
            row += [] if full else part
        if row:
            out.append(Row(row, e.scenes))
    return out


def collate(sibling, tokenizer, rows, width):
    """Tensors: "rows" int32 [rows, width], padded, and what else the architecture reads."""
    out = np.full((len(rows), width), tokenizer.token_to_id(sibling.special[0]), np.int32)
    for r, row in enumerate(rows):
        out[r, : len(row.ids)] = row.ids
    architecture, batch = sibling.load_architecture(), {"rows": out}
    if hasattr(architecture, "inputs"):
        n = max(len(r.scenes) for r in rows)
        image = tokenizer.token_to_id("<|image_pad|>")
        batch.update(architecture.inputs(out & (LEARN - 1), [r.scenes for r in rows], n, image))
    return {k: torch.from_numpy(v) for k, v in batch.items()}


def padding(sibling, tokenizer_file):
    """The id of the padding token."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(tokenizer_file).token_to_id(sibling.special[0])


class Rows(torch.utils.data.IterableDataset):
    """Batches of batch_tokens tokens: a row lies in the narrowest of the sibling's widths that holds it, among rows with
    as many pictures. `seed`: any text."""

    def __init__(self, sibling, tokenizer_file, batch_tokens, seed):
        self.sibling, self.file, self.batch_tokens, self.seed = sibling, tokenizer_file, batch_tokens, seed

    def __iter__(self):
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        torch.set_num_threads(1)
        from tokenizers import Tokenizer

        info = torch.utils.data.get_worker_info()
        tokenizer = Tokenizer.from_file(self.file)
        generator = self.sibling.load_world().Generator(random.Random("%s/%d" % (self.seed, info.id if info else 0)))
        widths, waiting = self.sibling.widths, {}
        while True:
            for row in encode(tokenizer, [generator.example() for _ in range(64)], widths[-1]):
                key = next(w for w in widths if w >= len(row.ids)), max(1, len(row.scenes))
                of = waiting.setdefault(key, [])
                of.append(row)
                if len(of) == max(1, self.batch_tokens // key[0]):
                    yield collate(self.sibling, tokenizer, of, key[0])
                    of.clear()
