"""Sets a timer."""

from ensemble.tool_server.alarms import TIMER
from ensemble.tool_server.household import pending
from ensemble.tool_server.household.spans import SPAN, SPANNED, Amount, Unit
from ensemble.tool_server.ports import Clock, World
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool


class SetTimerArguments(Arguments, frozen=True):
    """How long it runs."""

    amount: Amount
    unit: Unit


class SetTimerResult(Result, frozen=True):
    """The timer, and the local time it ends at, such as ``14:05:00``."""

    amount: int
    unit: str
    at: str


class SetTimer(Tool[SetTimerArguments, SetTimerResult]):
    """Sets a timer in the world model, where it outlives this process."""

    name = "set_timer"
    description = "Starts a timer."
    arguments = SetTimerArguments
    result = SetTimerResult
    idempotent_by_key = True
    examples = ('{"amount": 5, "unit": "minute"}',)
    utterances = (
        f"[please|can you|could you] (set|start) a timer for {SPAN} [please]",
        f"[please|can you|could you] (set|start) a {SPANNED} timer [please]",
        f"[please] (set|start) another timer for {SPAN}",
        f"timer for {SPAN}",
        f"{SPANNED} timer",
        f"(i need|i want|give me) a timer for {SPAN}",
        f"(i need|i want|give me) a {SPANNED} timer",
        f"count down {SPAN}",
        f"wake me [up] in {SPAN}",
    )

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    async def run(self, arguments: SetTimerArguments, call: CallInfo) -> SetTimerResult:
        """Set it."""
        amount, unit = arguments.amount, arguments.unit
        label = f"Your {amount} {unit} timer is done."
        attributes = {"label": label, "amount": amount, "unit": unit}
        due = await pending.add(self._world, self._clock, TIMER, call, attributes)
        return SetTimerResult(amount, unit, f"{due:%H:%M:%S}")
