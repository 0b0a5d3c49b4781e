"""Measures a GGUF in llama.cpp: greedy, one thread, no grammar. Prints JSON.

Run from the repository root:
    uv run --group training python services/model-router/training/evaluate.py [--failures]
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from household.answers import answer
from household.dialogue import DECLINE, Dialogue, Mode
from household.generator import LISTS, dialogues
from llama_cpp import Llama

MODEL = Path(__file__).parents[1] / "src/ensemble/model_router/embedded/household.gguf"
LONGEST = 200


@dataclass
class Tally:
    """How many of the cases came out right, and which did not."""

    right: int = 0
    total: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def count(self, right: bool, **details: Any) -> None:
        self.total += 1
        self.right += right
        if not right:
            self.failures.append(details)

    def report(self, failures: bool) -> dict[str, Any]:
        share = round(self.right / self.total, 4) if self.total else None
        found: dict[str, Any] = {"right": self.right, "total": self.total, "share": share}
        return {**found, "failures": self.failures} if failures else found


class Reader:
    """The model behind its own chat template."""

    def __init__(self, path: Path) -> None:
        self._llama = Llama(str(path), n_ctx=1024, n_threads=1, n_threads_batch=1, verbose=False)
        self.seconds = 0.0
        self.tokens = 0
        self.turns = 0

    def reply(self, messages: list[dict[str, Any]]) -> str:
        began = time.perf_counter()
        found: Any = self._llama.create_chat_completion(
            messages=messages,  # type: ignore[arg-type]
            max_tokens=LONGEST,
            temperature=0.0,
            repeat_penalty=1.0,
        )
        self.seconds += time.perf_counter() - began
        self.tokens += found["usage"]["completion_tokens"]
        self.turns += 1
        return str(found["choices"][0]["message"]["content"]).strip()


def parsed(text: str) -> tuple[str, Mapping[str, Any]] | None:
    """The call in an assistant turn; None for plain text."""
    if not text.startswith("<tool_call>"):
        return None
    try:
        body = json.loads(text.removeprefix("<tool_call>").removesuffix("</tool_call>"))
        return str(body["name"]), dict(body["arguments"])
    except (ValueError, KeyError, TypeError):
        return "unreadable", {}


def hand_written(reader: Reader) -> dict[str, Tally]:
    """The lists under lists/, none of whose sentences was trained on."""
    exact, refused, declined = Tally(), Tally(), Tally()
    for line in (LISTS / "in_domain.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        text = reader.reply([{"role": "user", "content": case["text"]}])
        found = parsed(text)
        if case["tool"] is None:
            right = found is None and not text.startswith("<decline>")
        else:
            right = found == (case["tool"], case["arguments"])
        exact.count(right, text=case["text"], got=text)
        refused.count(not text.startswith("<decline>"), text=case["text"])
    for line in (LISTS / "out_of_domain.txt").read_text(encoding="utf-8").splitlines():
        text = reader.reply([{"role": "user", "content": line}])
        declined.count(text.startswith("<decline>"), text=line, got=text)
    spoken = Tally()
    for line in (LISTS / "spoken_out_of_domain.txt").read_text(encoding="utf-8").splitlines():
        text = reader.reply([{"role": "user", "content": line}])
        spoken.count(parsed(text) is None, text=line, got=text)
    return {
        "in_domain_exact": exact,
        "in_domain_not_declined": refused,
        "out_of_domain_declined": declined,
        "spoken_out_of_domain_typed_no_call": spoken,
    }


def generated(reader: Reader, mode: Mode, count: int) -> dict[str, Tally]:
    """Drawn dialogues whose phrasing or slot values were held out of training."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for drawn in islice(dialogues(20_261, mode, answered=0.5), count):
        _first_turn(reader, drawn, tallies[f"{mode}_{_group(drawn)}"])
        if len(drawn.turns) > 1:
            _final_turn(reader, drawn, tallies[f"{mode}_answers"])
    return tallies


def _group(drawn: Dialogue) -> str:
    if drawn.declined:
        return "declines"
    return "calls" if drawn.turns[0][1].startswith("<tool_call>") else "talk"


def _first_turn(reader: Reader, drawn: Dialogue, tally: Tally) -> None:
    wanted = drawn.turns[0][1]
    text = reader.reply([{"role": "user", "content": drawn.user}])
    right = text.startswith("<decline>") if wanted == DECLINE else text == wanted
    tally.count(right, text=drawn.user, wanted=wanted, got=text)


def _final_turn(reader: Reader, drawn: Dialogue, tally: Tally) -> None:
    messages = [{"role": "user", "content": drawn.user}]
    messages += [{"role": role, "content": text} for role, text in drawn.turns[:-1]]
    text = reader.reply(messages)
    result = json.loads(drawn.turns[1][1])
    body = parsed(drawn.turns[0][1])
    wanted = answer(body[0] if body else "", result)
    tally.count(text == wanted, text=drawn.user, result=result, wanted=wanted, got=text)


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--generated", type=int, default=600, help="drawn dialogues of each kind")
    parser.add_argument("--failures", action="store_true", help="list what went wrong")
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    reader = Reader(options.model)
    tallies = hand_written(reader)
    for mode in ("phrasing", "slots"):
        tallies |= generated(reader, mode, options.generated)
    found = {name: tally.report(options.failures) for name, tally in tallies.items()}
    found["speed"] = {
        "bytes": options.model.stat().st_size,
        "milliseconds_per_turn": round(1000 * reader.seconds / reader.turns, 2),
        "tokens_per_second": round(reader.tokens / reader.seconds),
    }
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
