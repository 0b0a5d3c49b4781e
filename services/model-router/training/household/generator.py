"""Draws household dialogues in the proportions the model is trained with."""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from random import Random

from household import chat, clock_and_sums, devices, notes, reminders, timers
from household.answers import spoken_back
from household.declines import decline
from household.dialogue import Dialogue, Draw, Mode, NothingHeldOutError

LISTS = Path(__file__).parent.parent / "lists"

INTENTS: tuple[tuple[int, Callable[[Draw], Dialogue]], ...] = (
    (42, decline),
    (11, devices.switch),
    (8, devices.level),
    (7, devices.ask),
    (8, timers.start),
    (6, timers.show),
    (5, timers.cancel),
    (10, reminders.add),
    (5, reminders.show),
    (5, reminders.cancel),
    (3, clock_and_sums.time),
    (3, clock_and_sums.date),
    (10, clock_and_sums.calculate),
    (9, notes.remember),
    (8, notes.recall),
    (6, chat.talk),
    (7, chat.ask_back),
)


def plain(text: str) -> str:
    """`text` without case, punctuation and repeated spaces, to compare sentences."""
    return re.sub(r"[^\w+*/-]+", " ", text.lower()).strip()


@lru_cache(maxsize=1)
def tested_sentences() -> frozenset[str]:
    """The hand-written sentences; training never sees one of them."""
    found = set()
    for line in (LISTS / "in_domain.jsonl").read_text(encoding="utf-8").splitlines():
        found.add(plain(json.loads(line)["text"]))
    for name in ("out_of_domain.txt", "spoken_out_of_domain.txt"):
        found.update(map(plain, (LISTS / name).read_text(encoding="utf-8").splitlines()))
    return frozenset(found)


def dialogues(seed: int, mode: Mode = "train", answered: float = 0.4) -> Iterator[Dialogue]:
    """Endless dialogues; a share `answered` of the tool calls goes on to the final answer."""
    rng = Random(seed)
    draw = Draw(rng, mode)
    weights = [weight for weight, _ in INTENTS]
    makers = [maker for _, maker in INTENTS]
    while True:
        maker = rng.choices(makers, weights)[0]
        try:
            drawn = maker(draw)
        except NothingHeldOutError:
            continue
        if plain(drawn.user) in tested_sentences():
            continue
        first = drawn.turns[0][1]
        # Lists are the longest answers to copy, and need the most practice.
        share = 0.9 if drawn.kind.startswith("list_") else answered
        if first.startswith("<tool_call>") and rng.random() < share:
            drawn = Dialogue(drawn.kind, drawn.user, drawn.turns + spoken_back(draw, first))
        yield drawn
