"""How many durable turns one process takes, and many dialogues at once.

``append`` is the log alone: a thousand dialogues, the events of a whole turn (eight rows, 2 KiB)
in one append, the next one when the last is durable. ``sessions`` is N dialogues, each taking
turns one after another; the model thinks 50 ms and answers 2 KiB in one piece, without a tool.
Ensemble does that twice: its servicer called directly with the model as an injected port, and
over the in-process channel on both sides with each dialogue's stream open. The others take
fewer turns of each dialogue, so their figures are turns a second; a thousand dialogues over the
channel take three, and their time is scaled to ten. The time of the processor is that of the
process alone, without what a Postgres server does; unlike the rest it hardly depends on what
else the machine is doing.
"""

from tests.bench.durable.child import Found, Stores
from tests.bench.durable.rows import OTHERS, beside
from tests.bench.report import Row, row

_PAUSE_S = 0.05
_TURNS = 10


async def run(quick: bool) -> list[Row]:
    """Measure the log, then all systems with ever more dialogues."""
    async with Stores() as stores:
        rows = []
        for kind in ("sqlite", "postgres"):
            found = await stores.measure("log_rate", "log", kind, dialogues=1000, turns=_TURNS)
            goal = ">= 10000" if kind == "sqlite" else None
            rows.append(row(f"{kind}.append.turns", found["rate"], "1/s", goal=goal))
            rows.append(row(f"{kind}.append.cpu_a_turn", found["cpu"], "ms"))
        for count, theirs in ((10, 5), (100, 2)):
            rows += await _sessions(stores, "sqlite", count, 3 if quick else _TURNS, theirs)
        if not quick:
            rows += await _sessions(stores, "postgres", 100, _TURNS, 2)
        try:
            many = (1, 0) if quick else (_TURNS, 1)
            rows += await _sessions(stores, "sqlite", 1000, *many)
        except TimeoutError:
            # What fewer dialogues take is still worth knowing.
            print("sqlite.sessions.1000 is not measured: this machine is too slow or too busy")
    return rows


async def _sessions(stores: Stores, kind: str, count: int, ours: int, theirs: int) -> list[Row]:
    """Measure all at so many dialogues and turns of each; no turns of theirs: Ensemble only."""

    async def measure(name: str, turns: int) -> Found:
        if not turns:
            return {}
        rest = {"count": count, "turns": turns, "pause_s": _PAUSE_S}
        return await stores.measure("sessions", name, kind, **rest)

    port = await measure("ensemble-port", ours)
    channel = await measure("ensemble", min(ours, 3) if count == 1000 else ours)
    scaled = count * ours / channel["rate"]
    whole = count == 1000 and ours == _TURNS
    name = f"{kind}.sessions.{count}"
    others = {other: await measure(other, theirs) for other in OTHERS}
    rates = {other: found.get("rate") for other, found in others.items()}
    cpus = {other: found.get("cpu") for other, found in others.items()}
    return [
        row(f"{name}.port", port["took"], "s", goal="<= 1.0" if whole else None),
        row(f"{name}.channel", scaled, "s", goal="<= 1.6" if whole else None),
        row(f"{name}.port.cpu_a_turn", port["cpu"], "ms"),
        *beside(f"{name}.channel.cpu_a_turn", channel["cpu"], "ms", cpus),
        *beside(f"{name}.channel.turns", channel["rate"], "1/s", rates),
    ]
