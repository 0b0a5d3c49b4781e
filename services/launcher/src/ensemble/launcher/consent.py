"""Asking before something is done that cannot be undone."""

import argparse
import sys


def agreed(options: argparse.Namespace, what: str) -> bool:
    """Return whether it is to be done: ``--yes`` was given, or the person at the terminal says so.

    Args:
        options: With ``yes``, and ``json`` where a script reads what is printed.
        what: What will be done, as a sentence that goes on after ``ensemble:``.
    """
    if options.yes:
        return True
    print(f"ensemble: {what}", file=sys.stderr)
    if options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        print("ensemble: add --yes to do it.", file=sys.stderr)
        return False
    print("Do it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
