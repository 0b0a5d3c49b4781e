"""Lists the reminders that are to come."""

from datetime import UTC, datetime

from ensemble.tool_server.alarms import REMINDER, due_at
from ensemble.tool_server.household import pending, spans
from ensemble.tool_server.ports import Clock, Thing, World
from ensemble.tool_server.tool import CallInfo, Nothing, Result, Tool


class ListRemindersResult(Result, frozen=True):
    """How many there are, and the next five."""

    count: int
    reminders: list[str]


class ListReminders(Tool[Nothing, ListRemindersResult]):
    """Reads the reminders of whoever asks."""

    name = "list_reminders"
    description = "Lists the reminders that are still to come."
    arguments = Nothing
    result = ListRemindersResult
    idempotent = True
    read_only = True
    utterances = (
        "(list|show|show me|tell me|read) (my|the|all|all my) reminders [please]",
        "what are my reminders",
        "(what|which) reminders (are set|are there|do i have)",
        "how many reminders (are set|are there|do i have)",
        "(are there|do i have) any reminders",
        "what do you have to remind me of",
        "check my reminders",
    )

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    async def run(self, arguments: Nothing, call: CallInfo) -> ListRemindersResult:
        """Read them."""
        things = sorted(await pending.find(self._world, REMINDER, call), key=_due)
        now = self._clock()
        return ListRemindersResult(
            len(things), [_line(thing, now) for thing in things[: pending.MOST_LISTED]]
        )


def _due(thing: Thing) -> datetime:
    return due_at(thing) or datetime.max.replace(tzinfo=UTC)


def _line(thing: Thing, now: datetime) -> str:
    return f"{thing.attributes.get('text')} in {spans.left(_due(thing) - now)}"
