"""What a row of the log holds: the events of one stream that were appended together.

A row, a link of the chain and an entry of the index cost as much for one event as for many, so
those of an append share them. Only one event of a segment has a text, so that SQL sees each text
by itself. The payload of a segment of one event is the event's; of more it is the lengths of all
payloads but the last, as LEB128, and then the payloads.

Types are numbers in the rows; a table of the store says which name and version each stands for.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

Kind = tuple[str, int]
"""Type of an event, and the version of its payload's shape."""

EVENTS: Final = 64
"""Events of one segment at most."""

BYTES: Final = 64 * 1024
"""A segment whose payloads have so many bytes takes no further event: who reads one event reads
its segment."""


class NoSegmentError(Exception):
    """Bytes are not what ``pack`` makes."""


def codes_of(codes: Iterable[int]) -> bytes:
    """Return the codes of types as they stand in a row."""
    return b"".join(map(_varint, codes))


def kinds_of(types: bytes, kinds: Mapping[int, Kind]) -> tuple[Kind, ...]:
    """Return what ``types`` stands for; nothing if one of its codes is not known."""
    try:
        return tuple([kinds[code] for code in _codes(types)])
    except (KeyError, NoSegmentError):
        return ()


def count(types: bytes) -> int:
    """Return how many events there are in a segment with these types."""
    return len(types) if types.isascii() else sum(byte < 0x80 for byte in types)


def unknown(types: bytes, kinds: Mapping[int, Kind]) -> bool:
    """Whether a code of ``types`` is not among ``kinds``."""
    try:
        return any(code not in kinds for code in _codes(types))
    except NoSegmentError:
        return False


def _codes(types: bytes) -> Iterable[int]:
    if types.isascii():
        return types
    found, place = [], 0
    while place < len(types):
        code, place = _number(types, place)
        found.append(code)
    return found


def pack(payloads: Sequence[bytes]) -> bytes:
    """Return the payload of a segment whose events have these."""
    if len(payloads) == 1:
        return payloads[0]
    return b"".join([*(_varint(len(each)) for each in payloads[:-1]), *payloads])


def unpack(payload: bytes, count: int) -> list[bytes]:
    """Return the payloads of the ``count`` events of a segment; raises ``NoSegmentError``."""
    if count == 1:
        return [payload]
    lengths, place = [], 0
    for _ in range(count - 1):
        length, place = _number(payload, place)
        lengths.append(length)
    found = []
    for length in lengths:
        found.append(payload[place : place + length])
        place += length
    if place > len(payload):
        raise NoSegmentError
    found.append(payload[place:])
    return found


def _varint(number: int) -> bytes:
    if number < 0x80:
        return _ONE_BYTE[number]
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


_ONE_BYTE: Final = [bytes([number]) for number in range(0x80)]


def _number(packed: bytes, place: int) -> tuple[int, int]:
    """Return the number at ``place``, and where it ends."""
    number = shift = 0
    while place < len(packed) and shift < 64:
        byte = packed[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7
    raise NoSegmentError
