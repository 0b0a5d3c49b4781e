"""Tells the date."""

from typing import Final

from ensemble.tool_server.ports import Clock
from ensemble.tool_server.tool import CallInfo, Nothing, Result, Tool

_DAYS: Final = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


class GetDateResult(Result, frozen=True):
    """The local date, such as ``Saturday 21 November 2026``."""

    date: str


class GetDate(Tool[Nothing, GetDateResult]):
    """Reads the calendar, in English whatever the process's locale."""

    name = "get_date"
    description = "Tells the day of the week and the date."
    arguments = Nothing
    result = GetDateResult
    idempotent = True
    read_only = True
    utterances = (
        "[please] what day is it [today|please]",
        "what day is today",
        "[please] what is (the date|today's date|the date today) [please]",
        "what's (the date|today's date) [today]",
        "(what|which) day of the (week|month) is it [today]",
        "[please] (tell|give) me (the date|today's date) [please]",
        "(can|could) you tell me (the date|what day it is) [please]",
        "do you know what day it is",
        "(what|which) (month|year) is it",
    )

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def run(self, arguments: Nothing, call: CallInfo) -> GetDateResult:
        """Read it."""
        today = self._clock()
        day, month = _DAYS[today.weekday()], _MONTHS[today.month - 1]
        return GetDateResult(f"{day} {today.day} {month} {today.year}")
