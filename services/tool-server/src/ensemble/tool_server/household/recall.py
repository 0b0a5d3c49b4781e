"""Says what it was told."""

from typing import Annotated, Final

import msgspec

from ensemble.tool_server.household import sayable, wording
from ensemble.tool_server.household.remember import KIND
from ensemble.tool_server.ports import World
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool

MOST_FACTS: Final = 3
"""Facts in an answer at most."""


class RecallArguments(Arguments, frozen=True):
    """About what."""

    subject: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=100,
            description="What to look up, such as: car key.",
            examples=sayable.SUBJECTS,
        ),
    ]


class RecallResult(Result, frozen=True):
    """What is known about it, newest first; nothing where nothing is."""

    subject: str
    facts: list[str]


class Recall(Tool[RecallArguments, RecallResult]):
    """Looks facts up in the world model: by name first, then by the words."""

    name = "recall"
    description = "Says what was remembered about something or somebody."
    arguments = RecallArguments
    result = RecallResult
    idempotent = True
    read_only = True
    examples = ('{"subject": "car key"}',)
    utterances = (
        "where is (the|my) {subject}",
        "where did i put (the|my) {subject}",
        "where did i leave (the|my) {subject}",
        "(do you know|can you tell me|tell me) where (the|my) {subject} is",
        "what is (the|my) {subject}",
        "what do you know about (the|my) {subject}",
        "what did i (say|tell you) about (the|my) {subject}",
        "do you remember where (the|my) {subject} is",
    )

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, arguments: RecallArguments, call: CallInfo) -> RecallResult:
        """Look it up."""
        name = wording.subject(arguments.subject)
        return RecallResult(arguments.subject, await self._facts(name) if name else [])

    async def _facts(self, name: str) -> list[str]:
        for attributes in ({}, {"singular": wording.singular(name)}):
            exact = "" if attributes else name
            found = await self._world.find(KIND, name=exact, attributes=attributes, limit=1)
            if found.things:
                return list(found.things[0].facts[:MOST_FACTS])
        found = await self._world.find(KIND, text=name, limit=MOST_FACTS)
        return [f"{thing.name} {fact}" for thing in found.things for fact in thing.facts[:1]]
