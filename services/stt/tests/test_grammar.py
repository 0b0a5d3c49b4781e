"""What may be said, from schemas and utterance patterns."""

import json

import pytest

from ensemble.stt import pronunciation
from ensemble.stt.grammar import numbers, patterns
from ensemble.stt.grammar.automaton import Automaton, GrammarTooLargeError
from ensemble.stt.grammar.tools import SpokenTool, build

pytestmark = pytest.mark.unit

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "state": {"type": "string", "enum": ["on", "off"]},
            "room": {"type": "string", "enum": ["kitchen", "living room"]},
            "amount": {"type": "integer", "minimum": 1, "maximum": 120},
            "what": {"type": "string", "examples": ["Call Mum", "channel 4"]},
            "free": {"type": "string"},
        },
    }
)


def _grammar(*utterances: str) -> Automaton:
    return build([SpokenTool("tool", SCHEMA, utterances)])


def _says(grammar: Automaton, sentence: str) -> bool:
    return grammar.accepts(sentence.split())


def test_optional_parts_choices_and_slots() -> None:
    grammar = _grammar("[please] (turn|switch) {state} the {room} light")
    assert _says(grammar, "please switch off the living room light")
    assert _says(grammar, "turn on the kitchen light")
    assert not _says(grammar, "turn the kitchen light")
    assert not _says(grammar, "turn on the living light")
    assert not _says(grammar, "turn on the kitchen light please")


def test_a_choice_of_optional_parts() -> None:
    grammar = _grammar("[please|can you] go")
    assert all(_says(grammar, text) for text in ("go", "please go", "can you go"))
    assert not _says(grammar, "can go")


def test_numbers_are_spoken_in_every_usual_way() -> None:
    grammar = _grammar("{amount} minutes")
    for text in ("one", "twenty five", "one hundred five", "a hundred and twenty", "ninety"):
        assert _says(grammar, f"{text} minutes")
    for text in ("zero", "one hundred twenty one", "twenty", ""):
        assert not _says(grammar, f"{text} hours")
    assert not _says(grammar, "one hundred and twenty one minutes")


def test_examples_are_what_free_text_may_be() -> None:
    grammar = _grammar("remind me to {what}")
    assert _says(grammar, "remind me to call mum")
    assert _says(grammar, "remind me to channel four")
    assert not _says(grammar, "remind me to run")


def test_complete_sentences_that_may_go_on() -> None:
    grammar = _grammar("set it to {amount} [percent] [please]")
    twenty = grammar.follow(["set", "it", "to", "twenty"])
    percent = grammar.follow(["set", "it", "to", "twenty", "percent"])
    assert twenty is not None
    assert grammar.final[twenty]
    assert grammar.is_open(twenty)
    assert percent is not None
    assert not grammar.is_open(percent)


@pytest.mark.parametrize("bad", ["(turn", "turn)", "[on", "{state", "{}", "{free}", "{unknown}"])
def test_a_bad_pattern_does_not_spoil_the_others(bad: str) -> None:
    grammar = _grammar(bad, "hello there")
    assert _says(grammar, "hello there")
    assert len(grammar.arcs) == 3


@pytest.mark.parametrize("schema", ["", "not json", "[]", '{"properties": {"a": 1}}'])
def test_a_schema_that_cannot_be_read(schema: str) -> None:
    assert _says(build([SpokenTool("tool", schema, ("hello",))]), "hello")


def test_no_tools_say_nothing() -> None:
    assert build([]).vocabulary == frozenset()


def test_nesting_has_an_end() -> None:
    with pytest.raises(patterns.PatternError):
        patterns.parse("(" * 40 + "a" + ")" * 40)


def test_a_grammar_that_is_too_large() -> None:
    slots = " ".join(["{amount}"] * 400)
    with pytest.raises(GrammarTooLargeError):
        _grammar(slots)


def test_equal_endings_are_shared() -> None:
    many = _grammar(*(f"{word} {{amount}} minutes" for word in ["alpha", "beta", "gamma"]))
    one = _grammar("alpha {amount} minutes")
    assert len(many.arcs) == len(one.arcs)


def test_numbers_without_words() -> None:
    assert ("nine", "hundred", "and", "ninety", "nine") in numbers.spoken(999)
    for number in (-1, 1000):
        with pytest.raises(ValueError, match="no words"):
            numbers.spoken(number)


def test_words_that_no_dictionary_has_are_spelled_out() -> None:
    assert pronunciation.spell_out("zorb") == ("Z", "AO", "R", "B")
    assert pronunciation.spell_out("blime") == ("B", "L", "AY", "M")
    assert pronunciation.spell_out("r2") == ("R", "T", "UW")
    assert pronunciation.spell_out("'") == ()
