"""The command line of ``ensemble sessions`` and ``ensemble explain``."""

import argparse
import datetime
import re
import textwrap
from collections.abc import Callable

_ID = "session id; 'last' is the one that changed last"


def add_sessions(parser: argparse.ArgumentParser) -> None:
    """Give ``ensemble sessions`` its actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
        made = actions.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog="\n\n".join(textwrap.fill(part, 78) for part in epilog.split("\n\n")),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.add_argument("--json", action="store_true", help="print JSON")
        return made

    listing = action("list", "list sessions, the one that changed last first")
    listing.add_argument(
        "--limit", type=number(int, 1), default=20, metavar="N", help="how many (default: 20)"
    )

    show = action("show", "show what was said and done, with times")
    show.add_argument("session", metavar="ID", help=_ID)

    export = action(
        "export",
        "write the whole record",
        "example: ensemble sessions export last --format markdown -o talk.md",
    )
    export.add_argument("session", metavar="ID", help=_ID)
    export.add_argument(
        "--format",
        choices=("json", "markdown"),
        default="json",
        help="json has every event, markdown what was said (default: json)",
    )
    export.add_argument("-o", "--output", metavar="FILE", help="where to (default: stdout)")

    replay = action("replay", "play the record again with its own timing; no model is called")
    replay.add_argument("session", metavar="ID", help=_ID)
    replay.add_argument(
        "--speed",
        type=number(float, 0),
        default=1.0,
        metavar="X",
        help="times faster; 0 prints everything at once (default: 1)",
    )
    replay.add_argument(
        "--longest-pause",
        type=_pause,
        default=5.0,
        metavar="SECONDS",
        help="longer pauses are cut to this, and it is shown how long they were; 'none' keeps "
        "them (default: 5)",
    )

    verify = action(
        "verify",
        "check that records are whole and unchanged",
        "Exits with 1 when a chain is broken. Note the chain head elsewhere: it proves later "
        "that nothing before it was changed.\n\n--store checks everything in the store itself, "
        "whoever it belongs to, also while the assistant runs; without a value it is the store "
        "that the orchestrator would use.\n\nexample: ensemble sessions verify --store",
    )
    _one_or_all(verify, required=False).add_argument(
        "--store", nargs="?", const="", metavar="URL|FILE", help="all of a store, of all owners"
    )

    erase = action(
        "erase",
        "erase what was said, for good",
        "Of one session goes what was said in it and what its tools answered. What was "
        "remembered, timers and reminders belong to no session: they stay, and go with --all, "
        "which erases everything of yours but how the devices are set. Backups keep what they "
        "have.\n\nexample: ensemble sessions erase --all --yes",
    )
    _one_or_all(erase, required=True)
    _yes(erase)

    backup = action(
        "backup",
        "write everything that was said into one file, also while the assistant runs",
        "The file holds what was said in full; only its owner may read it. What is erased later "
        "is still in it. Things remembered, timers and reminders are not part of it: they are in "
        "world.db under ENSEMBLE_HOME.\n\nexample: ensemble sessions backup monday.ensemble",
    )
    backup.add_argument("file", metavar="FILE", help="where to; replaced once complete")
    _store(backup)

    restore = action(
        "restore",
        "write a backup into a store that is empty, of the same kind or the other",
        "A file as store has to be held by nobody: stop the assistant first.\n\n"
        "example: ensemble sessions restore monday.ensemble --store postgresql://me@db/ensemble",
    )
    restore.add_argument("file", metavar="FILE", help="what 'sessions backup' wrote")
    _store(restore)

    retain = action(
        "retain",
        "drop what is older, for good",
        "The time counts from the last event of a session; one that is being answered stays. Of "
        "what goes the store keeps the id, the times and the end of the chain, as proof that it "
        "was there. A file as store has to be held by nobody: stop the assistant first.\n\n"
        "example: ensemble sessions retain --older-than 90d --yes",
    )
    retain.add_argument(
        "--older-than", type=age, required=True, metavar="AGE", help="such as 90d, 12h or 2w"
    )
    _yes(retain)
    _store(retain)


def _yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--yes", action="store_true", help="do it without asking; needed away from a terminal"
    )


def _pause(text: str) -> float | None:
    return None if text == "none" else number(float, 0)(text)


def _store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        default="",
        metavar="URL|FILE",
        help="a postgresql:// URL or an SQLite file (default: what the orchestrator would use: "
        "ENSEMBLE_ORCHESTRATOR_STORE, else the file under ENSEMBLE_HOME)",
    )


def age(text: str) -> datetime.timedelta:
    """Read an age such as ``90d`` from the command line."""
    units = {"h": "hours", "d": "days", "w": "weeks"}
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no age; write it as 12h, 90d or 2w")
    return datetime.timedelta(**{units[found[2]]: int(found[1])})


def add_explain(parser: argparse.ArgumentParser) -> None:
    """Give ``ensemble explain`` its arguments."""
    parser.add_argument("session", nargs="?", default="last", metavar="ID", help=_ID)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _one_or_all(
    parser: argparse.ArgumentParser, *, required: bool
) -> "argparse._MutuallyExclusiveGroup":
    which = parser.add_mutually_exclusive_group(required=required)
    which.add_argument("session", nargs="?", default="", metavar="ID", help=_ID)
    which.add_argument("--all", action="store_true", help="every session of yours")
    return which


def number(kind: Callable[[str], float], least: float) -> Callable[[str], float]:
    """Return what reads a ``kind`` of at least ``least`` from the command line."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not at least {least}")
        return value

    return parse
