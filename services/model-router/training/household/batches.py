"""Turns dialogues into batches of token ids with the positions that count for the loss."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from household.dialogue import Dialogue
from household.generator import dialogues

Ids = NDArray[np.int32]
# Times a batch can have; every one is compiled once.
LENGTHS = (24, 32, 40, 48, 64, 80, 96, 128, 192, 288)
# Fixed answers are learnt from their first tokens; the rest is shown this often.
WHOLE_ANSWER = 0.15
OPENING = 6


@dataclass(frozen=True)
class Batch:
    """`tokens` [batch, time + 1] and flat positions into [batch, time] whose next token counts."""

    tokens: Ids
    spots: Ids


def encode(tokenizer: Tokenizer, dialogue: Dialogue, rng: Random) -> tuple[list[int], list[bool]]:
    """Token ids of one dialogue, and which of them the assistant says."""
    ids: list[int] = []
    said: list[bool] = []

    def add(text: str, counts: bool, limit: int | None = None) -> None:
        new = tokenizer.encode(text).ids[:limit]
        ids.extend(new)
        said.extend([counts] * len(new))

    fixed = len(dialogue.turns) == 1 and not dialogue.turns[0][1].startswith("<tool_call>")
    short = fixed and rng.random() > WHOLE_ANSWER
    add(f"<|im_start|>user\n{dialogue.user}<|im_end|>\n", False)
    for role, text in dialogue.turns:
        add(f"<|im_start|>{role}\n", False)
        if short:
            add(f"{text}<|im_end|>", True, OPENING)
            break
        add(f"{text}<|im_end|>", role == "assistant")
        add("\n", False)
    return ids, said


def batches(tokenizer: Tokenizer, seed: int, tokens_per_batch: int) -> Iterator[Batch]:
    """Endless batches; dialogues of similar length share one."""
    rng = Random(seed)
    source = dialogues(seed)
    waiting: dict[int, list[tuple[list[int], list[bool]]]] = defaultdict(list)
    while True:
        ready: list[Batch] = []
        for dialogue in islice(source, 4096):
            ids, said = encode(tokenizer, dialogue, rng)
            fitting = [length for length in LENGTHS if len(ids) <= length + 1]
            if not fitting:
                continue
            bucket = waiting[fitting[0]]
            bucket.append((ids, said))
            if len(bucket) == tokens_per_batch // fitting[0]:
                ready.append(_batch(bucket, fitting[0]))
                bucket.clear()
        rng.shuffle(ready)
        yield from ready


def _batch(entries: list[tuple[list[int], list[bool]]], length: int) -> Batch:
    tokens = np.zeros((len(entries), length + 1), np.int32)
    counted = np.zeros((len(entries), length + 1), bool)
    for row, (ids, said) in enumerate(entries):
        tokens[row, : len(ids)] = ids
        counted[row, : len(said)] = said
    where = np.flatnonzero(counted[:, 1:].reshape(-1)).astype(np.int32)
    room = len(entries) * length * 3 // 4
    spots = np.full(room, -1, np.int32)
    where = where[:room]
    spots[: len(where)] = where
    return Batch(tokens, spots)
