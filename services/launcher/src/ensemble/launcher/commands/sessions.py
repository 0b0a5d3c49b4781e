"""``ensemble sessions``: what was said before, shown, exported, replayed, checked, erased.

``backup``, ``restore`` and ``retain`` go to the store itself, the others to the gateway.
"""

import argparse
import asyncio
import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from ensemble.client import EnsembleClient, read_record
from ensemble.client.records import session_as_json
from ensemble.core.errors import ConfigurationError
from ensemble.launcher.connection import client
from ensemble.launcher.stored import resolve
from ensemble.launcher.table import counted, render
from ensemble.launcher.transcript import clock, markdown, plain, transcript
from ensemble.v1 import session_events_pb2, session_pb2


async def run(options: argparse.Namespace) -> int:
    """Run one of its actions."""
    if options.action in ("backup", "restore", "retain"):
        # The store brings libraries that the other actions need not wait for.
        from ensemble.launcher import store

        return await getattr(store, options.action)(options)  # type: ignore[no-any-return]
    async with client() as gateway:
        match options.action:
            case "list":
                return await _list(gateway, options)
            case "show":
                return await _show(gateway, options)
            case "export":
                return await _export(gateway, options)
            case "replay":
                return await _replay(gateway, options)
            case "verify":
                return await _verify(gateway, options)
            case _:
                return await _erase(gateway, options)


async def _list(gateway: EnsembleClient, options: argparse.Namespace) -> int:
    rows = [session_as_json(each) for each in await gateway.list_sessions(limit=options.limit)]
    if options.json:
        print(json.dumps({"sessions": rows}))
        return 0
    cells = [
        (
            row["session_id"],
            row["changed"][:19].replace("T", " "),
            str(row["turns"]),
            str(row["events"]),
            "answering" if row["answering"] else "",
        )
        for row in rows
    ]
    print(render(("SESSION", "CHANGED (UTC)", "TURNS", "EVENTS", ""), cells))
    return 0


async def _show(gateway: EnsembleClient, options: argparse.Namespace) -> int:
    session_id = await resolve(gateway, options.session)
    record = await read_record(session_id, gateway.replay_session(session_id))
    if options.json:
        print(json.dumps(dataclasses.asdict(record), default=str, ensure_ascii=False))
    else:
        print(transcript(record))
    return 0


async def _export(gateway: EnsembleClient, options: argparse.Namespace) -> int:
    session_id = await resolve(gateway, options.session)
    if options.format == "markdown" and not options.json:
        text = markdown(await read_record(session_id, gateway.replay_session(session_id)))
    else:
        session = await gateway.get_session(session_id)
        events = [_as_dict(event) async for event in gateway.replay_session(session_id)]
        text = json.dumps(
            {"session": _as_dict(session), "events": events}, indent=1, ensure_ascii=False
        )
    if not options.output:
        print(text)
        return 0
    try:
        await asyncio.to_thread(Path(options.output).write_text, f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{options.output} cannot be written: {error.strerror}."
        ) from error
    return 0


async def _replay(gateway: EnsembleClient, options: argparse.Namespace) -> int:
    session_id = await resolve(gateway, options.session)
    loop = asyncio.get_running_loop()
    began, first = loop.time(), 0
    screen = _Screen()
    async for event in gateway.replay_session(session_id):
        at = event.created_at.ToNanoseconds()
        first = first or at
        if options.speed:
            # Against the start, so that the time for printing does not add up.
            due = began + (at - first) / 1e9 / options.speed
            await asyncio.sleep(max(due - loop.time(), 0))
        if options.json:
            print(json.dumps(_as_dict(event), ensure_ascii=False), flush=True)
        else:
            screen.show(event)
    screen.end_line()
    return 0


class _Screen:
    """Prints events of a record as a conversation shows them while it happens."""

    def __init__(self) -> None:
        self._open = False

    def show(self, event: session_events_pb2.ServerEvent) -> None:
        """Print one event."""
        at = clock(event.created_at.ToDatetime(datetime.UTC))
        match event.WhichOneof("event"):
            case "input_committed":
                said = event.input_committed
                text = "(not understood)" if said.rejected else plain(said.text)
                self._line(f"{at}  > {text}")
            case "response_text_delta":
                self._write(plain(event.response_text_delta.text))
            case "response_tool_call":
                call = event.response_tool_call.call
                self._line(f"{at}  · {plain(call.name)} {plain(call.arguments_json)}")
            case "response_tool_done":
                result = event.response_tool_done.result
                text = result.error.message if result.HasField("error") else result.result_json
                self._line(f"{at}  · → {plain(text)}")
            case "response_resumed":
                self._line(f"{at}  · goes on after a loss")
            case "response_model_substituted":
                substitution = event.response_model_substituted.substitution
                self._line(f"{at}  · {substitution.to_model} takes over")
            case "notice":
                self._line(f"{at}  * {plain(event.notice.text)}")
            case "response_done":
                if event.response_done.HasField("error"):
                    self._write(f" [{plain(event.response_done.error.message)}]")
                self.end_line()

    def end_line(self) -> None:
        """Leave the line that is begun."""
        if self._open:
            print(flush=True)
            self._open = False

    def _line(self, text: str) -> None:
        self.end_line()
        print(text, flush=True)

    def _write(self, text: str) -> None:
        print(text, end="", flush=True)
        self._open = True


async def _verify(gateway: EnsembleClient, options: argparse.Namespace) -> int:
    if options.all:
        names = [each.session_id for each in await gateway.list_sessions(limit=sys.maxsize)]
    else:
        names = [await resolve(gateway, options.session or "last")]
    audits = [await gateway.verify_session(name) for name in names]
    if options.json:
        print(json.dumps({"sessions": [_audit_as_json(audit) for audit in audits]}))
    else:
        cells = [
            (
                audit.session_id,
                _chain(audit),
                str(audit.events),
                str(audit.erased),
                audit.chain_head.hex(),
            )
            for audit in audits
        ]
        print(render(("SESSION", "CHAIN", "EVENTS", "ERASED", "HEAD"), cells))
    return 0 if all(audit.intact for audit in audits) else 1


def _chain(audit: session_pb2.SessionAudit) -> str:
    if not audit.intact:
        return f"BROKEN at {audit.first_bad_sequence}"
    return "erased, intact" if audit.events and audit.erased == audit.events else "intact"


def _audit_as_json(audit: session_pb2.SessionAudit) -> dict[str, Any]:
    return {
        "session_id": audit.session_id,
        "intact": audit.intact,
        "events": audit.events,
        "erased": audit.erased,
        "first_bad_sequence": audit.first_bad_sequence,
        "chain_head": audit.chain_head.hex(),
    }


async def _erase(gateway: EnsembleClient, options: argparse.Namespace) -> int:
    if options.all and not options.yes:
        print("ensemble: this erases every session for good; add --yes to do it.", file=sys.stderr)
        return 2
    name = "" if options.all else await resolve(gateway, options.session)
    erased = await gateway.erase_sessions(name, every=options.all)
    if options.json:
        counts = {"sessions": erased.sessions, "events": erased.events, "things": erased.things}
        print(json.dumps(counts))
    else:
        print(
            f"Erased {counted(erased.sessions, 'session')}, {counted(erased.events, 'event')}, "
            f"{counted(erased.things, 'thing')} that tools kept."
        )
    return 0


def _as_dict(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message)
