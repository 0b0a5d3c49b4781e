"""The report of a long run, as Markdown."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.checker import BY_PERSON, UNKNOWN, GivenUp
from tests.chaos.report import percentile

_HEAD = """\
# What came of killing it

Written by `make test-chaos-full`; each round can be run again with
`CHAOS_SEED=<seed> CHAOS_KILLS=100 .venv/bin/python -m pytest -m chaos tests/chaos/test_kills.py`.

Conversations, typed and spoken, are held with stacks of real processes on both stores, SQLite (one
orchestrator, which restarts) and Postgres (three orchestrators), while their processes are killed
with SIGKILL at moments chosen by phase of the turn. The model, the recogniser and the voice are
scripted; everything else is what is shipped. A fault is whatever a client's own record or the
tool's own journal shows to be lost, doubled, out of order, or not in the log as it was shown. A
second loss at the same place ends an answer, and its client is told: those are given up, each is
listed with what died while it was answered, and more than `tests/chaos/bounds.py` allows is red.
"""

_UNKNOWN = f"tool: {UNKNOWN}"


def markdown(
    seed: str, rounds: Sequence[Mapping[str, Any]], takeovers: Sequence[Mapping[str, Any]]
) -> str:
    """Return the report.

    Args:
        seed: Of the run.
        rounds: What ``report.as_json`` returned for each round.
        takeovers: What ``report.takeover`` returned for each kind of loss.
    """
    runs = [run for each in rounds for run in each["runs"]]
    faults = [fault for run in runs for fault in run["faults"]]
    told: Counter[str] = Counter()
    for run in runs:
        told.update(run["turns_broken_off_and_told"])
    given_up = [(run, GivenUp(**each)) for run in runs for each in run["given_up"]]
    told.subtract(each.why for _, each in given_up)
    light = sum(len(each.losses) < 2 for _, each in given_up)
    lines = [
        _HEAD,
        f"Seed {seed}, {len(rounds)} rounds, on {os.cpu_count()} cores.",
        "",
        "| | |",
        "|---|---|",
        f"| kills | {sum(each['kills'] for each in rounds)} |",
        f"| faults | {len(faults)} |",
        f"| turns answered whole | {sum(run['turns_answered_whole'] for run in runs)} |",
        f"| turns that the person interrupted | {told[BY_PERSON]} |",
        f"| tools of which it was told that their outcome is not known | {told[_UNKNOWN]} |",
        f"| turns given up, and the client told | {len(given_up)} |",
        f"| of these, with fewer than two losses meanwhile | {light} |",
        "| streams lost and taken up by clients | "
        f"{sum(run['losses_made_good_by_clients'] for run in runs)} |",
        f"| minutes | {sum(max(r['seconds'] for r in e['runs']) for e in rounds) / 60:.0f} |",
        "",
        *_table("Killed in phase", _sum(rounds, "by_phase")),
        *_table("Killed service", _sum(rounds, "by_service")),
        *_table("Given up, and the client told", Counter(each.why for _, each in given_up)),
        "## Rounds",
        "",
        "| seed | kills | seconds | answered whole | told | faults |",
        "|---|---|---|---|---|---|",
        *(_row(run) for run in runs),
        "",
    ]
    lines += ["## Silence that a listener heard", "", *_silences(runs)]
    for takeover in takeovers:
        lines += _takeover(takeover)
    if given_up:
        lines += ["## Given up", "", *(f"- {run['seed']}, {each}" for run, each in given_up), ""]
    if faults:
        lines += ["## Faults", "", *(f"- {fault}" for fault in faults), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _sum(rounds: Sequence[Mapping[str, Any]], key: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in rounds:
        total.update(each[key])
    return total


def _table(name: str, counts: Counter[str]) -> list[str]:
    rows = [f"| {what} | {count} |" for what, count in counts.most_common()]
    return [f"| {name} | |", "|---|---|", *rows, ""] if rows else []


def _row(run: Mapping[str, Any]) -> str:
    told = sum(run["turns_broken_off_and_told"].values())
    return (
        f"| {run['seed']} | {run['kills']} | {run['seconds']:.0f} | "
        f"{run['turns_answered_whole']} | {told} | {len(run['faults'])} |"
    )


def _silences(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| killed | store | breaks | p50 s | p95 s | longest s |", "|---|---|---|---|---|---|"]
    found: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        for service, seconds in run["silences"].items():
            found.setdefault((service, run["name"]), []).extend(seconds)
    for (service, store), seconds in sorted(found.items()):
        seconds.sort()
        p50, p95 = (percentile(seconds, share) for share in (0.5, 0.95))
        lines.append(
            f"| {service} | {store} | {len(seconds)} | {p50:.2f} | {p95:.2f} | {seconds[-1]:.2f} |"
        )
    return [*lines, ""]


def _takeover(takeover: Mapping[str, Any]) -> list[str]:
    bars = [f"| {name} | {'#' * count} |" for name, count in sorted(takeover["histogram"].items())]
    verdict = "met" if takeover["met"] else "missed"
    return [
        f"### {takeover['what']}",
        "",
        f"{takeover['count']} breaks after {takeover['kills']} losses: p50 {takeover['p50']} s, "
        f"p95 {takeover['p95']} s, longest {takeover['max']} s; "
        f"goal {takeover['goal_p95']} s at p95, {verdict}.",
        "",
        "| seconds from | breaks |",
        "|---|---|",
        *bars,
        "",
    ]
