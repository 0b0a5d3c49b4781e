"""Remembers what it is told."""

from typing import Annotated

import msgspec

from ensemble.tool_server.household import sayable, wording
from ensemble.tool_server.ports import Seen, World
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool

KIND = "memory"
"""Kind of the world model's entities that are things remembered."""


class RememberArguments(Arguments, frozen=True):
    """Of what, and what."""

    subject: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=100,
            description="What the fact is about, such as: car key.",
            examples=sayable.SUBJECTS,
        ),
    ]
    fact: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=500,
            description="What to remember of it, such as: in the drawer.",
            examples=sayable.FACTS,
        ),
    ]

    def __post_init__(self) -> None:
        if not wording.subject(self.subject):
            raise ValueError("subject has no words")
        if not self.fact.strip():
            raise ValueError("fact is blank")


class RememberResult(Result, frozen=True):
    """What is remembered now."""

    subject: str
    fact: str


class Remember(Tool[RememberArguments, RememberResult]):
    """Adds a fact to the world model."""

    name = "remember"
    description = "Remembers a fact about something or somebody."
    arguments = RememberArguments
    result = RememberResult
    idempotent = True
    examples = ('{"subject": "car key", "fact": "in the drawer"}',)
    utterances = (
        "[please] remember [that] (the|my) {subject} is {fact} [please]",
        "[please] remember [that] i put (the|my) {subject} {fact}",
        "(can|could) you remember that (the|my) {subject} is {fact}",
        "(note|make a note) that (the|my) {subject} is {fact}",
        "don't forget that (the|my) {subject} is {fact}",
        "keep in mind that (the|my) {subject} is {fact}",
    )

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, arguments: RememberArguments, call: CallInfo) -> RememberResult:
        """Record it."""
        name, fact = wording.subject(arguments.subject), arguments.fact.strip()
        seen = Seen(KIND, name, {"singular": wording.singular(name)}, (fact,))
        await self._world.observe(f"{call.identity}:remember", [seen])
        return RememberResult(arguments.subject, fact)
