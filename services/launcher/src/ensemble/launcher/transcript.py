"""Records of sessions as a person reads them: a transcript, and a tree of what it took."""

import datetime
import json
from collections.abc import Iterable, Iterator
from typing import Any

from ensemble.client.records import (
    ModelCall,
    Record,
    RecordedAnswer,
    TakenUp,
    ToolRun,
    Turn,
)
from ensemble.launcher.plain import plain
from ensemble.launcher.table import counted

_SPOKE = {
    "typed": "You",
    "spoken": "You (spoken)",
    "notice": "Notice",
    "unasked": "Ensemble",
}


def clock(at: datetime.datetime) -> str:
    """Return the time of day, here."""
    return at.astimezone().strftime("%H:%M:%S")


def day(at: datetime.datetime) -> str:
    """Return date and time, here."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def seconds(value: float | None) -> str:
    """Return a duration; ``not known`` where there is none."""
    return "not known" if value is None else f"{value:.3f} s"


def transcript(record: Record) -> str:
    """Return what was said and done, line by line."""
    lines = [_title(record), ""]
    for turn in record.turns:
        if turn.kind != "unasked":
            said = plain(turn.text) if turn.understood else "(not understood)"
            lines.append(f"{clock(turn.at)}  {_SPOKE[turn.kind]}: {said}")
        for answer in turn.answers:
            lines += [f"          · {_tool(run)}" for run in answer.tools]
            said = f"{plain(answer.text)}{_ending(answer)}"
            lines.append(f"{clock(answer.started)}  Ensemble: {said}")
    return "\n".join(lines)


def markdown(record: Record) -> str:
    """Return the same as Markdown."""
    lines = [f"# {_title(record)}", ""]
    for turn in record.turns:
        if turn.kind != "unasked":
            said = plain(turn.text) if turn.understood else "*(not understood)*"
            lines += [f"**{_SPOKE[turn.kind]}** ({clock(turn.at)}): {said}", ""]
        for answer in turn.answers:
            for run in answer.tools:
                lines += [f"- `{run.name}` `{_json(run.arguments)}` → `{_json(run.result)}`", ""]
            said = f"{plain(answer.text)}{_ending(answer)}"
            lines += [f"**Ensemble** ({clock(answer.started)}): {said}", ""]
    return "\n".join(lines)


def explanation(record: Record) -> str:
    """Return a tree: each turn, what the models and tools did for it, and what it waited for."""
    branches = [
        (_head(number, turn), list(_answers(turn))) for number, turn in enumerate(record.turns, 1)
    ]
    lines = [_title(record)]
    for head, twigs in branches:
        lines.append(f"├─ {head}")
        for number, twig in enumerate(twigs):
            lines.append(f"│  {'└─' if number == len(twigs) - 1 else '├─'} {twig}")
    lines.append(f"└─ total: {_total(totals(record))}")
    return "\n".join(lines)


def totals(record: Record) -> dict[str, Any]:
    """Return the sums over a record."""
    answers = [answer for turn in record.turns for answer in turn.answers]
    waits = [waited(answer) for answer in answers]
    costs: dict[str, float] = {}
    for answer in answers:
        if currency := answer.usage.get("currency"):
            costs[currency] = costs.get(currency, 0.0) + answer.usage["cost"]
    return {
        "turns": len(record.turns),
        "answers": len(answers),
        "model_calls": sum(len(answer.models) for answer in answers),
        "tool_runs": sum(len(answer.tools) for answer in answers),
        "input_tokens": sum(answer.usage.get("input_tokens", 0) for answer in answers),
        "output_tokens": sum(answer.usage.get("output_tokens", 0) for answer in answers),
        "cost": costs,
        "seconds": sum(wait["all"] for wait in waits),
        "models_s": sum(wait["models"] for wait in waits),
        "tools_s": sum(wait["tools"] for wait in waits),
    }


def waited(answer: RecordedAnswer) -> dict[str, float]:
    """Return the seconds that an answer took, and for what: models, tools, the speech that was
    left once all was written, and the rest (commits, whoever was away)."""
    whole = (answer.ended - answer.started).total_seconds() if answer.ended else 0.0
    models = sum(call.took_s for call in answer.models)
    tools = _covered(answer.tools)
    speech = 0.0
    if answer.spoken and answer.ended and answer.written:
        speech = (answer.ended - answer.written).total_seconds()
    return {
        "all": whole,
        "models": models,
        "tools": tools,
        "speech": speech,
        "rest": max(whole - models - tools - speech, 0.0),
    }


def _covered(runs: Iterable[ToolRun]) -> float:
    """Return the seconds in which any tool ran: tools of one call run side by side."""
    spans = sorted(
        (run.started.timestamp(), run.started.timestamp() + (run.duration_s or 0.0)) for run in runs
    )
    covered, until = 0.0, float("-inf")
    for start, end in spans:
        covered += max(end - max(start, until), 0.0)
        until = max(until, end)
    return covered


def _title(record: Record) -> str:
    made = f", made {day(record.created)}" if record.created else ""
    return f"Session {record.session_id}{made}, {counted(len(record.turns), 'turn')}"


def _head(number: int, turn: Turn) -> str:
    said = _short(plain(turn.text)) if turn.understood else "(not understood)"
    return f"{number}. {clock(turn.at)} {turn.kind}: {said}".rstrip(": ")


def _answers(turn: Turn) -> Iterator[str]:
    if turn.audio_s is not None:
        yield f"heard: {seconds(turn.audio_s)} of sound"
    for answer in turn.answers:
        for step in answer.steps:
            yield _step(step)
        yield f"answer: {_short(plain(answer.text))}{_ending(answer)}"
        wait = waited(answer)
        if answer.ended:
            names = ("models", "tools", "speech") if wait["speech"] else ("models", "tools")
            parts = ", ".join(f"{name} {seconds(wait[name])}" for name in names)
            yield f"waited {seconds(wait['all'])}: {parts}, the rest {seconds(wait['rest'])}"


def _step(step: ModelCall | ToolRun | TakenUp) -> str:
    match step:
        case ModelCall():
            return _model(step)
        case ToolRun():
            return f"tool {_tool(step)}"
        case TakenUp():
            return f"lost, taken up again after {seconds(step.silent_s)}"


def _model(call: ModelCall) -> str:
    name = f"model {call.model or '(none)'}" + (f" ({call.engine})" if call.engine else "")
    instead = "".join(f" instead of {each['model']}" for each in call.substituted)
    if call.latency_s is None:
        cut = "under way" if call.cut_s is None else f"cut off after {seconds(call.cut_s)}"
        return f"{name}{instead}: {cut}"
    asked = f", asked for {counted(call.tool_calls, 'tool')}" if call.tool_calls else ""
    first = f"first output {seconds(call.first_output_s)}, latency {seconds(call.latency_s)}"
    return f"{name}{instead}: {first}, {_usage(call.usage)}{asked}"


def _tool(run: ToolRun) -> str:
    took = "no result" if run.duration_s is None else f"{seconds(run.duration_s)}"
    result = _short(plain(_json(run.result)), 60) if run.duration_s is not None else ""
    where = " at the client" if run.executor == "client" else ""
    size = f", {counted(run.result_bytes, 'byte')}" if run.result_bytes else ""
    arguments = plain(_json(run.arguments))
    failed = "failed: " if run.failed and result else ""
    return f"{run.name}{where} {arguments} → {failed}{result} ({took}{size})"


def _usage(usage: dict[str, Any]) -> str:
    cost = f"{usage['cost']:.6f} {usage['currency']}" if "cost" in usage else "no cost"
    return f"{usage.get('input_tokens', 0)} → {usage.get('output_tokens', 0)} tokens, {cost}"


def _total(sums: dict[str, Any]) -> str:
    costs = ", ".join(f"{amount:.6f} {name}" for name, amount in sums["cost"].items())
    return (
        f"{counted(sums['model_calls'], 'model call')}, {counted(sums['tool_runs'], 'tool')}, "
        f"{sums['input_tokens']} → {sums['output_tokens']} tokens, {costs or 'no cost'}, "
        f"{seconds(sums['seconds'])} (models {seconds(sums['models_s'])}, "
        f"tools {seconds(sums['tools_s'])})"
    )


def _ending(answer: RecordedAnswer) -> str:
    if answer.error:
        return f" [failed: {plain(answer.error)}]"
    if not answer.stop_reason:
        return " [under way]"
    if answer.stop_reason != "completed":
        return f" [{answer.stop_reason}]"
    return " [declined]" if answer.declined else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(text: str, limit: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
