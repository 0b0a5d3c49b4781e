# ruff: noqa: E501 (lists read best with one pattern a line, words as prose)
"""Requests for the time, the date and sums."""

from household.dialogue import Dialogue, Draw, call
from household.spoken_numbers import spoken

TIME: tuple[str, ...] = (
    "(what|wat) time is it [now|right now|exactly|at the moment]",
    "what is the [current|exact] time [now|right now|at the moment]",
    "(what's|whats) the [current|exact] time",
    "(tell|give) me the [current|exact] time",
    "(can|could|would) you tell me (the time|what time it is)",
    "(do you know|tell me|say) what time it is",
    "do you (have|know) the time",
    "[the|current] time [now]",
    "(how late|what hour|which hour) is it [now]",
    "(i need|i want|i would like|i'd like) [to know] the time",
    "(i want to know|i wonder|i have no idea) what time it is",
    "(read|say|show|show me) the (time|clock)",
    "what (does|do) (the|your) clock (say|show|read)",
    "time (check|now|please)",
    "what is the time on (the|your) clock",
    "got the time",
    "is it (noon|midnight|late|three o'clock|five o'clock|ten o'clock) (yet|already|now)",
    "what time (do we have|have we got|is it here|is it by now|are we at)",
    "how late (is it|are we) already",
    "(check|look at) the (clock|time)",
    "current time",
    "clock",
)
DATE: tuple[str, ...] = (
    "what (day|date) is (it|today|it today)",
    "what is (the|today's|the current) date [today]",
    "(what's|whats) (the|today's|the current) date [today]",
    "(which|what) day is (it|today|it today)",
    "what day of the (week|month) is (it|today|it today)",
    "which day of the (week|month) (is it|do we have|is today)",
    "(tell|give) me (the|today's|the current) (date|day)",
    "(can|could|would) you tell me (the date|what day it is|what day today is|today's date|which day it is)",
    "(do you know|tell me|say) (what day it is|what the date is|what day today is)",
    "[today's|current|the] date [today]",
    "(what|which) (year|month) is (it|this) [now]",
    "(what|which) (year|month) (do we have|are we in)",
    "what is the (current|present) (year|month|day)",
    "(i need|i want|i would like) [to know] (the|today's) date",
    "is (it|today) (monday|tuesday|wednesday|thursday|friday|saturday|sunday) [today|already]",
    "is (it|this) (january|february|march|april|may|june|july|august|september|october|november|december) [already|now]",
    "(show|read|say) (the|today's) date",
    "what is today",
    "what weekday is (it|today)",
    "(date|day) (check|please)",
    "(check|look at) the (calendar|date)",
    "what do we have today, (monday|tuesday|wednesday|thursday|friday) or (saturday|sunday|friday)",
    "today is what day",
    "is it the weekend [yet|already]",
)
SUM: tuple[str, ...] = (
    "(what is|what's|whats|what are) {sum}",
    "how much (is|are|does) {sum} [make]",
    "(calculate|compute|work out|figure out|evaluate|solve|do|determine) {sum} [for me]",
    "{sum}",
    "{sum} (equals|is|makes|=)",
    "{sum} =",
    "(can|could|would) you (calculate|compute|work out|figure out|tell me|add up|do) {sum}",
    "(tell me|give me|say) [what] {sum} [is]",
    "(i need|i want|i want to know|i would like to know) [what] {sum} [is]",
    "(do you know|can you tell me) (what|how much) {sum} is",
    "(tell me|say) how much {sum} is",
    "what (do you get for|does) {sum} [make|give|equal]",
    "what is the (result|answer|value|outcome) of {sum}",
    "(result|value) of {sum}",
    "(maths|math|calculator|sum): {sum}",
    "(quick maths|quick math|a sum), {sum}",
    "what will {sum} be",
    "(please) (add|sum) up {sum}",
    "help me with {sum}",
    "if i (take|have) {sum}, how much is that",
)
_SPOKEN = {
    "+": ("plus",) * 5 + ("added to",),
    "-": ("minus",) * 5 + ("take away", "less"),
    "*": ("times",) * 4 + ("multiplied by", "x"),
    "/": ("divided by",) * 4 + ("over",),
}
# Whole requests whose first number may be spoken last: {a} op {b} in the expression.
NAMED = {
    "+": (
        "(add|sum|sum up|add up) {a} and {b}", "(add|what do you get if you add) {a} to {b}",
        "(what is|what's|tell me|how much is) the sum of {a} and {b}", "[the] sum of {a} and {b}",
        "what do you get (if|when) you add {a} and {b}", "add {a} and {b} together",
        "how much (is|are|do) {a} and {b} [together|make]", "add {a} with {b}",
        "(can|could) you add {a} and {b}", "what is {a} and {b} (together|in total|added up)",
    ),
    "-": (
        "(subtract|take|take away|deduct) {b} from {a}", "what is {a} take away {b}",
        "what do you get (if|when) you (subtract|take) {b} from {a}", "(can|could) you subtract {b} from {a}",
        "(what is|tell me) the difference between {a} and {b}", "how much is left if i take {b} from {a}",
        "what remains of {a} without {b}", "{a} reduced by {b}",
    ),
    "*": (
        "multiply {a} (by|with|and|times) {b}", "what do you get (if|when) you multiply {a} (by|with|and) {b}",
        "(can|could) you multiply {a} (by|with) {b}", "(what is|tell me) the product of {a} and {b}",
        "[the] product of {a} and {b}", "{a} multiplied with {b}",
    ),
    "/": (
        "divide {a} (by|through) {b}", "what do you get (if|when) you divide {a} by {b}",
        "(can|could) you divide {a} by {b}", "split {a} by {b}", "how (often|many times) does {b} go into {a}",
        "(share|split) {a} into {b} [equal] parts", "{a} split by {b}", "{a} divided through {b}",
    ),
}  # fmt: skip
FIXED = (
    ("half of {a}", "{a} / 2"), ("a quarter of {a}", "{a} / 4"), ("a third of {a}", "{a} / 3"),
    ("double {a}", "{a} * 2"), ("twice {a}", "{a} * 2"), ("{a} squared", "{a} * {a}"),
    ("{b} percent of {a}", "{a} * {b} / 100"), ("{b}% of {a}", "{a} * {b} / 100"),
)  # fmt: skip


