"""What one client asked, and everything that its user was shown, in order."""

import time
from dataclasses import dataclass, field

from ensemble.client.conversation import Gap
from ensemble.testkit.chaos.script import Question
from ensemble.v1 import session_events_pb2

ServerEvent = session_events_pb2.ServerEvent

PHASES = ("listening", "model", "tool", "commit", "speaking")
"""What a turn goes through, as far as its client can see."""


@dataclass(frozen=True)
class Silence:
    """Speech stopped in the middle of an answer: from when, how long, at which sample."""

    response_id: str
    began: float
    seconds: float


@dataclass
class Record:
    """The client's own record.

    Attributes:
        client: Name of the client.
        spoken: It speaks and hears.
        asked: Questions in the order in which they were asked.
        interrupted: Keys of those into whose answer the person spoke.
        shown: Every event that its user was shown, with the time.
        sound: What was heard of each response, as the loudspeaker would play it.
        faults: What its user would complain about.
        gaps: Losses that the client made good by itself.
        silences: Breaks in the speech.
        failures: Reasons of errors that were raised to its user.
    """

    client: str
    spoken: bool
    session_id: str = ""
    asked: list[Question] = field(default_factory=list)
    interrupted: set[str] = field(default_factory=set)
    shown: list[tuple[float, ServerEvent]] = field(default_factory=list)
    sound: dict[str, bytearray] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    gaps: list[tuple[float, Gap]] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def shown_until(self) -> int:
        """Sequence of the last event of the log that was shown."""
        return max((event.sequence for _, event in self.shown), default=0)

    def lost(self, gap: Gap) -> None:
        """Note a loss that the client made good."""
        self.gaps.append((time.monotonic(), gap))

    def show(self, event: ServerEvent) -> None:
        """Note what the user is shown."""
        self.shown.append((time.monotonic(), event))

    def around(self, response_id: str) -> str:
        """Return what happened during a response, for whoever has to find out why it failed."""
        times = [
            at
            for at, event in self.shown
            if getattr(getattr(event, event.WhichOneof("event") or "", None), "response_id", "")
            == response_id
        ]
        if not times:
            return "it was never shown"
        gaps = [
            f"{gap.reason} for {gap.seconds:.2f} s up to {at - times[0]:.2f} s"
            for at, gap in self.gaps
            if times[0] - 1 < at - gap.seconds and at < times[-1] + 1
        ]
        return f"it took {times[-1] - times[0]:.2f} s; gaps: {gaps}"

    def hear(self, delta: session_events_pb2.ResponseAudioDelta) -> int:
        """Put a frame where it belongs; return how many samples there are now."""
        heard = self.sound.setdefault(delta.response_id, bytearray())
        at = 2 * delta.offset_samples
        if at > len(heard):
            self.faults.append(
                f"{delta.response_id}: samples {len(heard) // 2} to {delta.offset_samples} missing"
            )
            heard += bytes(at - len(heard))
        known = min(len(heard) - at, len(delta.pcm))
        if heard[at : at + known] != delta.pcm[:known]:
            self.faults.append(f"{delta.response_id}: other sound at {delta.offset_samples}")
        heard += delta.pcm[known:]
        return len(heard) // 2
