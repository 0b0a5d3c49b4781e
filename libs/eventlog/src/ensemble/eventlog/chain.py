"""The hash chain over a stream: tamper evidence that survives an erasure.

Each link is ``SHA-256(previous link ‖ position ‖ type ‖ version ‖ time ‖ digest)``, and each
digest ``HMAC-SHA-256(secret of the stream, position ‖ payload ‖ text)``. Without the secret,
which an erasure destroys together with the content, a digest tells nothing about what it was
made from, not even to somebody who guesses it.
"""

import hashlib
import hmac
import secrets
import struct
from typing import Final

from ensemble.eventlog.event_log import Audit

START: Final = bytes(32)
"""What the first link follows."""

_SECRET_BYTES: Final = 16


def new_secret() -> bytes:
    """Return a fresh secret for a stream."""
    return secrets.token_bytes(_SECRET_BYTES)


def digest(secret: bytes, seq: int, payload: bytes, text: str) -> bytes:
    """Return the salted digest of an event's content, 32 bytes."""
    words = text.encode()
    head = struct.pack(">QII", seq, len(payload), len(words))
    return hmac.digest(secret, head + payload + words, "sha256")


def link(
    previous: bytes, seq: int, type_: str, schema_version: int, created_at: int, content: bytes
) -> bytes:
    """Return the link of the event at ``seq`` whose content has the digest ``content``."""
    name = type_.encode()
    head = struct.pack(">QIQI", seq, schema_version, created_at, len(name))
    return hashlib.sha256(previous + head + name + content).digest()


class ChainCheck:
    """Follows the chain of a stream from one event to the next.

    Args:
        secret: The stream's; only needed for events that are not erased.
        previous: Link of event ``seq``.
        seq: Where to begin: the event before the first that is checked.
    """

    def __init__(self, secret: bytes, previous: bytes = START, seq: int = 0) -> None:
        self._secret = secret
        self._previous = previous
        self._erased = 0
        self._first = seq
        self._seq = seq
        self._broken = False

    @property
    def next_seq(self) -> int:
        """The event that must come next."""
        return self._seq + 1

    def follows(
        self,
        seq: int,
        type_: str,
        schema_version: int,
        created_at: int,
        payload: bytes,
        text: str,
        erased: bytes | None,
        stored: bytes,
    ) -> bool:
        """Go on to an event; False, and stay, if it is not the next one or was changed.

        Args:
            erased: Digest that stands for the content; None while the content is there.
            stored: The event's link.
        """
        self._broken = True
        if seq != self.next_seq or (erased is not None and (payload or text)):
            return False
        content = digest(self._secret, seq, payload, text) if erased is None else erased
        if link(self._previous, seq, type_, schema_version, created_at, content) != stored:
            return False
        self._broken = False
        self._previous, self._seq = stored, seq
        self._erased += erased is not None
        return True

    def audit(self, last_seq: int, chain_head: bytes) -> Audit:
        """Return what was found by the time the events ended, or one did not follow.

        Args:
            last_seq: Last event that the stream says to have.
            chain_head: Link that the stream says to end with.
        """
        ended = self._seq == last_seq and not self._broken
        if ended:
            bad = 0 if self._previous == chain_head else max(last_seq, 1)
        else:
            bad = min(self.next_seq, last_seq + 1)
        return Audit(self._seq - self._first, self._erased, bad, chain_head, self._first)
