"""``ensemble sessions verify``: whether the records of the caller are whole and unchanged."""

import argparse
import asyncio
import json
import sys
from typing import Any, Final

from ensemble.client import EnsembleClient
from ensemble.core.errors import (
    RateLimitedError,
    SessionNotFoundError,
    StorageCorruptError,
)
from ensemble.launcher.stored import resolve
from ensemble.launcher.table import counted, row
from ensemble.v1 import session_pb2

_LEAST_PAUSE_S: Final = 0.05
"""Waited at least where the gateway asks to come slower: long enough for several calls."""

_HEADER: Final = ("SESSION", "CHAIN", "EVENTS", "ERASED", "HEAD")


async def verify(gateway: EnsembleClient, options: argparse.Namespace) -> int:
    """Have one session or all of the caller checked; fail when one is not intact."""
    if options.all:
        names = [each.session_id for each in await gateway.list_sessions(limit=sys.maxsize)]
    else:
        names = [await resolve(gateway, options.session or "last")]
    widths = (max(map(len, (*names, _HEADER[0]))), 16, 6, 6, 64)
    if not options.json:
        print(row(_HEADER, widths))
    rows = []
    for name in names:
        try:
            audit = await _audit(gateway, name)
        except SessionNotFoundError:
            if not options.all:
                raise
            continue  # erased or dropped since they were listed
        rows.append(_as_json(audit))
        if not options.json:
            print(row(_cells(audit), widths), flush=True)
    broken = sum(not each["intact"] for each in rows)
    if options.json:
        print(json.dumps({"sessions": rows}))
    elif options.all:
        print(f"{counted(len(rows), 'session')} checked, {broken} broken.", file=sys.stderr)
    return 1 if broken else 0


async def _audit(gateway: EnsembleClient, name: str) -> session_pb2.SessionAudit:
    while True:
        try:
            return await gateway.verify_session(name)
        except RateLimitedError as error:
            await asyncio.sleep(max(error.retry_after or 0.0, _LEAST_PAUSE_S))
        except StorageCorruptError:
            # So damaged that it cannot be read to the place where it is.
            return session_pb2.SessionAudit(session_id=name)


def _cells(audit: session_pb2.SessionAudit) -> tuple[str, ...]:
    return (
        audit.session_id,
        _chain(audit),
        str(audit.events),
        str(audit.erased),
        audit.chain_head.hex(),
    )


def _chain(audit: session_pb2.SessionAudit) -> str:
    if not audit.intact:
        at = f" at {audit.first_bad_sequence}" if audit.first_bad_sequence else ""
        return f"BROKEN{at}"
    return "erased, intact" if audit.events and audit.erased == audit.events else "intact"


def _as_json(audit: session_pb2.SessionAudit) -> dict[str, Any]:
    return {
        "session_id": audit.session_id,
        "intact": audit.intact,
        "events": audit.events,
        "erased": audit.erased,
        "first_bad_sequence": audit.first_bad_sequence,
        "chain_head": audit.chain_head.hex(),
    }
