"""Metadata as gRPC would carry it: the same checks, the same order, the same types."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import grpc

_LEGAL_KEY = re.compile(r"[0-9a-z_.-]+").fullmatch

# Keys that belong to HTTP/2 and gRPC themselves: what a caller puts there never arrives.
_RESERVED: Final = frozenset({"te", "content-type", "user-agent"})

MetadataLike = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]]


class Metadatum(NamedTuple):
    """One entry, as handlers and interceptors see it."""

    key: str
    value: str | bytes


class InvalidMetadataError(grpc.aio.InternalError):
    """A key or value that gRPC does not carry."""


Frame = tuple[Metadatum, ...]
"""Metadata on its way: checked and immutable."""

EMPTY: Final[Frame] = ()

USER_AGENT: Final = Metadatum("user-agent", f"grpc-python-asyncio/{grpc.__version__} (inproc)")


def outbound(metadata: MetadataLike) -> Frame:
    """Check what a client sends and group equal keys, as ``grpc.aio`` does.

    Raises:
        InvalidMetadataError: A key or value is not legal.
        TypeError: A value is of the wrong type.
    """
    if not isinstance(metadata, grpc.aio.Metadata):
        metadata = tuple(metadata)
        # One entry has nothing to be grouped with, and most calls have no more.
        if len(metadata) > 1:
            metadata = grpc.aio.Metadata.from_tuple(metadata)
    return checked(metadata)


def checked(metadata: Iterable[tuple[str, str | bytes]]) -> Frame:
    """Check each entry and return them in their order, without the reserved keys.

    Raises:
        InvalidMetadataError: A key or value is not legal.
        TypeError: A value is of the wrong type.
    """
    frame = []
    for key, value in metadata:
        if not _is_legal(key):
            raise InvalidMetadataError(f"Illegal header key {key!r}")
        if key.endswith("-bin"):
            if not isinstance(value, bytes):
                raise TypeError(f'Binary metadata key="{key}" expected bytes, got {type(value)}')
        else:
            if isinstance(value, bytes):
                value = value.decode("latin-1")
            elif not isinstance(value, str):
                raise TypeError(f"Expected str, not {type(value)}")
            if not (value.isascii() and value.isprintable()):
                raise InvalidMetadataError(f"Illegal header value of {key!r}")
        if key not in _RESERVED:
            frame.append(Metadatum(key, value))
    return tuple(frame)


@lru_cache(maxsize=256)
def _is_legal(key: str) -> bool:
    return _LEGAL_KEY(key) is not None


# RFC 7541 counts 32 bytes for each entry; the path, authority and other headers that a
# network call carries beside the caller's own come to about this much.
_ENTRY_OVERHEAD: Final = 32
_OWN_HEADERS: Final = 464


def excess(frame: Frame, limit: int) -> str:
    """Return why ``frame`` is larger than ``limit`` bytes allows; empty when it is not."""
    total = _OWN_HEADERS
    for key, value in frame:
        if len(value) > limit:
            return (
                f"received metadata size exceeds hard limit (value length {len(value)} vs. {limit})"
            )
        total += len(key) + len(value) + _ENTRY_OVERHEAD
    if total > limit:
        return f"received metadata size exceeds hard limit ({total} vs. {limit})"
    return ""


def received(frame: Frame) -> grpc.aio.Metadata:
    """Return ``frame`` as clients see it."""
    return grpc.aio.Metadata.from_tuple(frame)
