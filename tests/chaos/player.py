"""Plays speech as fast as it was spoken, reports it, and notices when it breaks off."""

import asyncio
import time

from ensemble.client import Conversation
from ensemble.testkit.chaos.sound import OUTPUT_RATE
from ensemble.v1 import session_events_pb2
from tests.chaos.record import Record, Silence

_TICK_S = 0.04
_REPORT_TICKS = 3
_SILENCE_S = 0.1
"""A break that a listener notices."""


class Player:
    """The loudspeaker of one client.

    Args:
        conversation: Told what was played.
        record: Where breaks are noted.
    """

    def __init__(self, conversation: Conversation, record: Record) -> None:
        self._conversation = conversation
        self._record = record
        self._response = ""
        self._there = 0
        self._complete = False
        self._dry_since: float | None = None
        self.played = 0

    @property
    def playing(self) -> bool:
        """Speech is under way, or should be."""
        return bool(self._response) and (self.played < self._there or not self._complete)

    def add(self, delta: session_events_pb2.ResponseAudioDelta) -> None:
        """Take a frame."""
        if delta.response_id != self._response:
            self._response, self.played, self._complete = delta.response_id, 0, False
            self._dry_since = None
        self._there = self._record.hear(delta)
        if self._dry_since is not None and self._there > self.played:
            seconds = time.monotonic() - self._dry_since
            if seconds >= _SILENCE_S:
                self._record.silences.append(Silence(self._response, self._dry_since, seconds))
            self._dry_since = None

    def complete(self, response_id: str) -> None:
        """Nothing more comes of a response."""
        if response_id == self._response:
            self._complete = True
            self._dry_since = None

    async def flush(self, response_id: str) -> None:
        """Drop what was not played, and say how far it was."""
        if response_id == self._response:
            self._there = self.played
            self.complete(response_id)
        await self._conversation.report_playback(response_id, self.played)

    async def run(self) -> None:
        """Play until cancelled."""
        step, ticks, reported = int(_TICK_S * OUTPUT_RATE), 0, -1
        while True:
            await asyncio.sleep(_TICK_S)
            if not self._response:
                continue
            self.played = min(self.played + step, self._there)
            if self.played == self._there and not self._complete and self._dry_since is None:
                self._dry_since = time.monotonic()
            ticks += 1
            if ticks % _REPORT_TICKS == 0 and self.played != reported:
                reported = self.played
                await self._conversation.report_playback(self._response, self.played)
