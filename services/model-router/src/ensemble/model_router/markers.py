"""Reads the markers that a model writes into its text: tool calls and declines.

A tool call is ``<tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>``, an answer that
declines starts with ``<decline>``.
"""

import json
import re
from collections.abc import Iterator

from ensemble.core.errors import EngineFailedError
from ensemble.core.ids import new_id
from ensemble.model_router.domain import ToolCall, ToolCallDelta

CALL_OPEN = "<tool_call>"
CALL_CLOSE = "</tool_call>"
DECLINE = "<decline>"
MARKERS = (CALL_OPEN, CALL_CLOSE, DECLINE)

_MARKER = re.compile("|".join(map(re.escape, MARKERS)))
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"\\]{1,64})"\s*,\s*"arguments"\s*:\s*(?=\{)')
_MAX_CALL = 262_144


def strip_markers(text: str) -> str:
    """Return ``text`` without any marker, also none that only appears by removing one."""
    while True:
        stripped = _MARKER.sub("", text)
        if stripped == text:
            return text
        text = stripped


def format_call(name: str, arguments_json: str) -> str:
    """Return a tool call the way a model writes it."""
    return (
        f'{CALL_OPEN}\n{{"name": {json.dumps(name)}, "arguments": {arguments_json}}}\n{CALL_CLOSE}'
    )


class MarkerParser:
    """Turns a stream of text into plain text and tool calls, a piece at a time.

    White space around tool calls and at the ends of the text is dropped; a marker cut in
    two by the stream is held back until it is whole.

    Args:
        continuing: The text goes on behind committed text, so white space at its
            beginning is part of it.
    """

    def __init__(self, *, continuing: bool = False) -> None:
        self.declined = False
        self.calls = 0
        self._held = ""
        self._space = ""
        self._said = continuing
        self._begun = False
        self._call: _CallScanner | None = None

    @property
    def inside_call(self) -> bool:
        """A tool call was opened and not closed."""
        return self._call is not None

    def feed(self, text: str) -> Iterator[str | ToolCallDelta | ToolCall]:
        """Yield what ``text`` completes: pieces of plain text, calls and parts of calls.

        Raises:
            EngineFailedError: A tool call cannot be read.
        """
        self._held += text
        while self._held:
            if self._call is not None:
                held, self._held = self._held, ""
                yield from self._call.feed(held)
                if self._call.closed:
                    self._held = self._call.rest
                    yield self._close_call()
                continue
            found = _MARKER.search(self._held)
            if found is None:
                keep = max(_partial(self._held, marker) for marker in MARKERS)
                cut = len(self._held) - keep
                yield from self._plain(self._held[:cut])
                self._held = self._held[cut:]
                return
            yield from self._plain(self._held[: found.start()])
            self._held = self._held[found.end() :]
            if found[0] == CALL_OPEN:
                self._call = _CallScanner(new_id("call"))
                self._space = ""
            elif found[0] == DECLINE and not self._begun:
                self.declined = True

    def finish(self, *, cut_short: bool = False) -> Iterator[str | ToolCallDelta | ToolCall]:
        """Yield what the end of the text completes.

        Args:
            cut_short: The model did not end by itself; half a call is then dropped.

        Raises:
            EngineFailedError: The model ended in the middle of a call.
        """
        held, self._held = self._held, ""
        if self._call is None:
            yield from self._plain(held)
        elif self._call.complete or not cut_short:
            yield self._close_call()

    def _plain(self, text: str) -> Iterator[str]:
        text = self._space + text
        body = text.rstrip()
        self._space = text[len(body) :]
        if not self._said:
            body = body.lstrip()
        if body:
            self._said = self._begun = True
            yield body

    def _close_call(self) -> ToolCall:
        assert self._call is not None
        call = self._call.result()
        self._call = None
        self.calls += 1
        return call


class StopFilter:
    """Cuts a stream of text at the first of some stop strings.

    Args:
        stop: The strings; empty ones are ignored.
    """

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = tuple(s for s in stop if s)
        self._held = ""
        self.hit = False

    def feed(self, text: str) -> str:
        """Return what of ``text`` may go on; afterwards ``hit`` says whether it ended."""
        if not self._stop:
            return text
        self._held += text
        found = [at for at in map(self._held.find, self._stop) if at >= 0]
        if found:
            self.hit = True
            return self._held[: min(found)]
        keep = max(_partial(self._held, stop) for stop in self._stop)
        cut = len(self._held) - keep
        out, self._held = self._held[:cut], self._held[cut:]
        return out

    def finish(self) -> str:
        """Return what was held back and turned out to be no stop string."""
        held, self._held = self._held, ""
        return "" if self.hit else held


class _CallScanner:
    """Reads the JSON inside one tool call as it is written, up to its closing marker."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._text = ""
        self._name = ""
        self._at = 0
        self._start = -1
        self._end = -1
        self._told = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.closed = False
        self.rest = ""

    @property
    def complete(self) -> bool:
        """The call can be read although it was not closed."""
        try:
            json.loads(self._text)
        except ValueError:
            return False
        return True

    def feed(self, text: str) -> Iterator[ToolCallDelta]:
        """Take more of the body; yield the arguments it adds."""
        self._text += text
        if len(self._text) > _MAX_CALL:
            raise _unreadable()
        if self._start < 0 and (head := _HEAD.match(self._text)) is not None:
            self._name = head[1]
            self._start = self._told = head.end()
        self._scan()
        if self._start >= 0:
            until = self._end if self._end >= 0 else self._at
            if until > self._told:
                yield ToolCallDelta(self._call_id, self._name, self._text[self._told : until])
                self._told = until

    def result(self) -> ToolCall:
        """Return the finished call."""
        if self._end >= 0 and self._text[self._end :].strip() == "}":
            arguments = self._text[self._start : self._end]
            if _is_object(arguments):
                return ToolCall(self._call_id, self._name, arguments)
        # Some models order or name the keys differently, or quote the arguments.
        try:
            body = json.loads(self._text)
            name = body["name"]
            value = body["arguments"] if "arguments" in body else body.get("parameters", {})
        except (ValueError, KeyError, TypeError):
            raise _unreadable() from None
        arguments = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if not isinstance(name, str) or not name or not _is_object(arguments):
            raise _unreadable()
        return ToolCall(self._call_id, name, arguments)

    def _scan(self) -> None:
        while self._at < len(self._text):
            char = self._text[self._at]
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif char == "\\":
                    self._escaped = True
                elif char == '"':
                    self._in_string = False
            elif char == '"':
                self._in_string = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth == 1 and self._end < 0 and 0 <= self._start <= self._at:
                    self._end = self._at + 1
            elif char == "<":
                # Inside a string the marker would be text; here it ends the call.
                marker = self._text[self._at : self._at + len(CALL_CLOSE)]
                if marker == CALL_CLOSE:
                    self.closed = True
                    self.rest = self._text[self._at + len(CALL_CLOSE) :]
                    self._text = self._text[: self._at]
                    return
                if CALL_CLOSE.startswith(marker):
                    return
            self._at += 1


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _unreadable() -> EngineFailedError:
    return EngineFailedError("The model wrote a tool call that cannot be read; try again.")


def _partial(text: str, marker: str) -> int:
    """Return how many characters at the end of ``text`` may begin ``marker``."""
    for size in range(min(len(text), len(marker) - 1), 0, -1):
        if marker.startswith(text[-size:]):
            return size
    return 0