def time(draw: Draw) -> Dialogue:
    user = draw.say(TIME, question=True)
    return Dialogue("get_time", user, (("assistant", call("get_time", {})),))


def date(draw: Draw) -> Dialogue:
    user = draw.say(DATE, question=True)
    return Dialogue("get_date", user, (("assistant", call("get_date", {})),))


def _number(draw: Draw) -> tuple[str, str]:
    """A number as written in the expression, and as the user gives it."""
    rng = draw.rng
    if draw.chance(0.08):
        whole, part = rng.randint(0, 99), str(rng.randint(1, 99))
        written = f"{whole}.{part}"
        return written, written
    kind = rng.randrange(10)
    top = 12 if kind <= 1 else 100 if kind <= 6 else 999 if kind <= 8 else 9999
    number = draw.number(0, top)
    return str(number), spoken(number, rng)


def _expression(draw: Draw) -> tuple[str, str]:
    """An expression as the tool reads it, and as the user gives it."""
    rng = draw.rng
    written, said = _number(draw)
    terms = rng.choice((1,) * 9 + (2, 2, 3))
    if draw.chance(0.06):
        inner, more = rng.choices("+-*/", k=2)
        second, third = _number(draw)[0], _number(draw)[0]
        gap = rng.choice((" ", " ", ""))
        exact = f"({written} {inner} {second}) {more} {third}"
        if draw.chance(0.4):
            exact = f"{third} {more} ({written} {inner} {second})"
        return exact, exact if gap else exact.replace(" ", "")
    symbols = draw.chance(0.3)
    for _ in range(terms):
        sign = rng.choice("++--**/")
        other, other_said = _number(draw)
        written = f"{written} {sign} {other}"
        if symbols:
            gap = rng.choice((" ", " ", ""))
            shown = rng.choice("**x") if sign == "*" else sign
            gap = " " if shown == "x" else gap
            said = f"{said}{gap}{shown}{gap}{other_said}"
        else:
            said = f"{said} {rng.choice(_SPOKEN[sign])} {other_said}"
    return written, said


def calculate(draw: Draw) -> Dialogue:
    rng = draw.rng
    kind = rng.randrange(10)
    if kind <= 5:
        written, said = _expression(draw)
        user = draw.say(SUM, None, {"sum": said}, question=True, wrap=draw.chance(0.5))
    elif kind <= 8:
        sign = rng.choice("+-*/")
        first, first_said = _number(draw)
        second, second_said = _number(draw)
        written = f"{first} {sign} {second}"
        user = draw.say(NAMED[sign], None, {"a": first_said, "b": second_said}, question=True)
    else:
        said, written = rng.choice(FIXED)
        first, first_said = _number(draw)
        second, second_said = _number(draw)
        said = said.replace("{a}", first_said).replace("{b}", second_said)
        written = written.replace("{a}", first).replace("{b}", second)
        user = draw.say(SUM, None, {"sum": said}, question=True, wrap=draw.chance(0.5))
    arguments = {"expression": written}
    return Dialogue("calculate", user, (("assistant", call("calculate", arguments)),))
