"""Random sentences of a grammar, and sentences outside it."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from ensemble.stt.grammar.automaton import Automaton
from ensemble.stt.grammar.tools import SpokenTool, build

OUT_OF_DOMAIN = Path(__file__).with_name("out_of_domain.txt")
"""Hand-written sentences for tuning the rejection; none of them is used to judge it."""


def commands(tools: Sequence[SpokenTool], count: int, rng: Random) -> list[str]:
    """Return ``count`` sentences, spread evenly over the tools and then over what may follow."""
    grammars = [build([tool]) for tool in tools if tool.utterances]
    return [_sentence(grammars[number % len(grammars)], rng) for number in range(count)]


def _sentence(grammar: Automaton, rng: Random) -> str:
    state, said = 0, list[str]()
    while True:
        choices = sorted(grammar.arcs[state])
        if grammar.final[state] and (not choices or rng.random() < 0.7):
            return " ".join(said)
        word = rng.choice(choices)
        said.append(word)
        state = grammar.arcs[state][word]


def lines(path: Path) -> list[str]:
    """Return the sentences of a list, one a line; ``#`` starts a comment."""
    texts = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
    return [text for text in texts if text]
