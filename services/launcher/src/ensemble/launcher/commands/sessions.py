"""``ensemble sessions``: what was said before, shown, exported, replayed, checked, erased.

``backup``, ``restore``, ``retain`` and ``verify --store`` go to the store itself, the others to the
gateway.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Final

from google.protobuf import json_format

from ensemble.client import EnsembleClient, read_record
from ensemble.client.records import session_as_json
from ensemble.core.errors import ConfigurationError, StorageCorruptError
from ensemble.launcher.auditing import verify
from ensemble.launcher.connection import client
from ensemble.launcher.consent import agreed
from ensemble.launcher.replaying import replay
from ensemble.launcher.stored import resolve
from ensemble.launcher.table import counted, render
from ensemble.launcher.transcript import markdown, transcript


async def run(options: argparse.Namespace) -> int:
    """Run one of its actions."""
    if options.action in ("backup", "restore", "retain") or (
        options.action == "verify" and options.store is not None
    ):
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
                return await replay(gateway, options)
            case "verify":
                return await verify(gateway, options)
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
            "answering" if row["answering"] else "unreadable" if row["unreadable"] else "",
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
        events = [
            json_format.MessageToDict(event) async for event in gateway.replay_session(session_id)
        ]
        text = json.dumps(
            {"session": json_format.MessageToDict(session), "events": events},
            indent=1,
            ensure_ascii=False,
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


async def _refuse_absent(gateway: EnsembleClient, name: str) -> None:
    """Raise SessionNotFoundError if there is no such session; one that is damaged is there."""
    with contextlib.suppress(StorageCorruptError):
        await gateway.get_session(name)


_STAYS: Final = (
    "what was remembered, timers and reminders stay; 'ensemble sessions erase --all' erases "
    "those as well"
)


async def _erase(gateway: EnsembleClient, options: argparse.Namespace) -> int:
    name = "" if options.all else await resolve(gateway, options.session)
    if options.all:
        what = (
            "this erases all your sessions, what was remembered, timers and reminders, for good; "
            "devices stay as they are."
        )
    else:
        if not options.yes:
            await _refuse_absent(gateway, name)
        what = (
            f"this erases what was said in session {name} and what its tools answered, for good; "
            f"{_STAYS}."
        )
    if not agreed(options, what):
        return 2
    erased = await gateway.erase_sessions(name, every=options.all)
    if options.json:
        counts = {"sessions": erased.sessions, "events": erased.events, "things": erased.things}
        print(json.dumps(counts))
    else:
        things = counted(erased.things, "thing")
        kept = f"{things} that tools kept" if options.all else f"{things} that tools answered"
        print(
            f"Erased {counted(erased.sessions, 'session')}, {counted(erased.events, 'event')}, "
            f"{kept}."
        )
        if not options.all:
            print(f"{_STAYS[0].upper()}{_STAYS[1:]}.")
    return 0
