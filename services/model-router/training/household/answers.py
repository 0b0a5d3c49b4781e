# ruff: noqa: E501, SIM905 (lists read best with one pattern a line, words as prose)
"""What the assistant says once a tool has answered, and made-up tool answers to learn it from."""

import json
from collections.abc import Mapping
from typing import Any

from household import texts
from household.dialogue import Draw

_PLURALS = {
    "light": "lights", "lamp": "lamps", "fan": "fans", "heater": "heaters", "radio": "radios",
    "television": "televisions", "oven": "ovens", "speaker": "speakers",
}  # fmt: skip
# The most entries a list tool returns; it still gives the full count.
LISTED = 5


def _span(amount: int, unit: str) -> str:
    return f"{amount} {unit}" if amount == 1 else f"{amount} {unit}s"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def _device(result: Mapping[str, Any]) -> tuple[str, str]:
    if result["room"] == "all":
        return f"all {_PLURALS[result['device']]}", "are"
    return f"the {result['room']} {result['device']}", "is"


def _cancelled(count: int, noun: str) -> str:
    if count == 0:
        return f"There was no such {noun}."
    return f"The {noun} is cancelled." if count == 1 else f"{count} {noun}s are cancelled."


def _listed(count: int, entries: list[str], none: str, one: str, many: str) -> str:
    if count == 0:
        return none
    text = "; ".join(entries)
    return _sentence(f"{one}: {text}" if count == 1 else f"{many.format(count)}: {text}")


def answer(tool: str, result: Mapping[str, Any]) -> str:
    """The assistant's words for the JSON `result` of `tool`."""
    if "error" in result:
        return _sentence(f"That did not work: {result['message']}")
    match tool:
        case "set_device":
            what, verb = _device(result)
            return f"{what.capitalize()} {verb} now {result['state']}."
        case "set_level":
            what, verb = _device(result)
            return f"{what.capitalize()} {verb} now at {result['level']} percent."
        case "get_device":
            what, verb = _device(result)
            if result["state"] == "unknown":
                return f"I do not know whether {what} {verb} on."
            level = f" at {result['level']} percent" if "level" in result else ""
            return f"{what.capitalize()} {verb} {result['state']}{level}."
        case "set_timer":
            span = _span(result["amount"], result["unit"])
            return f"The timer is set for {span}. It ends at {result['at']}."
        case "list_timers":
            return _listed(
                result["count"], result["timers"],
                "No timer is running.", "One timer is running", "{} timers are running",
            )  # fmt: skip
        case "cancel_timer":
            return _cancelled(result["cancelled"], "timer")
        case "add_reminder":
            span = _span(result["amount"], result["unit"])
            return _sentence(f"I will remind you in {span}: {result['text']}")
        case "list_reminders":
            return _listed(
                result["count"], result["reminders"],
                "You have no reminders.", "You have one reminder", "You have {} reminders",
            )  # fmt: skip
        case "cancel_reminder":
            return _cancelled(result["cancelled"], "reminder")
        case "get_time":
            return f"It is {result['time']}."
        case "get_date":
            return f"Today is {result['date']}."
        case "calculate":
            return f"{result['expression']} is {result['value']}."
        case "remember":
            return _sentence(f"I will remember: {result['subject']}, {result['fact']}")
        case "recall":
            if not result["facts"]:
                return _sentence(f"You have told me nothing about: {result['subject']}")
            return _sentence(f"You told me: {result['subject']}, {'; '.join(result['facts'])}")
    raise ValueError(f"unknown tool: {tool}")


def _clock(draw: Draw) -> str:
    return f"{draw.rng.randrange(24):02d}:{draw.rng.randrange(60):02d}"


def _date(draw: Draw) -> str:
    days = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
    months = ("January February March April May June July August September October November "
              "December").split()  # fmt: skip
    rng = draw.rng
    return f"{rng.choice(days)} {rng.randint(1, 31)} {rng.choice(months)} {rng.randint(2020, 2099)}"


def _error(draw: Draw) -> dict[str, Any]:
    message = draw.rng.choice(
        (
            "division by zero", "the tool took too long", "the expression is not a sum", "unknown room",
            "the world model is not available", "too many timers are running", "there is no such device",
            "deadline exceeded", "the result is too large", "the value must be between 0 and 100",
            "the tool server is not available", "invalid arguments", texts.statement(draw),
            texts.statement(draw), texts.chore(draw), f"{texts.subject(draw)} is {texts.fact(draw)}",
        )
    )  # fmt: skip
    if draw.chance(0.5):
        message = _sentence(message.capitalize() if draw.chance(0.7) else message)
    code = (
        "TOOL_FAILED" if draw.chance(0.8) else draw.rng.choice(("TOOL_TIMEOUT", "INVALID_ARGUMENT"))
    )
    return {"error": code, "message": message}


def _timer_entry(draw: Draw) -> str:
    amount, unit = draw.span()
    left, left_unit = draw.span()
    return f"{amount} {unit} timer, {_span(left, left_unit)} left"


def _reminder_entry(draw: Draw) -> str:
    text = texts.chore(draw) if draw.chance(0.7) else texts.event(draw)
    return f"{text} in {_span(*draw.span())}"


def _many(draw: Draw) -> int:
    return draw.rng.choice((0, 1, 1, 2, 2, 2, 3, 3, 4, 5, draw.rng.randint(6, 99)))


def _number(draw: Draw) -> str:
    rng = draw.rng
    sign = "-" if draw.chance(0.15) else ""
    whole = str(rng.randint(0, 10 ** rng.randint(1, 6)))
    return (
        sign + whole + (f".{rng.randint(1, 10 ** rng.randint(1, 5))}" if draw.chance(0.25) else "")
    )


def result(draw: Draw, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A tool answer of the right shape; its values are random wherever they can be."""
    rng = draw.rng
    if draw.chance(0.06):
        return _error(draw)
    values = dict(arguments)
    match tool:
        case "get_device":
            values["state"] = rng.choice(("on", "on", "off", "unknown"))
            if values["state"] == "on" and draw.chance(0.5):
                values["level"] = rng.randint(1, 100)
        case "set_timer" | "add_reminder":
            values["at"] = f"{_clock(draw)}:{rng.choice((0, 0, rng.randrange(60))):02d}"
        case "list_timers" | "list_reminders":
            name = tool.removeprefix("list_")
            entry = _timer_entry if name == "timers" else _reminder_entry
            count = _many(draw)
            values = {"count": count, name: [entry(draw) for _ in range(min(count, LISTED))]}
        case "cancel_timer" | "cancel_reminder":
            values = {"cancelled": rng.choice((0, 1, 1, 1, 2, 3, rng.randint(2, 30)))}
        case "get_time":
            values = {"time": _clock(draw)}
        case "get_date":
            values = {"date": _date(draw)}
        case "calculate":
            values["value"] = _number(draw)
        case "recall":
            count = rng.choice((0, 0, 1, 1, 1, 1, 2, 2, 3))
            values["facts"] = [texts.fact(draw) for _ in range(count)]
    return values


def spoken_back(draw: Draw, call_text: str) -> tuple[tuple[str, str], ...]:
    """The tool turn and the assistant's answer that follow a call."""
    body = json.loads(call_text.removeprefix("<tool_call>").removesuffix("</tool_call>"))
    value = result(draw, body["name"], body["arguments"])
    text = json.dumps(value, ensure_ascii=False)
    return (("tool", text), ("assistant", answer(body["name"], value)))
