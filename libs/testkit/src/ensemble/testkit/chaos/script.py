"""What is asked in a crash test, and the one right answer to it.

A question says by itself what the answer is to be, so that the model, the client and the checker
agree without talking to each other: ``c3q17 tool 12`` asks client 3's question 17, wants one
run of the journal and then twelve words. Every word of every answer is unique, so that one which
is missing, doubled or out of place is seen.
"""

import re
from dataclasses import dataclass

TOOL = "journal"
"""Name of the unsafe tool that writes a line for each run."""

_FORM = re.compile(r"^(c\d+q\d+) (plain|tool) (\d+)$")


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        key: Which one, unique in a run: ``c<client>q<number>``.
        tool: The journal is to be written before the answer.
        words: Words of the answer.
    """

    key: str
    tool: bool
    words: int

    @property
    def text(self) -> str:
        """How it is asked."""
        return f"{self.key} {'tool' if self.tool else 'plain'} {self.words}"

    @property
    def answer(self) -> str:
        """What is to be answered."""
        return "".join(self.tokens)

    @property
    def tokens(self) -> list[str]:
        """The answer in tokens, which give it back when joined."""
        last = self.words - 1
        return [
            f"{' ' if number else ''}{self.key}w{number}{'.' if number == last else ''}"
            for number in range(self.words)
        ]


def parse(text: str) -> Question | None:
    """Return the question that ``text`` asks; None when it is not one of ours."""
    found = _FORM.match(text.strip())
    if found is None:
        return None
    return Question(found[1], found[2] == "tool", int(found[3]))
