"""The command line of ``ensemble sessions`` and ``ensemble explain``."""

import argparse
from collections.abc import Callable

_ID = "session id; 'last' is the one that changed last"


def add_sessions(parser: argparse.ArgumentParser) -> None:
    """Give ``ensemble sessions`` its actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
        made = actions.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", epilog=epilog
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

    verify = action(
        "verify",
        "check that records are whole and unchanged",
        "Exits with 1 when a chain is broken. Note the chain head elsewhere: it proves later "
        "that nothing before it was changed.",
    )
    _one_or_all(verify, required=False)

    erase = action(
        "erase",
        "erase what was said, for good",
        "example: ensemble sessions erase --all --yes",
    )
    _one_or_all(erase, required=True)
    erase.add_argument("--yes", action="store_true", help="do it; needed with --all")


def add_explain(parser: argparse.ArgumentParser) -> None:
    """Give ``ensemble explain`` its arguments."""
    parser.add_argument("session", nargs="?", default="last", metavar="ID", help=_ID)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _one_or_all(parser: argparse.ArgumentParser, *, required: bool) -> None:
    which = parser.add_mutually_exclusive_group(required=required)
    which.add_argument("session", nargs="?", default="", metavar="ID", help=_ID)
    which.add_argument("--all", action="store_true", help="every session of yours")


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
