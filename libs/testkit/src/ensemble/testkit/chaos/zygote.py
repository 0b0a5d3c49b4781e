"""A process that has imported everything, and forks the services.

A service that is killed is then back in a tenth of a second, which is what makes hundreds of
kills fit into minutes; it still runs in a process of its own, through the launcher's command.

It reads lines of JSON from stdin, ``{"serve": NAME, "id": N, "environ": {…}, "log": PATH}``, and
writes ``{"id": N, "pid": P}`` and, when a process has ended, ``{"id": N, "ended": STATUS}``.
"""

import ctypes
import json
import os
import selectors
import signal
import sys
from typing import Any

# Read when they are imported: no threads before the fork, and no handlers around it.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ["GRPC_VERBOSITY"] = "ERROR"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

_PR_SET_PDEATHSIG = 1


def _child(order: dict[str, Any]) -> int:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for target, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, target)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, buffering=1)
    os.environ.clear()
    os.environ.update(order["environ"])
    from ensemble.testkit.chaos.serving import run

    return run(order["serve"])


def main() -> None:
    """Fork until stdin ends."""
    from ensemble.testkit.chaos.serving import preload

    preload()
    numbers: dict[int, int] = {}
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    rest = b""
    _say({"ready": True})
    while True:
        for key, _ in selector.select():
            data = os.read(int(key.fd), 65536)
            if key.fd == wake_read:
                _reap(numbers)
                continue
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                process = os.fork()
                if not process:
                    _leave(order, selector, wake_read, wake_write)
                numbers[process] = order["id"]
                _say({"id": order["id"], "pid": process})


def _leave(order: dict[str, Any], selector: Any, *pipes: int) -> None:
    """Become a service; never returns."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        selector.close()
        for pipe in pipes:
            os.close(pipe)
        status = _child(order)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _reap(numbers: dict[int, int]) -> None:
    while numbers:
        process, status = os.waitpid(-1, os.WNOHANG)
        if not process:
            return
        _say({"id": numbers.pop(process), "ended": status})


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
