"""What one turn is made of, whoever takes it."""

import functools
import json
from dataclasses import dataclass
from random import Random
from typing import Final

QUESTION: Final = "Where is my order A-1047, and when will it be here?"
TOOL: Final = "find_order"
ARGUMENTS: Final = json.dumps({"order": "A-1047"})
RESULT: Final = {"order": "A-1047", "state": "on its way", "city": "Lisbon", "days": 2}
_LETTERS: Final = "etaoinshrdlucmfwypvbgk"
_SIZE: Final = 8


def _piece(number: int) -> str:
    """Return the word of this number and a space: all differ, as a store may compress text."""
    random = Random(number)
    return f"{''.join(random.choices(_LETTERS, k=_SIZE - 1))} "


@dataclass(frozen=True)
class Work:
    """One turn.

    Attributes:
        pieces: Of eight characters each, of which the answer is made.
        joined: Pieces that the model hands over at once.
        tool: The model asks for a tool first.
        pause_s: How long the model thinks before it answers.
        piece_s: Seconds between two pieces; 0 hands over all of them without a break.
    """

    pieces: int = 256
    joined: int = 1
    tool: bool = True
    pause_s: float = 0.0
    piece_s: float = 0.0

    @property
    def answer(self) -> list[str]:
        """The answer as the model hands it over."""
        return list(_answer(self.pieces, self.joined))

    @property
    def payload(self) -> int:
        """Bytes of what was said, called and returned in one turn."""
        called = len(TOOL) + len(ARGUMENTS) + len(json.dumps(RESULT)) if self.tool else 0
        return len(QUESTION) + _SIZE * self.pieces + called


@functools.cache
def _answer(pieces: int, joined: int) -> tuple[str, ...]:
    text = [_piece(number) for number in range(pieces)]
    return tuple("".join(text[at : at + joined]) for at in range(0, pieces, joined))
