"""Trains the household model; a checkpoint can be taken up again with --resume.

Run from the repository root:
    uv run --group training python services/model-router/training/train.py --minutes 50 --out DIR
"""

import argparse
import json
import os
import pickle
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from household import model, tokenizer
from household.batches import batches
from household.generator import dialogues


def learning_rate(progress: float, peak: float, decay: float) -> float:
    """Short warm-up, then flat, then down to a fiftieth over the last share `decay`."""
    if progress < 0.01:
        return peak * (0.05 + 95 * progress)
    return peak * min(1.0, 0.02 + 0.98 * (1 - progress) / decay)


def optimizer(peak: float) -> optax.GradientTransformation:
    """Muon for the matrices, Adam for embedding and norms; the rate is set from outside."""

    def build(rate: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.multi_transform(
                {
                    "matrix": optax.contrib.muon(rate, weight_decay=0.01),
                    "other": optax.adamw(rate * 0.1, b1=0.9, b2=0.97, weight_decay=0.0),
                },
                lambda params: jax.tree_util.tree_map_with_path(
                    lambda path, leaf: (
                        "matrix" if leaf.ndim == 2 and path[0].key != "embedding" else "other"
                    ),
                    params,
                ),
            ),
        )

    return optax.inject_hyperparams(build)(rate=peak)


def save(path: Path, params: model.Params, state: Any, step: int) -> None:
    """Writes the checkpoint whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        pickle.dump(jax.tree.map(np.asarray, (params, state, step)), file)
    os.replace(partial, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for checkpoint and tokenizer"
    )
    parser.add_argument("--minutes", type=float, default=50.0, help="training time")
    parser.add_argument("--steps", type=int, help="stop after this many steps instead (repeatable)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.01, help="peak learning rate")
    parser.add_argument("--decay", type=float, default=0.6, help="share with a falling rate")
    parser.add_argument("--tokens", type=int, default=3072, help="tokens in a batch")
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=5)
    parser.add_argument("--hidden", type=int, default=448)
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    parser.add_argument("--save-minutes", type=float, default=5.0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    words = options.out / "tokenizer.json"
    if not options.resume:
        texts = (
            " ".join([drawn.user, *(text for _, text in drawn.turns)])
            for drawn in islice(dialogues(options.seed), 40_000)
        )
        tokenizer.train(texts).save(str(words))
    vocabulary = tokenizer.load(words)
    shape = model.Shape(
        vocabulary.get_vocab_size(), options.width, options.layers, options.heads, options.hidden
    )
    (options.out / "shape.json").write_text(json.dumps(asdict(shape)))
    transform = optimizer(options.rate)
    params = model.initial(shape, options.seed)
    state, first = transform.init(params), 0
    if options.resume:
        with (options.out / "checkpoint.pickle").open("rb") as file:
            params, state, first = jax.tree.map(jnp.asarray, pickle.load(file))
    first = int(first)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"{size} parameters, {shape.vocabulary} tokens", flush=True)

    # Two programs, so that only the slope is compiled again for every batch length.
    slope_of = jax.jit(
        lambda params, tokens, spots: jax.value_and_grad(model.loss)(params, shape, tokens, spots)
    )

    @jax.jit
    def apply(params: Any, state: Any, slope: Any, rate: jax.Array) -> Any:
        state.hyperparams["rate"] = rate
        change, state = transform.update(slope, state, params)
        return optax.apply_updates(params, change), state

    began = saved = time.monotonic()
    # A resumed run must not see the same dialogues again.
    stream = batches(
        vocabulary, Random(options.seed * 1_000_003 + first).randrange(2**31), options.tokens
    )
    seen, losses = 0, []
    for number, batch in enumerate(stream, start=1):
        spent = time.monotonic() - began
        progress = number / options.steps if options.steps else spent / (options.minutes * 60)
        if progress >= 1:
            break
        rate = jnp.float32(learning_rate(progress, options.rate, options.decay))
        value, slope = slope_of(params, batch.tokens, batch.spots)
        params, state = apply(params, state, slope, rate)
        losses.append(value)
        seen += batch.tokens.size
        if number % 50 == 0:
            recent = float(jnp.mean(jnp.stack(losses)))
            losses.clear()
            print(
                f"step {first + number} loss {recent:.4f} rate {float(rate):.5f} "
                f"{seen / spent:.0f} tokens/s {spent:.0f} s",
                flush=True,
            )
        if time.monotonic() - saved > options.save_minutes * 60:
            saved = time.monotonic()
            save(options.out / "checkpoint.pickle", params, state, first + number)
    save(options.out / "checkpoint.pickle", params, state, first + number)


if __name__ == "__main__":
    main()
