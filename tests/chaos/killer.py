"""Kills at random, but on purpose: a process, a phase, a moment in it."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.chaos.person import Person
from tests.chaos.record import PHASES
from tests.chaos.stack import Stack

VICTIMS = {"orchestrator": 5, "gateway": 2, "model-router": 3, "tool-server": 3}
"""What is killed, and how often beside the others."""

_SOON = 0.2
_SOON_S = 0.4
"""How often another process dies soon after one, and how soon: before all has healed."""

_PHASE_WAIT_S = 4.0
_LATER_S = {"listening": 0.4, "model": 0.15, "tool": 0.25, "commit": 0.2, "speaking": 0.6}
"""Within how long of its beginning a phase is hit."""


class Killer:
    """Chooses what dies when.

    Args:
        stack: Whose processes.
        people: Who talks to it; what they see tells the phase.
        rng: Chooses.
        pause_s: Seconds between two kills, at least and at most.
        victims: What is killed, and how often beside the others.
        phases: Which phases are aimed at.
    """

    def __init__(
        self,
        stack: Stack,
        people: Sequence[Person],
        rng: random.Random,
        *,
        pause_s: tuple[float, float] = (1.0, 2.0),
        victims: Mapping[str, int] = VICTIMS,
        phases: Sequence[str] = PHASES,
    ) -> None:
        self._stack = stack
        self._people = people
        self._rng = rng
        self._pause = pause_s
        self._victims = victims
        self._phases = phases
        self._news = asyncio.Event()

    def changed(self) -> None:
        """Some person's phase has changed."""
        self._news.set()

    async def run(self, kills: int, stop: asyncio.Event) -> None:
        """Kill so often, or until ``stop``."""
        while len(self._stack.kills) < kills and not stop.is_set():
            await asyncio.sleep(self._rng.uniform(*self._pause))
            label = self._choose()
            another = self._choose() if self._rng.random() < _SOON else ""
            soon = self._rng.uniform(0.0, _SOON_S)
            person = await self.in_phase(self._phase())
            await self._kill(label, person)
            if another and len(self._stack.kills) < kills:
                await asyncio.sleep(soon)
                await self._kill(another, person)

    def _choose(self) -> str:
        """Return which process is to die."""
        victims, weights = zip(*self._victims.items(), strict=True)
        victim = self._rng.choices(victims, weights=weights)[0]
        labels = [name for name, node in self._stack.nodes.items() if node.service == victim]
        return self._rng.choice(labels)

    async def _kill(self, label: str, person: Person | None) -> None:
        seen = person or self._people[0]
        await self._stack.kill(label, seen.phase, seen.record.client)

    def _phase(self) -> str:
        """Choose a phase, most often the one that was hit least."""
        if self._rng.random() < 0.3:
            return self._rng.choice(self._phases)
        hit = Counter(kill.phase for kill in self._stack.kills)
        return min(self._phases, key=lambda phase: hit[phase])

    async def in_phase(self, phase: str) -> Person | None:
        """Wait until somebody has come to ``phase``, and a little longer."""
        later = self._rng.uniform(0.0, _LATER_S[phase])
        end = time.monotonic() + _PHASE_WAIT_S
        before = {id(person) for person in self._people if person.phase == phase}
        while time.monotonic() < end:
            self._news.clear()
            try:
                async with asyncio.timeout(end - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                return None
            now = [person for person in self._people if person.phase == phase]
            fresh = [person for person in now if id(person) not in before]
            before = {id(person) for person in now}
            if fresh:
                person = self._rng.choice(fresh)
                await self._still(person, phase, later)
                return person
        return None

    async def _still(self, person: Person, phase: str, seconds: float) -> None:
        """Wait so long, but not past the end of the phase."""
        end = time.monotonic() + seconds
        while person.phase == phase and (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.01))
