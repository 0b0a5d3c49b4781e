"""Remembers finished calls by their idempotency key."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from ensemble.model_router.domain import Call, Settled, Started, StopReason, ToolCall

_MAX_CALLS = 256
_MAX_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished answer; ``text`` includes what was committed before the call."""

    started: Started
    text: str
    calls: tuple[ToolCall, ...]
    settled: Settled


class CompletedCalls:
    """The latest finished calls, within bounds.

    The same key stands for the same work only when the conversation, too, is the same: a
    caller that reuses a key for its next question gets its own answer.
    """

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[bytes, Completed]] = OrderedDict()
        self._characters = 0

    def find(self, call: Call) -> Completed | None:
        """Return the earlier result of ``call`` when it goes on from its committed text."""
        fingerprint, found = self._calls.get(call.idempotency_key, (b"", None))
        if found is None or not found.text.startswith(call.committed_text):
            return None
        return found if fingerprint == _fingerprint(call) else None

    def keep(self, call: Call, completed: Completed) -> None:
        """Remember a call that came to its end."""
        ended = completed.settled.stop in (StopReason.COMPLETED, StopReason.TOOL_CALLS)
        if not call.idempotency_key or call.speculative or not ended:
            return
        key = call.idempotency_key
        self._forget(key)
        self._calls[key] = _fingerprint(call), completed
        self._characters += _size(completed)
        while len(self._calls) > _MAX_CALLS or self._characters > _MAX_CHARACTERS:
            self._forget(next(iter(self._calls)))

    def _forget(self, key: str) -> None:
        gone = self._calls.pop(key, None)
        if gone is not None:
            self._characters -= _size(gone[1])


def _size(completed: Completed) -> int:
    return len(completed.text) + sum(len(call.arguments_json) for call in completed.calls)


def _fingerprint(call: Call) -> bytes:
    work = (
        call.model, call.messages, call.tools, call.stop,
        call.max_output_tokens, call.temperature, call.seed, call.speculative,
    )  # fmt: skip
    return hashlib.blake2b(repr(work).encode(), digest_size=16).digest()
