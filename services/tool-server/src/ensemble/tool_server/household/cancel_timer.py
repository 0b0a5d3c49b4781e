"""Cancels timers."""

from typing import Annotated

import msgspec

from ensemble.tool_server.alarms import TIMER
from ensemble.tool_server.household import pending
from ensemble.tool_server.household.spans import SPAN, SPANNED, Amount, Unit
from ensemble.tool_server.ports import Thing, World
from ensemble.tool_server.tool import Arguments, CallInfo, Result, Tool


class CancelTimerArguments(Arguments, frozen=True):
    """Which one: nothing for the newest, its amount and unit, or all of them."""

    amount: Amount | msgspec.UnsetType = msgspec.UNSET
    unit: Unit | msgspec.UnsetType = msgspec.UNSET
    all: Annotated[bool, msgspec.Meta(description="True for every timer.")] = False

    def __post_init__(self) -> None:
        if (self.amount is msgspec.UNSET) != (self.unit is msgspec.UNSET):
            raise ValueError("amount and unit belong together")
        if self.all and self.amount is not msgspec.UNSET:
            raise ValueError("all goes with neither amount nor unit")


class CancelTimerResult(Result, frozen=True):
    """How many were cancelled."""

    cancelled: int


class CancelTimer(Tool[CancelTimerArguments, CancelTimerResult]):
    """Cancels timers of whoever asks."""

    name = "cancel_timer"
    description = "Cancels the newest timer, the timers of one amount and unit, or all timers."
    arguments = CancelTimerArguments
    result = CancelTimerResult
    idempotent_by_key = True
    examples = ("{}", '{"amount": 5, "unit": "minute"}', '{"all": true}')
    utterances = (
        "[please|can you|could you] (cancel|stop|delete|remove) (the|my) timer [please]",
        "(cancel|stop|delete) the last timer",
        f"[please|can you|could you] (cancel|stop|delete|remove) (the|my) {SPANNED} timer [please]",
        f"(cancel|stop|delete) the timer for {SPAN}",
        "[please|can you|could you] (cancel|stop|delete|remove) (all|all the|all my) timers"
        " [please]",
        "(turn|switch) off the timer",
        "i do not need the timer any more",
        "forget the timer",
    )

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, arguments: CancelTimerArguments, call: CallInfo) -> CancelTimerResult:
        """Cancel them."""

        def choose(things: list[Thing]) -> list[Thing]:
            return things if arguments.all else _wanted(things, arguments)

        return CancelTimerResult(await pending.cancel(self._world, TIMER, call, choose))


def _wanted(things: list[Thing], arguments: CancelTimerArguments) -> list[Thing]:
    if arguments.amount is msgspec.UNSET:
        return things[-1:]
    return [
        thing
        for thing in things
        if thing.attributes.get("amount") == arguments.amount
        and thing.attributes.get("unit") == arguments.unit
    ]
