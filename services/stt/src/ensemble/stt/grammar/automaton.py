"""A minimal deterministic automaton over words, built from patterns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ensemble.stt.grammar import patterns

MOST_STATES: Final = 100_000
"""States a grammar may need while it is built; the household has about a hundred."""

_DECORATIONS: Final = 3

Values = Callable[[str], Iterable[Sequence[str]]]


class GrammarTooLargeError(ValueError):
    """The patterns describe more than the recogniser can hold."""


@dataclass(frozen=True, slots=True)
class Automaton:
    """Accepts whole sentences; state 0 is the start.

    Attributes:
        arcs: For each state, the next state by word.
        final: Whether a sentence may end in the state.
    """

    arcs: tuple[Mapping[str, int], ...]
    final: tuple[bool, ...]

    @property
    def vocabulary(self) -> frozenset[str]:
        """Every word that can be said."""
        return frozenset(word for arcs in self.arcs for word in arcs)

    def follow(self, sentence: Iterable[str]) -> int | None:
        """Return the state after ``sentence``, or None where no sentence starts like that."""
        state = 0
        for word in sentence:
            following = self.arcs[state].get(word)
            if following is None:
                return None
            state = following
        return state

    def is_open(self, state: int) -> bool:
        """Whether a sentence that may end in ``state`` is likely to go on.

        "twenty" may become "twenty five"; a sentence that can only take on a "please" or a
        "percent" has said what it had to say.
        """
        return len(self.arcs[state]) > _DECORATIONS

    def accepts(self, sentence: Iterable[str]) -> bool:
        """Whether ``sentence`` is complete."""
        state = self.follow(sentence)
        return state is not None and self.final[state]


@dataclass(slots=True)
class _Nfa:
    words: list[list[tuple[str, int]]] = field(default_factory=lambda: [[]])
    empty: list[list[int]] = field(default_factory=lambda: [[]])

    def state(self) -> int:
        if len(self.words) >= MOST_STATES:
            raise GrammarTooLargeError("too many words in the utterances of the tools")
        self.words.append([])
        self.empty.append([])
        return len(self.words) - 1

    def phrase(self, source: int, phrase: Sequence[str], target: int) -> None:
        for word in phrase:
            following = self.state()
            self.words[source].append((word, following))
            source = following
        self.empty[source].append(target)

    def node(self, source: int, node: patterns.Node, target: int, values: Values) -> None:
        match node:
            case patterns.Word(text):
                self.words[source].append((text, target))
            case patterns.Slot(name):
                for phrase in values(name):
                    self.phrase(source, phrase, target)
            case patterns.Sequence(parts):
                for part in parts:
                    following = self.state()
                    self.node(source, part, following, values)
                    source = following
                self.empty[source].append(target)
            case patterns.Choice(options):
                for option in options:
                    self.node(source, option, target, values)

    def closure(self, states: Iterable[int]) -> frozenset[int]:
        seen = set(states)
        waiting = list(seen)
        while waiting:
            for following in self.empty[waiting.pop()]:
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
        return frozenset(seen)


def build(sentences: Iterable[tuple[patterns.Node, Values]]) -> Automaton:
    """Return the automaton of everything the patterns say.

    Args:
        sentences: A pattern and what its slots may say.

    Raises:
        GrammarTooLargeError: More than ``MOST_STATES`` states are needed.
    """
    nfa = _Nfa()
    end = nfa.state()
    for node, values in sentences:
        begin = nfa.state()
        nfa.empty[0].append(begin)
        nfa.node(begin, node, end, values)
    return _minimise(*_determinise(nfa, end))


def _determinise(nfa: _Nfa, end: int) -> tuple[list[dict[str, int]], list[bool]]:
    start = nfa.closure([0])
    numbers = {start: 0}
    order = [start]
    arcs: list[dict[str, int]] = []
    for subset in order:
        reached: dict[str, set[int]] = {}
        for state in subset:
            for word, following in nfa.words[state]:
                reached.setdefault(word, set()).add(following)
        row = {}
        for word in sorted(reached):
            target = nfa.closure(reached[word])
            if target not in numbers:
                if len(order) >= MOST_STATES:
                    raise GrammarTooLargeError("the utterances of the tools overlap too much")
                numbers[target] = len(order)
                order.append(target)
            row[word] = numbers[target]
        arcs.append(row)
    return arcs, [end in subset for subset in order]


def _minimise(arcs: list[dict[str, int]], final: list[bool]) -> Automaton:
    """Merge states that accept the same endings; patterns have no loops, so bottom up."""
    canonical: dict[tuple[bool, tuple[tuple[str, int], ...]], int] = {}
    merged: dict[int, int] = {}
    for state in _bottom_up(arcs):
        row = tuple(sorted((word, merged[target]) for word, target in arcs[state].items()))
        merged[state] = canonical.setdefault((final[state], row), len(canonical))
    # The start is merged last, so the numbers are turned round to make it 0.
    last = len(canonical) - 1
    rows = list(canonical)
    return Automaton(
        tuple(
            {word: last - target for word, target in rows[last - state][1]}
            for state in range(len(rows))
        ),
        tuple(rows[last - state][0] for state in range(len(rows))),
    )


def _bottom_up(arcs: list[dict[str, int]]) -> list[int]:
    order: list[int] = []
    entered = [False] * len(arcs)
    stack = [(0, iter(arcs[0].values()))]
    entered[0] = True
    while stack:
        state, targets = stack[-1]
        for target in targets:
            if not entered[target]:
                entered[target] = True
                stack.append((target, iter(arcs[target].values())))
                break
        else:
            order.append(state)
            stack.pop()
    return order
