"""The grammar against a model that says anything: every call it makes must fit its schema."""

import json

import jsonschema
import pytest

from ensemble.model_router.adapters.llama_engine import LlamaEngine
from ensemble.model_router.domain import StopReason, Tool, ToolCall
from ensemble.model_router.grammar import grammar_of
from ensemble.model_router.markers import MarkerParser

pytestmark = pytest.mark.unit

SCHEMAS = {
    "device": {
        "type": "object",
        "properties": {
            "room": {
                "type": "string",
                "enum": ["kitchen", "living room", 'a "quoted" one', "Küche"],
            },
            "level": {"type": "integer", "minimum": 0, "maximum": 100},
        },
        "required": ["room", "level"],
        "additionalProperties": False,
    },
    "optional": {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": -7, "maximum": 12},
            "b": {"type": "boolean"},
            "c": {"type": "string", "maxLength": 6},
        },
        "required": ["b"],
        "additionalProperties": False,
    },
    "choice": {
        "anyOf": [
            {
                "properties": {"all": {"const": True}},
                "required": ["all"],
                "additionalProperties": False,
            },
            {
                "properties": {"unit": {"enum": ["second", "minute"]}},
                "required": ["unit"],
                "additionalProperties": False,
            },
        ],
        "type": "object",
    },
    "nested": {
        "$defs": {
            "Point": {
                "type": "object",
                "properties": {"x": {"type": "integer", "minimum": 998, "maximum": 1203}},
                "required": ["x"],
                "additionalProperties": False,
            }
        },
        "type": "object",
        "properties": {
            "points": {"type": "array", "items": {"$ref": "#/$defs/Point"}, "maxItems": 3},
            "maybe": {"type": ["string", "null"], "maxLength": 4},
            "number": {"type": "number"},
        },
        "required": ["points", "maybe", "number"],
        "additionalProperties": False,
    },
    "nothing": {"type": "object", "properties": {}, "additionalProperties": False},
    "anything": {"type": "object", "properties": {"value": {}}, "required": ["value"]},
}


def as_tool(name, schema):
    return Tool(name, "", json.dumps(schema))


@pytest.fixture(scope="module")
def engine(random_gguf):
    engine = LlamaEngine(random_gguf, context=2048, threads=1)
    yield engine
    engine.close()


def calls_of(engine, call):
    pieces = []
    generated = engine.generate(call, lambda: False, lambda text, _: pieces.append(text))
    parser = MarkerParser()
    events = [*parser.feed(call.committed_text + "".join(pieces)), *parser.finish(cut_short=True)]
    return generated, [event for event in events if isinstance(event, ToolCall)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_random_model_writes_only_arguments_that_fit(engine, said, name):
    tool = as_tool(name, SCHEMAS[name])
    complete = 0
    for seed in range(12):
        call = said(
            "go", tools=(tool,), temperature=1.0, seed=seed, committed_text="<tool_call>",
            max_output_tokens=700,
        )  # fmt: skip
        generated, calls = calls_of(engine, call)
        assert generated.stop is StopReason.MAX_OUTPUT_TOKENS or calls
        for made in calls:
            assert made.name == name
            jsonschema.validate(json.loads(made.arguments_json), SCHEMAS[name])
            complete += 1
    assert complete >= 4


def test_only_tools_on_offer_are_called(engine, said):
    tools = tuple(as_tool(name, SCHEMAS[name]) for name in ("device", "nothing", "choice"))
    names = set()
    for seed in range(20):
        call = said(
            "go", tools=tools, temperature=1.5, seed=seed, committed_text="<tool_call>\n",
            max_output_tokens=700,
        )  # fmt: skip
        names |= {made.name for made in calls_of(engine, call)[1]}
    assert names <= {"device", "nothing", "choice"}
    assert len(names) > 1


@pytest.mark.parametrize(
    "schema",
    [
        '{"type": "object", "properties": {"a": {"not": {}}}}',
        '{"type": "object", "properties": {"a": {"$ref": "https://example.org/x"}}}',
        '{"type": "object", "required": ["absent"]}',
        '{"type": "object", "properties": {"a": {"$ref": "#"}}}',
        '{"type": "object", "properties": {"a": {"type": "array", "maxItems": 100000}}}',
        "not json",
        "[]",
        "",
    ],
)
def test_a_schema_that_cannot_be_expressed_gets_any_object(engine, said, schema):
    tool = Tool("odd", "", schema)
    _, calls = calls_of(
        engine,
        said(
            "go", tools=(tool,), temperature=1.0, seed=1, committed_text="<tool_call>",
            max_output_tokens=1500,
        ),
    )  # fmt: skip
    for made in calls:
        assert isinstance(json.loads(made.arguments_json), dict)


@pytest.mark.parametrize(
    ("low", "high"), [(1, 120), (0, 0), (-3, 3), (9, 11), (95, 105), (0, 59), (-120, -99)]
)
def test_bounded_integers_are_enumerated_exactly(engine, said, low, high):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": low, "maximum": high}},
        "required": ["n"],
    }
    grammar = grammar_of((as_tool("t", schema),))
    accepted = [n for n in range(low - 130, high + 131) if _accepts(engine, grammar, n)]
    assert accepted == list(range(low, high + 1))


def _accepts(engine, grammar, number):
    """Walk the grammar over a call with this number, a byte token at a time."""
    api = engine._api
    sampler = api.llama_sampler_init_grammar(engine._words.handle, grammar.encode(), b"root")
    assert sampler
    import ctypes

    text = f'{{"name": "t", "arguments": {{"n": {number}}}}}'
    try:
        for token in engine._llama.tokenize(text.encode(), add_bos=False, special=False):
            data = (api.llama_token_data * 1)(api.llama_token_data(token, 0.0, 0.0))
            array = api.llama_token_data_array(data, 1, -1, False)
            api.llama_sampler_apply(sampler, ctypes.byref(array))
            if data[0].logit == float("-inf"):
                return False
            api.llama_sampler_accept(sampler, token)
        return True
    finally:
        api.llama_sampler_free(sampler)
