"""The model's own byte-level BPE.

Spaces join a word only after the word itself is merged, so a made-up word has the same pieces
wherever it stands and can be copied from the middle of a sentence to the start of a string.
Digits, punctuation and bytes outside ASCII stay single.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

SPACE = "Ġ"
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKERS = ("<tool_call>", "</tool_call>", "<decline>")
TOOLS = (
    "set_device", "set_level", "get_device", "set_timer", "list_timers", "cancel_timer",
    "add_reminder", "list_reminders", "cancel_reminder", "get_time", "get_date", "calculate",
    "remember", "recall",
)  # fmt: skip
# Frequent pieces of the JSON around a call; one token each keeps a call short.
JSON_PIECES = (
    '{"name": "', '", "arguments": {', '", "', '": "', '": ', ', "', '"}}', '"}', '{"', "}}", "]}",
    '": ["',
)  # fmt: skip
# Tool names that are also English words stay ordinary text.
USER_DEFINED = (*MARKERS, *(name for name in TOOLS if "_" in name), *JSON_PIECES)


def train(texts: Iterable[str], pieces: int = 640, spaced: int = 480) -> Tokenizer:
    """Learns `pieces` merges inside words, then gives the `spaced` commonest a leading space."""
    words = Counter[str]()
    for text in texts:
        words.update(re.findall(r"[A-Za-z]+", text))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.train_from_iterator(
        (word for word, count in words.items() for _ in range(max(1, int(count**0.7)))),
        trainers.BpeTrainer(
            vocab_size=256 + pieces, initial_alphabet=alphabet, show_progress=False
        ),
    )
    learnt = inner.get_vocab()
    merges = _merges(inner)
    starts = Counter[str]()
    for word, count in words.items():
        starts[inner.encode(word).tokens[0]] += count
    tokens = [*CONTROL, *sorted(learnt, key=lambda token: learnt[token])]
    for token, _ in starts.most_common(spaced):
        tokens.append(SPACE + token)
        merges.append((SPACE, token))
    return build(tokens, merges)


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    entries = json.loads(tokenizer.to_str())["model"]["merges"]
    pairs = (entry.split(" ") if isinstance(entry, str) else entry for entry in entries)
    return [(left, right) for left, right in pairs]


def build(tokens: list[str], merges: list[tuple[str, str]]) -> Tokenizer:
    """A tokenizer with these tokens in order, followed by the user-defined ones."""
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in CONTROL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in USER_DEFINED])
    return tokenizer


def load(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))


def merges_of(tokenizer: Tokenizer) -> list[str]:
    """The merges as GGUF stores them: "left right"."""
    return [" ".join(pair) for pair in _merges(tokenizer)]
