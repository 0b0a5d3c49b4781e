"""Sound that can be read back without doubt.

What a person says is one run of 20 ms for each character, every sample of it the character's code;
a run that is missing, doubled or cut is seen. What the assistant says is some frames of 20 ms for
each word, and each frame holds its number, how many there are, and the word.
"""

import array
from dataclasses import dataclass, field

INPUT_RATE = 16000
INPUT_RUN = INPUT_RATE // 50
OUTPUT_RATE = 8000
OUTPUT_FRAME = OUTPUT_RATE // 50

_BASE = 256
"""Added to whatever is encoded, so that silence is the only zero."""


def say(text: str) -> bytes:
    """Return ``text`` as speech, mono PCM_S16LE at ``INPUT_RATE``."""
    samples = array.array("h")
    for character in text.encode("ascii"):
        samples.extend([_BASE + character] * INPUT_RUN)
    return samples.tobytes()


def understand(pcm: bytes) -> str:
    """Return what was said; ``?`` stands for a run that is not whole."""
    said = []
    samples = array.array("h", pcm)
    at = 0
    while at < len(samples):
        value, begin = samples[at], at
        while at < len(samples) and samples[at] == value:
            at += 1
        if value == 0:
            continue
        runs, rest = divmod(at - begin, INPUT_RUN)
        said.append(chr(value - _BASE) * runs + ("?" if rest else ""))
    return "".join(said)


def frame(word: str, number: int, count: int) -> bytes:
    """Return frame ``number`` of the ``count`` that say ``word``."""
    code = word.encode()
    if len(code) + 3 > OUTPUT_FRAME:
        raise ValueError("the word is too long for one frame")
    values = [_BASE + number, _BASE + count, _BASE + len(code), *(_BASE + byte for byte in code)]
    values += [1] * (OUTPUT_FRAME - len(values))
    return array.array("h", values).tobytes()


@dataclass
class Heard:
    """Words in the order in which they were heard.

    Attributes:
        words: Each as often as it was heard whole.
        faults: What is wrong with the sound: frames that are cut, missing or doubled.
    """

    words: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def hear(pcm: bytes) -> Heard:
    """Read speech back. A last word that is not whole is a fault as well."""
    heard = Heard()
    samples = array.array("h", pcm)
    word, due, count = "", 0, 0
    for at in range(0, len(samples), OUTPUT_FRAME):
        values = samples[at : at + OUTPUT_FRAME]
        if len(values) < OUTPUT_FRAME or values[0] < _BASE:
            heard.faults.append(f"no frame begins at sample {at}")
            return heard
        number, total, size = (value - _BASE for value in values[:3])
        said = bytes(value - _BASE for value in values[3 : 3 + size]).decode()
        if number != due or (due and said != word):
            heard.faults.append(f"frame {number} of {said!r} where frame {due} was due")
        word, count, due = said, total, number + 1
        if due >= count:
            heard.words.append(word)
            due = 0
    if due:
        heard.faults.append(f"{word!r} is cut after frame {due} of {count}")
    return heard
