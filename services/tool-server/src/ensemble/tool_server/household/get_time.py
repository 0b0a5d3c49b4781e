"""Tells the time."""

from ensemble.tool_server.ports import Clock
from ensemble.tool_server.tool import CallInfo, Nothing, Result, Tool


class GetTimeResult(Result, frozen=True):
    """The local time, such as ``14:05``."""

    time: str


class GetTime(Tool[Nothing, GetTimeResult]):
    """Reads the clock."""

    name = "get_time"
    description = "Tells the time of day."
    arguments = Nothing
    result = GetTimeResult
    idempotent = True
    read_only = True
    utterances = (
        "[please] what time is it [now|right now|please]",
        "[please] what is the [current] time [now|please]",
        "what's the time [please]",
        "[please] (tell|give) me the time [please]",
        "(can|could) you tell me (the time|what time it is) [please]",
        "do you (know|have) the time",
        "do you know what time it is",
        "how late is it",
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def run(self, arguments: Nothing, call: CallInfo) -> GetTimeResult:
        """Read it."""
        return GetTimeResult(f"{self._clock():%H:%M}")
