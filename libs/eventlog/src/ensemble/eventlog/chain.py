"""The hash chain over a stream: tamper evidence that survives an erasure.

A link stands for a segment (``ensemble.eventlog.segments``): the events of a stream that were
appended together. It is ``SHA-256(previous link ‖ last position ‖ time ‖ types ‖ digest)``, and
the digest ``HMAC-SHA-256(secret of the stream, last position ‖ payload ‖ text)``. Without the
secret, which an erasure destroys together with the content, a digest tells nothing about what it
was made from, not even to somebody who guesses it.

The first half of a link is kept with its segment and goes into the next link; the whole of the
last one is kept with the stream. Segments that were written when each event had a link of its
own have it whole, and it went into the next link as it is.
"""

import functools
import hashlib
import secrets
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from ensemble.eventlog.event_log import Audit
from ensemble.eventlog.segments import Kind, kinds_of

START: Final = bytes(32)
"""What the first link follows."""

KEPT: Final = 16
"""Bytes of a link that are kept with its segment: nobody finds other content for them."""

_SECRET_BYTES: Final = 16
_BLOCK_BYTES: Final = 64
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))
_DIGEST_HEAD: Final = struct.Struct(">QII")
_LINK_HEAD: Final = struct.Struct(">QIQI")
_KIND_HEAD: Final = struct.Struct(">II")
_MANY: Final = 2**32 - 1
"""Stands where one event has its version, which is a number of 31 bits."""


def new_secret() -> bytes:
    """Return a fresh secret for a stream."""
    return secrets.token_bytes(_SECRET_BYTES)


class Salt:
    """Makes the digests of one stream.

    Taking the key in is most of what a short HMAC-SHA-256 (RFC 2104) costs: done once, kept.

    Args:
        secret: The stream's, as ``new_secret`` made it.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: bytes) -> None:
        key = secret.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(key.translate(_INNER_PAD))
        self._outer = hashlib.sha256(key.translate(_OUTER_PAD))

    def digest(self, seq: int, payload: bytes, text: str) -> bytes:
        """Return the salted digest of the content of a segment that ends at ``seq``, 32 bytes."""
        words = text.encode()
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(_DIGEST_HEAD.pack(seq, len(payload), len(words)) + payload + words)
        outer.update(inner.digest())
        return outer.digest()


def digest(secret: bytes, seq: int, payload: bytes, text: str) -> bytes:
    """Return the salted digest of one content, 32 bytes; see ``Salt``."""
    return Salt(secret).digest(seq, payload, text)


def link(
    previous: bytes, seq: int, kinds: Sequence[Kind], created_at: int, trail: int, content: bytes
) -> bytes:
    """Return the link, 32 bytes, of the segment that ends at ``seq`` and whose content has the
    digest ``content``.

    Args:
        previous: As much of the link before as goes into this one.
        trail: Events after the one that has the text.
    """
    if len(kinds) == 1:
        ((name, version),) = kinds
        names = name.encode()
    else:
        names, version = _named(tuple(kinds), trail), _MANY
    head = _LINK_HEAD.pack(seq, version, created_at, len(names))
    return hashlib.sha256(previous + head + names + content).digest()


@functools.lru_cache(maxsize=256)
def _named(kinds: tuple[Kind, ...], trail: int) -> bytes:
    parts = [_KIND_HEAD.pack(len(kinds), trail)]
    for name, version in kinds:
        encoded = name.encode()
        parts.append(_KIND_HEAD.pack(version, len(encoded)) + encoded)
    return b"".join(parts)


class ChainCheck:
    """Follows the chain of a stream from one segment to the next.

    Args:
        kinds: What the codes of event types mean.
        secret: The stream's; only needed for segments that are not erased.
        previous: Link of the segment that ends at ``seq``, or as much as is kept with it.
        seq: Where to begin: the event before the first that is checked.
    """

    def __init__(
        self, kinds: Mapping[int, Kind], secret: bytes, previous: bytes = START, seq: int = 0
    ) -> None:
        self._kinds = kinds
        self._secret = secret
        self._salt: Salt | None = None
        self._previous = previous
        self._erased = 0
        self._first = seq
        self._seq = seq
        self._broken = False

    @property
    def link(self) -> bytes:
        """Link of the last segment that followed, 32 bytes."""
        return self._previous

    @property
    def next_seq(self) -> int:
        """The event that must come next."""
        return self._seq + 1

    def follows(
        self,
        seq: int,
        types: bytes,
        created_at: int,
        payload: bytes,
        text: str,
        trail: int,
        erased: bytes | None,
        stored: bytes,
    ) -> bool:
        """Go on to a segment; False, and stay, if it is not the next one or was changed.

        Args:
            seq: Its last event.
            types: Codes of the types of its events.
            trail: Events after the one that has the text.
            erased: Digest that stands for the content; None while the content is there.
            stored: What is kept of the segment's link.
        """
        self._broken = True
        kinds = kinds_of(types, self._kinds)
        count = len(kinds)
        if not count or seq != self._seq + count or not 0 <= trail < count:
            return False
        if erased is not None and (payload or text):
            return False
        content = self._digest(seq, payload, text) if erased is None else erased
        whole = len(stored) == len(START)
        previous = self._previous if whole else self._previous[:KEPT]
        made = link(previous, seq, kinds, created_at, trail, content)
        if stored != (made if whole else made[:KEPT]):
            return False
        self._broken = False
        self._previous, self._seq = made, seq
        self._erased += count if erased is not None else 0
        return True

    def _digest(self, seq: int, payload: bytes, text: str) -> bytes:
        if self._salt is None:
            self._salt = Salt(self._secret)
        return self._salt.digest(seq, payload, text)

    def audit(self, last_seq: int, chain_head: bytes) -> Audit:
        """Return what was found by the time the segments ended, or one did not follow.

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
