"""Sets a reminder."""

from typing import Annotated

import msgspec

from ensemble.tool_server.alarms import REMINDER
from ensemble.tool_server.household import pending, sayable
from ensemble.tool_server.household.spans import SPAN, Amount, Unit
from ensemble.tool_server.ports import Clock, World
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool


class AddReminderArguments(Arguments, frozen=True):
    """Of what, and when."""

    text: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=200,
            description="What the reminder says, such as: call mum.",
            examples=sayable.ERRANDS,
        ),
    ]
    amount: Amount
    unit: Unit

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("text is blank")


class AddReminderResult(Result, frozen=True):
    """The reminder, and the local time it comes at, such as ``14:05:00``."""

    text: str
    amount: int
    unit: str
    at: str


class AddReminder(Tool[AddReminderArguments, AddReminderResult]):
    """Sets a reminder in the world model, where it outlives this process."""

    name = "add_reminder"
    description = "Reminds the person of something after an amount of time."
    arguments = AddReminderArguments
    result = AddReminderResult
    idempotent_by_key = True
    examples = ('{"text": "call mum", "amount": 10, "unit": "minute"}',)
    utterances = (
        f"[please|can you|could you] remind me to {{text}} in {SPAN} [please]",
        f"[please|can you|could you] remind me in {SPAN} to {{text}} [please]",
        f"in {SPAN} remind me to {{text}}",
        f"[please] set a reminder to {{text}} in {SPAN}",
        f"set a reminder in {SPAN} to {{text}}",
        f"don't let me forget to {{text}} in {SPAN}",
        f"(i need|i want) a reminder to {{text}} in {SPAN}",
    )

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    async def run(self, arguments: AddReminderArguments, call: CallInfo) -> AddReminderResult:
        """Set it."""
        text = arguments.text.strip()
        attributes = {
            "label": f"Reminder: {text.rstrip('.')}.",
            "text": text,
            "amount": arguments.amount,
            "unit": arguments.unit,
        }
        due = await pending.add(self._world, self._clock, REMINDER, call, attributes)
        return AddReminderResult(text, arguments.amount, arguments.unit, f"{due:%H:%M:%S}")
