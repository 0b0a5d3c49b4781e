"""The process that runs one GGUF, so that a crash of llama.cpp takes nothing else along.

It serves the same ``ModelRouterService`` as its parent, on a unix socket, with one model.
It says on its standard output, in one line of JSON, that it serves or why it cannot, and
ends when its standard input does, that is, with its parent.
"""

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

import grpc

from ensemble.model_router.adapters.llama import LlamaModel
from ensemble.model_router.ports import State
from ensemble.model_router.router import Route, Router
from ensemble.model_router.servicer import ModelRouterServicer
from ensemble.runtime import logs
from ensemble.runtime.interceptors.chain import ServerChain
from ensemble.runtime.interceptors.context import DeadlineBudget, RequestId
from ensemble.transport.options import SERVER_OPTIONS
from ensemble.v1 import model_router_service_pb2_grpc as pb_grpc

_PR_SET_PDEATHSIG = 1
_LAST_WORDS = 0.5
LOAD_FAILED = 3
"""Exit status after a model that cannot be loaded."""


def main() -> int:
    """Run until the parent is gone."""
    parser = argparse.ArgumentParser(prog="python -m ensemble.model_router.llama_child")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    _die_with_parent()
    # The first line of the standard output is for the parent; whatever a library prints there
    # later must not fill a pipe that nobody reads.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logs.configure("warning", "text")
    # The terminal's Ctrl-C goes to the whole group; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return asyncio.run(_serve(options, answers))


async def _serve(options: argparse.Namespace, answers: TextIO) -> int:
    orphaned = asyncio.Event()
    watched = (asyncio.get_running_loop(), orphaned)
    threading.Thread(target=_watch_parent, args=watched, name="parent", daemon=True).start()
    model = LlamaModel(
        options.name, options.model, context=options.context, threads=options.threads
    )
    await model.start()
    condition = model.condition()
    if condition.state is not State.READY:
        _say(answers, {"error": condition.reason})
        return LOAD_FAILED
    routes = (Route(model),)
    server = grpc.aio.server(
        interceptors=[ServerChain([RequestId("model-router"), DeadlineBudget()])],
        options=SERVER_OPTIONS,
    )
    pb_grpc.add_ModelRouterServiceServicer_to_server(
        ModelRouterServicer(Router(lambda: routes)), server
    )
    server.add_insecure_port(f"unix:{options.socket}")
    await server.start()
    _say(answers, {"context": model.context_tokens})
    await orphaned.wait()
    await server.stop(0)
    return 0


def _die_with_parent() -> None:
    """Have the kernel end this process with its parent, should it hang by then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch_parent(loop: asyncio.AbstractEventLoop, orphaned: asyncio.Event) -> None:
    while os.read(0, 1024):
        pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(orphaned.set)
    time.sleep(_LAST_WORDS)
    os._exit(0)


def _say(answers: TextIO, line: dict[str, object]) -> None:
    with answers:
        answers.write(f"{json.dumps(line)}\n")


if __name__ == "__main__":
    sys.exit(main())
