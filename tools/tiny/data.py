"""Endless batches of token rows for training. One conversation a row, from position 0; the top bit of a token marks
what the model must learn to say."""
import os
import random

import numpy as np
import torch

import conversation

LEARN = 1 << 15


class Rows(torch.utils.data.IterableDataset):
    """Batches int32 [rows, width]; `shapes` is a list of (rows, width) that come in turn; `seed` any text."""

    def __init__(self, tokenizer_file, shapes, seed):
        self.file, self.shapes, self.seed = tokenizer_file, shapes, seed

    def __iter__(self):
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        from tokenizers import Tokenizer

        info = torch.utils.data.get_worker_info()
        me, of = (info.id, info.num_workers) if info else (0, 1)
        tokenizer = Tokenizer.from_file(self.file)
        # A worker keeps one shape, so that its batches come at an even pace: shape i belongs to workers i, i + n, ...
        n = len(self.shapes)
        mine = [me % n] if of >= n and of % n == 0 else list(range(n))
        generator = conversation.Generator(random.Random("%s/%d" % (self.seed, me)))
        k = me
        while True:
            rows, width = self.shapes[mine[k % len(mine)]]
            k += 1
            yield torch.from_numpy(batch(generator, tokenizer, rows, width))


def batch(generator, tokenizer, rows, width):
    """int32 [rows, width]: whole turns while they fit, then the padding token."""
    pad = tokenizer.token_to_id("<|endoftext|>")
    texts, counts = [], []
    for _ in range(rows):
        turns = generator.turns(max(3, width // 22))
        system = generator.system()
        for i, (q, a) in enumerate(turns):
            head = "" if i else (conversation.system_text(system) if system else "")
            texts += [("\n" if i else "") + head + conversation.turn_text(q), a + "<|im_end|>"]
        counts.append(len(turns))
    encoded = iter(tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    out = np.full((rows, width), pad, np.int32)
    for r, n in enumerate(counts):
        row, full = [], False
        for _ in range(n):
            ask, say = next(encoded).ids, next(encoded).ids
            full = full or len(row) + len(ask) + len(say) > width
            if not full:
                row += ask
                row += [i | LEARN for i in say]
        out[r, : len(row)] = row
    return out
