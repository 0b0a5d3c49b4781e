"""Lists the timers that run."""

from datetime import UTC, datetime

from ensemble.tool_server.alarms import TIMER, due_at
from ensemble.tool_server.household import pending, spans
from ensemble.tool_server.ports import Clock, Thing, World
from ensemble.tool_server.tool import CallInfo, Nothing, Result, Tool


class ListTimersResult(Result, frozen=True):
    """How many there are, and the first five to end."""

    count: int
    timers: list[str]


class ListTimers(Tool[Nothing, ListTimersResult]):
    """Reads the timers of whoever asks."""

    name = "list_timers"
    description = "Lists the timers that are running and how much time they have left."
    arguments = Nothing
    result = ListTimersResult
    idempotent = True
    read_only = True
    utterances = (
        "(list|show|show me|tell me|read) (my|the|all|all my) timers [please]",
        "(what|which) timers (are running|are set|are there|do i have)",
        "how many timers (are running|are set|are there|do i have)",
        "(are there|do i have) any timers [running]",
        "is (the|a|my) timer [still] running",
        "how (much time|long) is left on (the|my) timer",
        "how much longer does the timer run",
        "when (does|will) the timer (ring|end)",
        "check (the|my) timer",
    )

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    async def run(self, arguments: Nothing, call: CallInfo) -> ListTimersResult:
        """Read them."""
        things = sorted(await pending.find(self._world, TIMER, call), key=_due)
        now = self._clock()
        return ListTimersResult(
            len(things), [_line(thing, now) for thing in things[: pending.MOST_LISTED]]
        )


def _due(thing: Thing) -> datetime:
    return due_at(thing) or datetime.max.replace(tzinfo=UTC)


def _line(thing: Thing, now: datetime) -> str:
    known = thing.attributes
    left = spans.left(_due(thing) - now)
    return f"{known.get('amount')} {known.get('unit')} timer, {left} left"
