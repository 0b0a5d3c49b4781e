import json
import random

import pytest

from ensemble.core.errors import EngineFailedError
from ensemble.model_router.domain import ToolCall, ToolCallDelta
from ensemble.model_router.markers import MarkerParser, StopFilter, format_call, strip_markers

pytestmark = pytest.mark.unit

ARGUMENTS = '{"room": "kitchen", "note": "a } \\" { brace", "deep": {"x": [1, {"y": 2}]}}'


def read(text, sizes=None, cut_short=False, **options):
    parser = MarkerParser(**options)
    parts = []
    at = 0
    while at < len(text):
        size = sizes() if sizes else len(text)
        parts += parser.feed(text[at : at + size])
        at += size
    parts += parser.finish(cut_short=cut_short)
    plain = "".join(p for p in parts if isinstance(p, str))
    deltas = "".join(p.arguments_json for p in parts if isinstance(p, ToolCallDelta))
    calls = [p for p in parts if isinstance(p, ToolCall)]
    return parser, plain, deltas, calls


def test_plain_text_passes_through_and_loses_outer_white_space():
    parser, plain, _, calls = read(" \n The lamp\n is on. \n")
    assert plain == "The lamp\n is on."
    assert not calls
    assert not parser.declined


def test_text_that_continues_keeps_its_leading_space():
    assert read(" is on.", continuing=True)[1] == " is on."


def test_a_decline_is_noted_and_its_marker_taken_off():
    parser, plain, _, _ = read("<decline>I cannot do that.")
    assert parser.declined
    assert plain == "I cannot do that."


def test_a_decline_marker_inside_the_text_declines_nothing():
    parser, plain, _, _ = read("The word <decline>is odd.")
    assert not parser.declined
    assert plain == "The word is odd."


@pytest.mark.parametrize("seed", range(30))
def test_a_call_reads_the_same_however_the_stream_is_cut(seed):
    chance = random.Random(seed)
    text = "One moment.\n" + format_call("set_device", ARGUMENTS) + "\n" + format_call("now", "{}")
    _, plain, deltas, calls = read(text, lambda: chance.randint(1, 9))
    assert plain == "One moment."
    assert [(c.name, c.arguments_json) for c in calls] == [("set_device", ARGUMENTS), ("now", "{}")]
    assert deltas == ARGUMENTS + "{}"
    assert calls[0].call_id != calls[1].call_id


def test_a_call_that_was_complete_needs_no_closing_marker():
    calls = read('<tool_call>{"name": "now", "arguments": {}}')[3]
    assert [c.name for c in calls] == ["now"]


def test_a_call_cut_short_is_dropped():
    half = '<tool_call>\n{"name": "now", "arguments": {"a'
    assert read(half, cut_short=True)[3] == []
    with pytest.raises(EngineFailedError):
        read(half)


def test_a_closing_marker_inside_a_string_closes_nothing():
    arguments = '{"text": "a </tool_call> b"}'
    (call,) = read(format_call("say", arguments))[3]
    assert call.arguments_json == arguments


@pytest.mark.parametrize(
    "body",
    [
        '{"arguments": {"a": 1}, "name": "t"}',
        '{"name": "t", "parameters": {"a": 1}}',
        '{"name": "t", "arguments": "{\\"a\\": 1}"}',
    ],
)
def test_other_spellings_of_a_call_are_understood(body):
    (call,) = read(f"<tool_call>{body}</tool_call>")[3]
    assert (call.name, json.loads(call.arguments_json)) == ("t", {"a": 1})


@pytest.mark.parametrize(
    "body", ["no json", '{"name": "t"', '{"name": 3}', '{"name": "t", "arguments": [1]}', "[]"]
)
def test_a_call_that_cannot_be_read_is_a_typed_error(body):
    with pytest.raises(EngineFailedError):
        read(f"<tool_call>{body}</tool_call>")


def test_markers_are_stripped_also_when_removing_one_makes_another():
    assert strip_markers("a<tool<tool_call>_call>b<decline>c") == "abc"


def test_stop_strings_cut_the_text_wherever_the_stream_does():
    text = "one two STOP three"
    for cut in range(len(text)):
        stops = StopFilter(("STOP", ""))
        out = stops.feed(text[:cut])
        if not stops.hit:
            out += stops.feed(text[cut:])
        assert out + stops.finish() == "one two "
        assert stops.hit


def test_the_beginning_of_a_stop_string_at_the_end_is_text():
    stops = StopFilter(("STOP",))
    assert stops.feed("no ST") + stops.finish() == "no ST"
