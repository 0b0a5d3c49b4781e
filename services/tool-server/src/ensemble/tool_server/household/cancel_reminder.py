"""Cancels reminders."""

from typing import Annotated

import msgspec

from ensemble.tool_server.alarms import REMINDER
from ensemble.tool_server.household import pending, sayable
from ensemble.tool_server.household.wording import words
from ensemble.tool_server.ports import Thing, World
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool


class CancelReminderArguments(Arguments, frozen=True):
    """Which one: what it is about, or all of them."""

    text: (
        Annotated[
            str,
            msgspec.Meta(
                min_length=1,
                max_length=200,
                description="What the reminder is about.",
                examples=sayable.ERRANDS,
            ),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    all: Annotated[bool, msgspec.Meta(description="True for every reminder.")] = False

    def __post_init__(self) -> None:
        if self.all == isinstance(self.text, str):
            raise ValueError("either text or all must be given")


class CancelReminderResult(Result, frozen=True):
    """How many were cancelled."""

    cancelled: int


class CancelReminder(Tool[CancelReminderArguments, CancelReminderResult]):
    """Cancels reminders of whoever asks."""

    name = "cancel_reminder"
    description = "Cancels the reminders about something, or all reminders."
    arguments = CancelReminderArguments
    result = CancelReminderResult
    idempotent_by_key = True
    examples = ('{"text": "call mum"}', '{"all": true}')
    utterances = (
        "[please|can you|could you] (cancel|delete|remove) the reminder to {text} [please]",
        "(cancel|delete|remove) my reminder to {text}",
        "[please] don't remind me to {text}",
        "forget the reminder to {text}",
        "[please|can you|could you] (cancel|delete|remove) (all|all the|all my) reminders [please]",
    )

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, arguments: CancelReminderArguments, call: CallInfo) -> CancelReminderResult:
        """Cancel them."""

        def choose(things: list[Thing]) -> list[Thing]:
            text = arguments.text
            return _about(things, text) if isinstance(text, str) else things

        return CancelReminderResult(await pending.cancel(self._world, REMINDER, call, choose))


def _about(things: list[Thing], text: str) -> list[Thing]:
    """Return those that say just this; where none does, those with all of its words."""
    wanted = words(text)
    said = [(thing, words(str(thing.attributes.get("text", "")))) for thing in things]
    exact = [thing for thing, found in said if found == wanted]
    return exact or [thing for thing, found in said if wanted and set(wanted) <= set(found)]
