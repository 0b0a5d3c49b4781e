"""A dialogue as the model sees it, and the dice that draw one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from household import vocabulary
from household.phrases import FREE, expand, held_out, roughened
from household.spoken_numbers import spoken

Mode = Literal["train", "phrasing", "slots"]
UNITS = ("second", "minute", "hour")

DECLINE = (
    "<decline>Sorry, that is outside what I can do. I know about devices, timers, reminders, sums, "
    "the time and what you tell me to remember. A larger model in the models folder can do more."
)


@dataclass(frozen=True)
class Dialogue:
    """One user message and what follows; turns are (role, text), assistant first."""

    kind: str
    user: str
    turns: tuple[tuple[str, str], ...]

    @property
    def declined(self) -> bool:
        return self.turns[0][1] == DECLINE


def call(tool: str, arguments: Mapping[str, object]) -> str:
    """The assistant turn that asks for `tool`."""
    body = json.dumps({"name": tool, "arguments": dict(arguments)}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


class NothingHeldOutError(LookupError):
    """No pattern of this list is held out, so there is nothing to draw."""


class Draw:
    """Draws phrases and slot values, keeping what is held out apart from training.

    Mode `train` never uses a held-out pattern or value, `phrasing` only held-out patterns,
    `slots` trained patterns with held-out combinations of values.
    """

    def __init__(self, rng: Random, mode: Mode = "train") -> None:
        self.rng = rng
        self.mode = mode

    def pattern(self, patterns: Sequence[str]) -> str:
        wanted = self.mode == "phrasing"
        fitting = [p for p in patterns if held_out(p) == wanted]
        if not fitting:
            raise NothingHeldOutError
        return self.rng.choice(fitting)

    def _combination(self, *lists: Sequence[object]) -> tuple[object, ...]:
        values: tuple[object, ...] = ()
        # A narrow range may hold nothing of the wanted kind.
        for _ in range(100):
            values = tuple(self.rng.choice(options) for options in lists)
            if held_out(repr(values), 10) == (self.mode == "slots"):
                break
        return values

    def place(self) -> tuple[str, str]:
        """A room and a device."""
        room, device = self._combination(vocabulary.ROOMS, vocabulary.DEVICES)
        return str(room), str(device)

    def device_in(self, room: str) -> str:
        return str(self._combination([room], vocabulary.DEVICES)[1])

    def span(self) -> tuple[int, str]:
        """An amount and a unit; small and round amounts come more often."""
        usual = (1, 2, 3, 5, 10, 15, 20, 25, 30, 40, 45, 50, 60, 90, 120)
        units = ("minute",) * 5 + ("second",) * 2 + ("hour",) * 2
        pool = usual if self.rng.random() < 0.25 else range(1, 121)
        amount, unit = self._combination(list(pool), units)
        return int(str(amount)), str(unit)

    def number(self, low: int, high: int) -> int:
        return int(str(self._combination(range(low, high + 1))[0]))

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def word(self, *lists: list[str], strange: float = 0.15) -> str:
        held = self.mode == "slots" and self.rng.random() < 0.5
        return vocabulary.word(self.rng, *lists, strange=strange, held=held)

    def room_words(self, room: str) -> str:
        return self.rng.choice(vocabulary.ROOM_SPOKEN.get(room, (room,)))

    def device_words(self, device: str, plural: float = 0.12) -> str:
        words = self.rng.choice(vocabulary.DEVICE_SPOKEN.get(device, (device,)))
        if words in ("lighting", "heating") or not self.chance(plural):
            return words
        return words + "s"

    def span_words(self, amount: int, unit: str, *, adjective: bool = False) -> str:
        """`amount` and `unit` as spoken: "twenty minutes", or "20 minute" before a noun."""
        rng = self.rng
        if not adjective:
            named = {
                (30, "minute"): ("half an hour", "half an hour", "a half hour"),
                (15, "minute"): ("a quarter of an hour", "quarter of an hour"),
                (1, "hour"): ("an hour", "an hour", "one hour"),
                (1, "minute"): ("a minute", "one minute", "one minute"),
                (90, "minute"): ("an hour and a half", "one and a half hours"),
                (2, "minute"): ("a couple of minutes",),
            }.get((amount, unit))
            if named and rng.random() < 0.4:
                return rng.choice(named)
        short = {"second": ("sec", "secs"), "minute": ("min", "mins"), "hour": ("hr", "hrs")}[unit]
        number = spoken(amount, rng)
        if rng.random() < 0.07:
            return f"{number} {rng.choice(short)}"
        if adjective:
            joint = "-" if rng.random() < 0.1 else " "
            return number + joint + unit + ("s" if rng.random() < 0.12 else "")
        plural = "s" if (amount != 1) != (rng.random() < 0.06) else ""
        return f"{number} {unit}{plural}"

    def say(
        self,
        patterns: Sequence[str],
        slots: Mapping[str, str] | None = None,
        free: Mapping[str, str] | None = None,
        *,
        question: bool = False,
        wrap: bool = True,
    ) -> str:
        """A user message. `slots` may be misspelt, `free` is text the model must copy."""
        text = expand(self.pattern(patterns), self.rng, slots)
        marks = {}
        for number, (name, value) in enumerate((free or {}).items()):
            marks[f"{FREE}{number}{FREE}"] = value
            text = text.replace("{" + name + "}", f"{FREE}{number}{FREE}")
        text = roughened(text, self.rng, question=question, wrap=wrap)
        for mark, value in marks.items():
            text = text.replace(mark, value)
        return text.lower()
