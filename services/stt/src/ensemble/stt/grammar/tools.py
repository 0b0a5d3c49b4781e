"""The grammar of a set of tools."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ensemble.stt.grammar import automaton, numbers, patterns

_LOG = structlog.get_logger()

_MOST_VALUES: Final = 2_000


@dataclass(frozen=True, slots=True)
class SpokenTool:
    """A tool that may be asked for by voice.

    Attributes:
        name: Its name.
        input_schema: JSON Schema of its arguments as JSON text; empty where it takes none.
        utterances: Patterns (see ``patterns``).
    """

    name: str
    input_schema: str
    utterances: tuple[str, ...]


def build(tools: Iterable[SpokenTool]) -> automaton.Automaton:
    """Return the automaton of every utterance of ``tools``.

    A pattern that cannot be read, or whose slot cannot be spoken, is left out with a
    warning: one bad tool must not make the others deaf.

    Raises:
        GrammarTooLargeError: The tools say more than the recogniser can hold.
    """
    sentences: list[tuple[patterns.Node, automaton.Values]] = []
    for tool in tools:
        values = _slot_values(tool)
        for number, utterance in enumerate(tool.utterances):
            try:
                node = patterns.parse(utterance)
                _check(node, values)
            except patterns.PatternError as error:
                _LOG.warning(
                    "utterance left out", tool=tool.name, utterance=number, problem=str(error)
                )
                continue
            sentences.append((node, values.__getitem__))
    return automaton.build(sentences)


def _check(node: patterns.Node, values: Mapping[str, Sequence[Sequence[str]]]) -> None:
    match node:
        case patterns.Slot(name):
            if not values.get(name):
                raise patterns.PatternError(f"the slot {name} has nothing that can be said")
        case patterns.Sequence(parts):
            for part in parts:
                _check(part, values)
        case patterns.Choice(options):
            for option in options:
                _check(option, values)


def _slot_values(tool: SpokenTool) -> dict[str, list[tuple[str, ...]]]:
    try:
        schema = json.loads(tool.input_schema) if tool.input_schema else {}
        properties = schema.get("properties", {})
        return {name: _phrases(about) for name, about in properties.items()}
    except (ValueError, AttributeError):
        _LOG.warning("schema of a tool cannot be read", tool=tool.name)
        return {}


def _phrases(about: Any) -> list[tuple[str, ...]]:
    """Return what can be said for one parameter; nothing for one that is free text."""
    kind = about.get("type")
    if kind == "integer" and "minimum" in about and "maximum" in about:
        first = max(0, int(about["minimum"]))
        last = min(numbers.LARGEST, int(about["maximum"]))
        return [phrase for value in range(first, last + 1) for phrase in numbers.spoken(value)]
    texts = about.get("enum") or about.get("examples") or ()
    phrases = (_say(text) for text in texts[:_MOST_VALUES] if isinstance(text, str))
    return [phrase for phrase in phrases if phrase]


def _say(text: str) -> tuple[str, ...]:
    """Return the words of a value, digits spoken."""
    said: list[str] = []
    for word in patterns.words(text.replace("_", " ")):
        if word.isdigit() and int(word) <= numbers.LARGEST:
            said.extend(numbers.spoken(int(word))[0])
        else:
            said.append(word)
    return tuple(said)
