"""Judges the embedded recogniser on synthetic speech and prints JSON.

Commands drawn from the grammar of the served tools, hand-written sentences outside it, and
commands with a pause of 400 ms within, all through voice detection, grammar and rejection.

    uv run python services/stt/training/evaluate.py [--commands 84] [--outside 220] [--rate 8000]
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from stt_training.corpus import commands, lines
from stt_training.listening import Listener
from stt_training.served_tools import served_tools
from stt_training.voices import VOICES, Voice, in_room, say

from ensemble.stt.adapters.silero import FRAME, SileroVoiceDetection

_LISTS = Path(__file__).parents[2] / "model-router/training/lists"
_NOISES = (0.0003, 0.001, 0.003)
_AFTER = 1.2


def main() -> None:
    """Run everything and print one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--commands", type=int, default=84, help="commands, over all voices")
    arguments.add_argument("--outside", type=int, default=220, help="sentences outside, likewise")
    arguments.add_argument("--list", type=Path, default=_LISTS / "spoken_out_of_domain.txt")
    arguments.add_argument("--rate", type=int, default=16_000, help="samples a second heard")
    options = arguments.parse_args()
    tools = served_tools()
    said = commands(tools, options.commands, Random(97))
    outside = Random(1).sample(lines(options.list), options.outside)
    listener = Listener(tools, options.rate)
    print(
        json.dumps(
            {
                "commands": _commands(listener, said),
                "outside": _outside(listener, outside),
                "pauses": _pauses(listener, said),
                "detection_ms_a_frame": _detection_cost(),
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            },
            indent=1,
        )
    )


def _voices(count: int) -> list[Voice]:
    return [VOICES[number % len(VOICES)] for number in range(count)]


def _commands(listener: Listener, said: list[str]) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    by_voice: dict[str, list[tuple[int, int, bool, bool]]] = {}
    delays, busy, length = [], 0.0, 0.0
    for text, voice in zip(said, _voices(len(said)), strict=True):
        speech = say(text, voice)
        recording = in_room(speech, rng=rng, noise=float(rng.choice(_NOISES)), after=_AFTER)
        begun = time.thread_time()
        heard = listener.listen(recording)
        busy += time.thread_time() - begun
        length += len(recording) / 16_000
        got = " ".join(each.transcript.text for each in heard).split()
        wanted = text.split()
        rejected = not got
        by_voice.setdefault(voice.name, []).append(
            (
                len(wanted) if rejected else distance(wanted, got),
                len(wanted),
                got == wanted,
                rejected,
            )
        )
        if got == wanted and len(heard) == 1:
            delays.append(heard[0].decided_at - 0.5 - len(speech) / 16_000)
    every = [row for rows in by_voice.values() for row in rows]
    return {
        "sentences": len(every),
        **_summary(every),
        "voices": {name: _summary(rows) for name, rows in by_voice.items()},
        "end_delay_ms": {
            "p50": round(1000 * float(np.quantile(delays, 0.5))),
            "p95": round(1000 * float(np.quantile(delays, 0.95))),
        },
        "cpu_a_second_of_audio": round(busy / length, 3),
    }


def _summary(rows: list[tuple[int, int, bool, bool]]) -> dict[str, float]:
    understood = [row for row in rows if not row[3]]
    return {
        "word_errors": round(sum(r[0] for r in rows) / sum(r[1] for r in rows), 3),
        "word_errors_where_accepted": round(
            sum(r[0] for r in understood) / max(1, sum(r[1] for r in understood)), 3
        ),
        "exact": round(sum(r[2] for r in rows) / len(rows), 3),
        "rejected": round(sum(r[3] for r in rows) / len(rows), 3),
    }


def _outside(listener: Listener, outside: list[str]) -> dict[str, Any]:
    rng = np.random.default_rng(4)
    taken = []
    for text, voice in zip(outside, _voices(len(outside)), strict=True):
        recording = in_room(
            say(text, voice), rng=rng, noise=float(rng.choice(_NOISES)), after=_AFTER
        )
        got = " ".join(each.transcript.text for each in listener.listen(recording)).strip()
        if got:
            taken.append({"said": text, "heard": got, "voice": voice.name})
    return {
        "sentences": len(outside),
        "accepted": round(len(taken) / len(outside), 3),
        "which": taken,
    }


def _pauses(listener: Listener, said: list[str]) -> dict[str, Any]:
    """Speak commands with 400 ms of silence between two of their words."""
    rng = np.random.default_rng(5)
    cut = total = 0
    for text, voice in zip(said, _voices(len(said)), strict=True):
        words = text.split()
        if len(words) < 3:
            continue
        at = int(rng.integers(1, len(words)))
        first = say(" ".join(words[:at]), voice)
        second = say(" ".join(words[at:]), voice)
        recording = in_room(
            first, second, rng=rng, noise=float(rng.choice(_NOISES)), pause=0.4, after=_AFTER
        )
        resumed = 0.5 + len(first) / 16_000 + 0.4
        total += 1
        cut += any(each.decided_at < resumed for each in listener.listen(recording))
    return {"sentences": total, "pause_ms": 400, "cut_off": round(cut / total, 3)}


def _detection_cost() -> float:
    detection = SileroVoiceDetection()
    detection.load()
    detector = detection.open()
    samples = np.random.default_rng(0).normal(0, 0.01, 200 * FRAME).astype(np.float32)
    begun = time.thread_time()
    detector.push(samples)
    return round(1000 * (time.thread_time() - begun) / 200, 3)


def distance(wanted: list[str], got: list[str]) -> int:
    """Return how many words must be changed, added or dropped (Levenshtein)."""
    row = list(range(len(got) + 1))
    for number, word in enumerate(wanted, 1):
        above, row[0] = row[0], number
        for column, other in enumerate(got, 1):
            above, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, above + (word != other)),
            )
    return row[-1]


if __name__ == "__main__":
    main()
