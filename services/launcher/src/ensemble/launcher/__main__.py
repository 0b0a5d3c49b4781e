"""The ``ensemble`` command: parses the command line and runs one command."""

import argparse
import asyncio
import importlib
import json
import os
import sys
from collections.abc import Sequence

# The supervisor starts processes; gRPC's fork handlers only add noise to that. Read by gRPC when
# it is imported, so it must be set before.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# What numpy multiplies here is too small to share out: its threads would take turns with ours.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ensemble.core.errors import EnsembleError
from ensemble.core.services import SERVICE_NAMES
from ensemble.launcher.plain import plain
from ensemble.launcher.record_arguments import add_explain, add_sessions, number

EXIT_FAILED = 1
EXIT_USAGE = 2

_EPILOG = """\
environment:
  ENSEMBLE_HOME             all state, models and voices (default: the XDG data folder)
  ENSEMBLE_GATEWAY_ADDRESS  where the gateway is (default: 127.0.0.1:7700)
  ENSEMBLE_API_KEY          key to use (default: the one in ENSEMBLE_HOME/api-key)
  LLM_URL                   an OpenAI-compatible server to answer with
  NODE_ROLE                 tier: edge, standalone or core (default: read off the machine)

exit status: 0 done, 1 failed, 2 wrong usage
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ensemble",
        description="An assistant made of models, voices, tools and memory.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    up = command("up", "start the assistant", "example: ensemble up --tier standalone")
    up.add_argument("--tier", choices=("edge", "standalone", "core"), help="which services to run")
    up.add_argument(
        "--services",
        type=_service_list,
        metavar="A,B,…",
        help=f"exactly these, of: {', '.join(SERVICE_NAMES)}",
    )
    up.add_argument("--distributed", action="store_true", help="each service as its own process")
    up.add_argument(
        "--prompt", action="store_true", help="talk to it here once it is ready (on a terminal)"
    )

    serve = command("serve", "run one service until it is told to stop")
    serve.add_argument("service", choices=SERVICE_NAMES, metavar="SERVICE", help="which one")

    ask = command("ask", "ask one question", 'example: ensemble ask "turn on the kitchen light"')
    ask.add_argument("text", help="the question; - reads it from standard input")
    _add_session(ask)
    ask.add_argument("--model", default="", metavar="NAME", help="answer with this model")
    _add_patience(ask)
    _add_json(ask)

    chat = command("chat", "talk by text; Ctrl-C stops an answer, twice leaves")
    _add_session(chat)
    _add_patience(chat)

    talk = command(
        "talk",
        "say a recording, or speak, and hear the answer",
        "example: ensemble talk question.wav -o answer.wav",
    )
    talk.add_argument("recording", nargs="?", metavar="IN.wav", help="16-bit WAV file; - for stdin")
    talk.add_argument("-o", "--output", metavar="OUT.wav", help="where the spoken answer goes")
    talk.add_argument("--mic", action="store_true", help="use the microphone and loudspeaker")
    talk.add_argument("--real-time", action="store_true", help="feed it as fast as it was spoken")
    _add_session(talk)
    _add_patience(talk)
    _add_json(talk)

    add_sessions(
        command("sessions", "list, show, export, replay, verify, erase or back up conversations")
    )
    add_explain(
        command("explain", "show what each turn took: models, tools, tokens, cost, waiting")
    )

    _add_json(command("status", "show how each service is"))
    _add_json(command("doctor", "show what is missing on this machine and how to get it"))
    return parser


def _add_session(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--session",
        default="",
        metavar="ID",
        help="go on with this session; 'last' is the one that changed last",
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_patience(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--patience",
        type=number(float, 0),
        metavar="SECONDS",
        help="try for so long to reach the assistant, and to go on when the connection is lost; "
        "0 gives up at once (default: go on, but give up at once when it cannot be reached)",
    )


def _service_list(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if name not in SERVICE_NAMES:
            raise argparse.ArgumentTypeError(
                f"there is no service {name!r}; known are {', '.join(SERVICE_NAMES)}"
            )
    if not names:
        raise argparse.ArgumentTypeError("name at least one service")
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    # Each command brings its own imports, so that `ensemble --help` and `ask` start quickly.
    module = importlib.import_module(f"ensemble.launcher.commands.{options.command}")
    try:
        status = int(asyncio.run(module.run(options)))
        sys.stdout.flush()
        return status
    except EnsembleError as error:
        report(error, as_json=getattr(options, "json", False))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            if options.command in ("up", "serve"):
                raise
            where = error.filename or "input or output failed"
            print(f"ensemble: {where}: {error.strerror or error}", file=sys.stderr)
        # Python's own flush at exit shall have nothing to fail on.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def report(error: EnsembleError, *, as_json: bool) -> None:
    """Print why a command failed: for people on stderr, with ``--json`` also on stdout."""
    if as_json:
        print(
            json.dumps(
                {
                    "error": {
                        "reason": error.reason,
                        "message": error.message,
                        "retryable": error.retryable,
                    }
                }
            )
        )
    print(f"ensemble: {error.reason}: {plain(error.message)}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
