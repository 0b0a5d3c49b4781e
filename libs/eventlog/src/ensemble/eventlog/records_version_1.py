"""Records of backups that were made when each event was a row, as records of today."""

import json
from base64 import b64decode
from typing import Final

from ensemble.eventlog.records import Batch, DamagedRecordError, decode
from ensemble.eventlog.segments import Kind, codes_of

Types = dict[Kind, int]
"""The code of each type of event."""

_EVENT: Final = b'["events",'


def decode_version_1(line: bytes, types: Types) -> Batch:
    """Return what a line says: one record, and before it the type of an event if it is new.

    An event is a segment of its own, with the link that it has.

    Args:
        types: The types so far; a new one is added to it.

    Raises:
        DamagedRecordError: It is no record.
    """
    if not line.startswith(_EVENT):
        return [decode(line)]
    try:
        _, stream, seq, position, name, version, at, payload, text, digest, link = json.loads(line)
        kind = (str(name), int(version))
        new = kind not in types
        code = types.setdefault(kind, len(types) + 1)
        row = (
            stream, seq, position, codes_of([code]), at, _bytes(payload), text, 0,
            None if digest is None else _bytes(digest), _bytes(link),
        )  # fmt: skip
    except (ValueError, TypeError, RecursionError) as exc:
        raise DamagedRecordError from exc
    return [("types", (code, *kind)), ("segments", row)] if new else [("segments", row)]


def _bytes(value: str) -> bytes:
    return b64decode(value, validate=True)
