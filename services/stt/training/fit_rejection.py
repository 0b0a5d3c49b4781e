"""Fits the weights by which the recogniser rejects what no tool understands.

Speaks commands of the served tools and hand-written sentences outside them with several
espeak-ng voices, recognises them, and writes ``rejection.json``. The sentences that judge the
result (services/model-router/training/lists) are not among them.

    uv run python services/stt/training/fit_rejection.py [--commands 400]
"""

import argparse
import json
import sys
import zlib
from pathlib import Path
from random import Random

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from stt_training.corpus import OUT_OF_DOMAIN, commands, lines
from stt_training.household_tools import TOOLS
from stt_training.judged import Judged, judge
from stt_training.served_tools import served_tools

from ensemble.stt.rejection import FEATURES, Rejection, Vector, expand

_FALSE_ACCEPTS = 0.04
_STRENGTH = 3.0
_FOLDS = 5
_WEIGHTS = Path(__file__).parents[1] / "src/ensemble/stt/rejection.json"


def main() -> None:
    """Fit, report what cross-validation says, and write the weights."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--commands", type=int, default=400)
    count = arguments.parse_args().commands
    outside = lines(OUT_OF_DOMAIN)
    judged: list[Judged] = []
    # The rhythm of a larger and of a smaller grammar: neither is what makes a command.
    for tools, share, voices_each in ((served_tools(), 0.75, 2), (TOOLS, 0.25, 1)):
        said = commands(tools, int(count * share), Random(11))
        judged += judge(tools, [(text, True) for text in said], voices_each=1, seed=5)
        judged += judge(tools, [(text, False) for text in outside], voices_each, seed=6)
        print(f"{len(judged)} sentences recognised", file=sys.stderr)
    explained = [case for case in judged if case.features is not None]
    # A command that was misheard is no example of either kind.
    used = [case for case in explained if not case.command or case.heard == case.said]
    rows = np.array([case.features for case in used])
    truth = np.array([case.command for case in used], float)
    outside_total = sum(not case.command for case in judged)
    held_out = np.zeros(len(used))
    folds = np.array([zlib.crc32(case.said.encode()) % _FOLDS for case in used])
    for fold in range(_FOLDS):
        mean, spread, weights = _fit(rows[folds != fold], truth[folds != fold])
        held_out[folds == fold] = expand((rows[folds == fold] - mean) / spread) @ weights
    allowed = int(_FALSE_ACCEPTS * outside_total)
    threshold = float(np.sort(held_out[truth == 0])[::-1][allowed])
    mean, spread, weights = _fit(rows, truth)
    stored = {
        "features": list(FEATURES),
        "mean": [round(float(value), 6) for value in mean],
        "spread": [round(float(value), 6) for value in spread],
        "weights": [round(float(value), 6) for value in weights],
        "threshold": round(1 / (1 + float(np.exp(-threshold))), 4),
    }
    Rejection.from_json(stored)
    _WEIGHTS.write_text(json.dumps(stored, indent=1) + "\n")
    right = held_out[truth == 1]
    print(
        json.dumps(
            {
                "commands": sum(case.command for case in judged),
                "commands_exact": len(right),
                "outside": outside_total,
                "outside_explained": int((truth == 0).sum()),
                "cross_validated": [
                    {
                        "false_accepts": round(share, 3),
                        "exact_commands_rejected": round(
                            float(
                                (
                                    right
                                    <= np.sort(held_out[truth == 0])[::-1][
                                        int(share * outside_total)
                                    ]
                                ).mean()
                            ),
                            4,
                        ),
                    }
                    for share in (0.01, 0.02, 0.03, 0.05)
                ],
                "threshold": stored["threshold"],
            },
            indent=1,
        )
    )


def _fit(rows: Vector, truth: Vector) -> tuple[Vector, Vector, Vector]:
    """Return mean, spread and weights of a ridge-regularised logistic regression (Newton)."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-9
    wide = expand((rows - mean) / spread)
    weights = np.zeros(wide.shape[1])
    penalty = np.full(wide.shape[1], _STRENGTH)
    penalty[-1] = 1e-6
    for _ in range(50):
        expected = 1 / (1 + np.exp(-(wide @ weights)))
        slope = wide.T @ (expected - truth) + penalty * weights
        bend = (wide * (expected * (1 - expected))[:, None]).T @ wide + np.diag(penalty)
        weights -= np.linalg.solve(bend, slope)
    return mean, spread, weights


if __name__ == "__main__":
    main()
