"""A llama-shaped decoder in JAX: RMS norm, rotary positions, gated layers, tied embeddings."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

Params = dict[str, Any]
NORM_EPSILON = 1e-5
ROPE_BASE = 10000.0


@dataclass(frozen=True)
class Shape:
    """The sizes of one network. `width` must be a multiple of twice `heads`."""

    vocabulary: int
    width: int = 160
    layers: int = 4
    heads: int = 5
    hidden: int = 448
    context: int = 1024

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def initial(shape: Shape, seed: int) -> Params:
    """Draws the starting weights; every matrix is stored [inputs, outputs]."""
    keys = iter(jax.random.split(jax.random.key(seed), 1 + 7 * shape.layers))

    def matrix(rows: int, columns: int, scale: float) -> jax.Array:
        return jax.random.normal(next(keys), (rows, columns)) * scale

    inner = shape.width**-0.5
    residual = inner / (2 * shape.layers) ** 0.5
    ones = jnp.ones(shape.width)
    return {
        "embedding": matrix(shape.vocabulary, shape.width, 0.05),
        "norm": ones,
        "layers": [
            {
                "attention_norm": ones,
                "query": matrix(shape.width, shape.width, inner),
                "key": matrix(shape.width, shape.width, inner),
                "value": matrix(shape.width, shape.width, inner),
                "output": matrix(shape.width, shape.width, residual),
                "feed_norm": ones,
                "gate": matrix(shape.width, shape.hidden, inner),
                "up": matrix(shape.width, shape.hidden, inner),
                "down": matrix(shape.hidden, shape.width, residual),
            }
            for _ in range(shape.layers)
        ],
    }


def _normalised(x: jax.Array, gain: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + NORM_EPSILON) * gain


def _rotated(x: jax.Array, cosine: jax.Array, sine: jax.Array) -> jax.Array:
    """Rotates the halves of each head; the export reorders rows to llama.cpp's pairs."""
    left, right = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([left * cosine - right * sine, left * sine + right * cosine], axis=-1)


def _silu(x: jax.Array) -> jax.Array:
    # Spelt with tanh: twice as fast to differentiate on a CPU as jax.nn.silu.
    return x * (0.5 + 0.5 * jnp.tanh(0.5 * x))


def hidden_states(params: Params, shape: Shape, tokens: jax.Array) -> jax.Array:
    """Maps token ids [batch, time] to normalised hidden states [batch * time, width]."""
    batch, time = tokens.shape
    half = shape.head_width // 2
    angles = jnp.outer(jnp.arange(time), ROPE_BASE ** (-jnp.arange(half) / half))
    cosine, sine = jnp.cos(angles), jnp.sin(angles)
    causal = jnp.where(jnp.tril(jnp.ones((time, time), bool)), 0.0, -1e9)

    # Matrices meet flat [batch * time, width] arrays: XLA's CPU back end is slow at
    # differentiating products that contract over two axes.
    def heads(y: jax.Array) -> jax.Array:
        split = y.reshape(batch, time, shape.heads, shape.head_width).swapaxes(1, 2)
        return split.reshape(batch * shape.heads, time, shape.head_width)

    x = params["embedding"][tokens.reshape(-1)]
    for layer in params["layers"]:
        y = _normalised(x, layer["attention_norm"])
        query = _rotated(heads(y @ layer["query"]), cosine, sine)
        key = _rotated(heads(y @ layer["key"]), cosine, sine)
        scores = query @ key.swapaxes(1, 2) * shape.head_width**-0.5
        weights = jax.nn.softmax(scores + causal, axis=-1)
        mixed = (weights @ heads(y @ layer["value"])).reshape(
            batch, shape.heads, time, shape.head_width
        )
        x = x + mixed.swapaxes(1, 2).reshape(batch * time, shape.width) @ layer["output"]
        y = _normalised(x, layer["feed_norm"])
        x = x + (_silu(y @ layer["gate"]) * (y @ layer["up"])) @ layer["down"]
    return _normalised(x, params["norm"])


def loss(params: Params, shape: Shape, tokens: jax.Array, spots: jax.Array) -> jax.Array:
    """Mean cross entropy of the tokens after the flat positions `spots` of `tokens`.

    `spots` index into tokens[:, :-1] flattened; -1 entries are padding.
    """
    states = hidden_states(params, shape, tokens[:, :-1])
    real = spots >= 0
    at = jnp.maximum(spots, 0)
    logits = states[at] @ params["embedding"].T
    wanted = tokens[:, 1:].reshape(-1)[at]
    picked = jnp.take_along_axis(logits, wanted[:, None], axis=1)[:, 0]
    losses = jax.nn.logsumexp(logits, axis=1) - picked
    return jnp.sum(losses * real) / jnp.maximum(jnp.sum(real), 1)
