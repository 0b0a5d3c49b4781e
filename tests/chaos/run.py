"""One run: a stack, people who talk to it, kills, and the judgement."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from ensemble.testkit.chaos.journal import entries
from tests.chaos.checker import GivenUp, Verdict, check, check_log
from tests.chaos.killer import Killer
from tests.chaos.person import Person
from tests.chaos.record import Record
from tests.chaos.stack import Kill, Stack

_LAST_WORDS_S = 90.0
"""Seconds in which everybody comes to the end of their last question."""


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        faults: Each a broken promise; empty when all were kept.
        seconds: How long it took.
        losses: What was killed or stopped, in order.
        given_up: Answers that were wanted and did not come to their end; see ``bounds``.
    """

    name: str
    seed: str
    seconds: float = 0.0
    kills: list[Kill] = field(default_factory=list)
    losses: list[Kill] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    given_up: list[GivenUp] = field(default_factory=list)
    answered: int = 0

    def add(self, verdict: Verdict) -> None:
        """Add the verdict about one client."""
        self.faults += verdict.faults
        self.told += verdict.told
        self.given_up += verdict.given_up
        self.answered += verdict.answered


class Crowd:
    """People who talk to one stack at the same time.

    Args:
        stack: What they talk to.
        seed: Makes their questions.
        texts: How many type.
        voices: How many speak.
        address: Where they reach its gateway; empty for straight.
    """

    def __init__(
        self, stack: Stack, seed: str, *, texts: int, voices: int, address: str = ""
    ) -> None:
        self.stack = stack
        self.address = address
        self.seed = seed
        self.stop = asyncio.Event()
        self.killer: Killer | None = None
        self.people = [
            Person(
                f"c{number}",
                spoken=number > texts,
                rng=random.Random(f"{seed} {number}"),
                changed=self._changed,
            )
            for number in range(1, texts + voices + 1)
        ]

    def _changed(self) -> None:
        if self.killer is not None:
            self.killer.changed()

    def aim(self, **options: Any) -> Killer:
        """Return a killer that sees what these people see."""
        rng = random.Random(f"{self.seed} killer")
        self.killer = Killer(self.stack, self.people, rng, **options)
        return self.killer

    async def _talk(self, person: Person, turns: int) -> None:
        async with self.stack.client(self.address) as client:
            await person.talk(client, self.stop, turns)

    @contextlib.asynccontextmanager
    async def talking(self, turns: int = 10_000):  # type: ignore[no-untyped-def]
        """Let them talk while inside; on leaving each comes to the end of a question."""
        tasks = [asyncio.create_task(self._talk(person, turns)) for person in self.people]
        try:
            yield tasks
            self.stop.set()
            done, late = await asyncio.wait(tasks, timeout=_LAST_WORDS_S)
            for task in done:
                task.result()
            assert not late, f"{len(late)} people never came to an end\n{self.stack.log_tail()}"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def judge(self, passing: Collection[str] = ()) -> Outcome:
        """Return what came of it; the stack must run.

        Errors that were raised to a person are faults, but for those with a reason in ``passing``.
        """
        await self.stack.serving()
        losses = sorted([*self.stack.kills, *self.stack.freezes], key=lambda loss: loss.at)
        outcome = Outcome(self.stack.name, self.seed, kills=self.stack.kills, losses=losses)
        journal = entries(self.stack.journal)
        async with self.stack.client() as client:
            for person in self.people:
                outcome.records.append(person.record)
                outcome.add(check(person.record, journal, losses))
                outcome.faults += await check_log(client, person.record)
                outcome.faults += [
                    f"{person.record.client}: {reason} was raised to the person"
                    for reason in person.record.failures
                    if reason not in passing
                ]
        return outcome


async def crash(
    stack: Stack, seed: str, *, kills: int, texts: int = 2, voices: int = 2, **options: Any
) -> Outcome:
    """Let people talk to ``stack`` while its processes are killed; judge what they saw.

    ``options`` are those of ``Killer``.
    """
    began = time.monotonic()
    crowd = Crowd(stack, seed, texts=texts, voices=voices)
    killer = crowd.aim(**options)
    async with crowd.talking():
        await killer.run(kills, crowd.stop)
        # The last one is to heal as well.
        await asyncio.sleep(1.0)
    outcome = await crowd.judge()
    outcome.seconds = time.monotonic() - began
    return outcome
