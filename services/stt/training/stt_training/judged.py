"""Sentences spoken, and what the decoders make of them before anything is rejected."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pocketsphinx

from ensemble.stt.adapters.sphinx_decoding import Decoders, Decoding
from ensemble.stt.grammar.tools import SpokenTool, build
from ensemble.stt.level import Leveller
from ensemble.stt.ports import Samples
from ensemble.stt.rejection import Vector, features
from stt_training.voices import VOICES, in_room, say

_NOISES = (0.0003, 0.001, 0.003)


@dataclass(frozen=True)
class Judged:
    """One spoken sentence.

    Attributes:
        said: What was said.
        command: It is a sentence of the grammar.
        voice: Who said it.
        heard: What the grammar made of it.
        features: What it is judged by; None where the grammar has no whole sentence for it.
    """

    said: str
    command: bool
    voice: str
    heard: str
    features: Vector | None


def judge(
    tools: Sequence[SpokenTool],
    sentences: Sequence[tuple[str, bool]],
    voices_each: int,
    seed: int,
) -> list[Judged]:
    """Speak each sentence with ``voices_each`` voices and recognise it."""
    grammar = build(tools)
    decoders = Decoders(Path(pocketsphinx.get_model_path()) / "en-us", grammar)
    rng = np.random.default_rng(seed)
    judged = []
    for text, command in sentences:
        for choice in rng.permutation(len(VOICES))[:voices_each]:
            voice = VOICES[choice]
            noise = float(rng.choice(_NOISES))
            room = in_room(say(text, voice), rng=rng, noise=noise, before=0.28, after=0.35)
            heard = room * rng.uniform(0.2, 1.2)
            leveller = Leveller()
            decoding = decoders.take()
            for start in range(0, len(heard), 512):
                _push(decoding, leveller.push(heard[start : start + 512]))
            _push(decoding, leveller.flush())
            hypothesis = decoding.finish()
            decoders.give_back(decoding, reusable=True)
            words = [word.text for word in hypothesis.words]
            whole = bool(words) and grammar.accepts(words)
            judged.append(
                Judged(
                    text, command, voice.name, " ".join(words),
                    features(hypothesis) if whole else None,
                )
            )  # fmt: skip
    return judged


def _push(decoding: Decoding, samples: Samples) -> None:
    if len(samples):
        decoding.push((samples * 32767).astype("<i2").tobytes())
