"""What this machine has and lacks."""

import importlib.util
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ensemble.core import paths
from ensemble.core.services import DEFAULT_PORTS


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: "ok", "missing" (an optional part) or "broken" (a needed part).
        detail: What was found.
        advice: How to get what is missing; empty when nothing is.
    """

    name: str
    state: str
    detail: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the row that ``ensemble doctor --json`` prints."""
        return asdict(self)


_PACKAGES = (
    ("llama.cpp", "llama_cpp", True, "uv sync --frozen (ensemble-model-router[llama])"),
    ("pocketsphinx", "pocketsphinx", True, "uv sync --frozen (ensemble-stt[pocketsphinx])"),
    ("Silero VAD", "faster_whisper", True, "uv sync --frozen (ensemble-stt[vad])"),
    ("faster-whisper", "faster_whisper", False, "uv sync --frozen (ensemble-stt[whisper])"),
    ("espeak-ng", "espeakng_loader", True, "uv sync --frozen (ensemble-tts[espeak])"),
    ("Piper", "piper", False, "uv sync --frozen (ensemble-tts[piper])"),
    ("Consul client", "consul", False, "uv sync --frozen (ensemble-transport[consul])"),
    ("sound device", "sounddevice", False, "uv sync --extra mic; apt-get install libportaudio2"),
)


def examine() -> Iterator[Finding]:
    """Yield one finding after the other; nothing is loaded, bound or changed."""
    version = platform.python_version()
    old = sys.version_info < (3, 11)
    yield Finding("Python", "broken" if old else "ok", version, "install 3.11" if old else "")
    compiler = shutil.which("cc")
    yield Finding(
        "C compiler",
        "ok" if compiler else "missing",
        compiler or "none",
        "" if compiler else "apt-get install build-essential (to build llama.cpp)",
    )
    for title, module, needed, advice in _PACKAGES:
        found = importlib.util.find_spec(module) is not None
        state = "ok" if found else ("broken" if needed else "missing")
        yield Finding(
            title, state, "installed" if found else "not installed", "" if found else advice
        )
    yield _home()
    yield from _models()
    yield from _ports()
    yield _consul()


def _home() -> Finding:
    home = paths.home()
    place = home
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK):
        return Finding("home", "broken", f"{home} cannot be written", "set ENSEMBLE_HOME")
    free = shutil.disk_usage(place).free >> 20
    if free < 256:
        return Finding("home", "broken", f"{home}: {free} MiB free", "free 256 MiB or more")
    return Finding("home", "ok", f"{home}, {free} MiB free")


def _models() -> Iterator[Finding]:
    folder = paths.models()
    ggufs = sorted(p.name for p in folder.glob("*.gguf"))
    whispers = sorted(p.parent.name for p in folder.glob("*/model.bin"))
    voices = sorted(p.name for p in folder.glob("**/*.onnx") if Path(f"{p}.json").exists())
    for title, names, fallback in (
        ("models dropped in", ggufs, "the embedded household model answers"),
        ("Whisper folders", whispers, "pocketsphinx listens to household commands only"),
        ("Piper voices", voices, "espeak-ng speaks"),
    ):
        detail = ", ".join(names) if names else f"none in {folder}; {fallback}"
        yield Finding(title, "ok", detail)


def _ports() -> Iterator[Finding]:
    address = os.environ.get("ENSEMBLE_GATEWAY_ADDRESS") or f"127.0.0.1:{DEFAULT_PORTS['gateway']}"
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return
    with socket.socket() as probe:
        probe.settimeout(0.5)
        taken = probe.connect_ex((host.removeprefix("dns:///") or "127.0.0.1", int(port))) == 0
    detail = f"{address} answers (a running Ensemble?)" if taken else f"{address} is free"
    yield Finding("gateway port", "ok", detail)


def _consul() -> Finding:
    address = os.environ.get("CONSUL_HTTP_ADDR")
    if not address:
        return Finding("Consul agent", "ok", "not configured; addresses are fixed")
    host, _, port = address.removeprefix("http://").rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(0.5)
        up = probe.connect_ex((host or "127.0.0.1", int(port))) == 0
    return Finding(
        "Consul agent",
        "ok" if up else "broken",
        f"{address} {'answers' if up else 'does not answer'}",
        "" if up else "start the agent, or unset CONSUL_HTTP_ADDR",
    )
