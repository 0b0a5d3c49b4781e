"""``talk --mic``: what the microphone hears is answered by the loudspeaker.

The command runs as users run it; a module of its name stands in for sounddevice and PortAudio,
which this machine may lack.
"""

import asyncio
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from ensemble.testkit.fixtures import speak
from ensemble.testkit.stack import Stack

pytestmark = pytest.mark.integration

TOPOLOGY = "inproc"
"""Microphones do not know the placement; one is enough."""

RATE = 16_000
PATIENCE_S = 60.0

SOUNDDEVICE = """
import os, threading, time

class _Stream:
    def __init__(self, samplerate, channels, dtype, blocksize, callback):
        assert (samplerate, channels, dtype) == (16000, 1, "int16")
        self._frames, self._callback, self._over = blocksize, callback, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        due = time.monotonic()
        while not self._over.is_set():
            self._block(2 * self._frames)
            due += self._frames / 16000
            time.sleep(max(0.0, due - time.monotonic()))

class RawInputStream(_Stream):
    _said = open(os.environ["SAID"], "rb")

    def _block(self, size):
        self._callback(self._said.read(size).ljust(size, b"\\0"), self._frames, None, None)

class RawOutputStream(_Stream):
    _played = open(os.environ["PLAYED"], "ab", buffering=0)

    def _block(self, size):
        out = bytearray(size)
        self._callback(out, self._frames, None, None)
        self._played.write(out)

def query_devices():
    return ["virtual"]
"""


async def test_what_the_microphone_hears_is_answered(own_stack: Stack, tmp_path: Path) -> None:
    said, played, modules = tmp_path / "said", tmp_path / "played", tmp_path / "modules"
    modules.mkdir()
    (modules / "sounddevice.py").write_text(SOUNDDEVICE)
    # No two takes of the synthesiser are the same, and the recogniser may reject one of them.
    said.write_bytes(
        b"".join(
            speak("turn on the kitchen light", rate=RATE, lead=1.0, tail=4.0).tobytes()
            for _ in range(5)
        )
    )
    await own_stack.start()
    talk = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "ensemble.launcher", "talk", "--mic"),
        env={
            **own_stack.environ,
            "PYTHONPATH": str(modules),
            "SAID": str(said),
            "PLAYED": str(played),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    lines = []
    try:
        assert talk.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while "ensemble: The kitchen light is now on." not in lines:
                line = (await talk.stdout.readline()).decode()
                assert line, lines
                lines.append(line.rstrip())
            assert "you: turn on the kitchen light" in lines
            while _loud_seconds(played) < 0.5:
                await asyncio.sleep(0.1)
        talk.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            await talk.wait()
    finally:
        if talk.returncode is None:
            talk.kill()
            await talk.wait()
    assert "Traceback" not in (await talk.stdout.read()).decode()
    lamp = await own_stack.ask("is the kitchen light on")
    assert lamp["tools"][0]["result"]["state"] == "on"


def _loud_seconds(played: Path) -> float:
    samples = np.frombuffer(played.read_bytes(), np.int16).astype(np.float64)
    blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    return float((np.abs(blocks).max(axis=1, initial=0) > 500).sum()) / 100
