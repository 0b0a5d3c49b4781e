import json
import re

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from ensemble.core.errors import ToolArgumentsError
from ensemble.tool_server import household
from ensemble.tool_server.toolbox import Offer, Toolbox
from ensemble.v1 import tool_server_service_pb2 as pb

pytestmark = pytest.mark.unit

NAMES = [
    "add_reminder",
    "calculate",
    "cancel_reminder",
    "cancel_timer",
    "get_date",
    "get_device",
    "get_time",
    "list_reminders",
    "list_timers",
    "recall",
    "remember",
    "set_device",
    "set_level",
    "set_timer",
]
OFFERS = {tool.name: Offer(tool) for tool in household.tools(None, None)}


@pytest.fixture(params=NAMES)
def offer(request):
    return OFFERS[request.param]


async def test_lists_the_tools_in_order_of_name_and_in_pages(assistant):
    everything = await assistant.tools.ListTools(pb.ListToolsRequest())
    assert [tool.name for tool in everything.tools] == NAMES
    assert not everything.next_page_token
    found, token = [], ""
    while True:
        request = pb.ListToolsRequest(page_size=4, page_token=token)
        page = await assistant.tools.ListTools(request)
        assert len(page.tools) <= 4
        found += page.tools
        token = page.next_page_token
        if not token:
            break
    assert found == list(everything.tools)


async def test_a_spec_says_everything_about_a_tool(assistant):
    specs = {
        tool.name: tool for tool in (await assistant.tools.ListTools(pb.ListToolsRequest())).tools
    }
    for spec in specs.values():
        assert spec.description.endswith(".")
        assert len(spec.utterances) >= 4
        Draft202012Validator.check_schema(json.loads(spec.input_schema_json))
        Draft202012Validator.check_schema(json.loads(spec.output_schema_json))
    assert specs["get_time"].read_only
    assert specs["set_device"].idempotent
    assert not specs["set_timer"].idempotent
    assert specs["set_timer"].idempotent_by_key
    # What must not be repeated costs a commit before it runs: no household tool is like that.
    assert all(s.idempotent or s.idempotent_by_key or s.read_only for s in specs.values())
    schema = json.loads(specs["set_level"].input_schema_json)
    assert schema["properties"]["level"]["minimum"] == 0
    assert schema["properties"]["level"]["maximum"] == 100
    assert schema["properties"]["room"]["enum"][-1] == "all"
    assert schema["required"] == ["room", "device", "level"]
    assert schema["additionalProperties"] is False


def test_a_schema_accepts_its_examples(offer):
    assert offer.input_schema["examples"]
    for example in offer.tool.examples:
        Draft202012Validator(offer.input_schema).validate(json.loads(example))
        offer.read(example)


def test_a_schema_rejects_what_is_no_arguments(offer):
    validator = Draft202012Validator(offer.input_schema)
    for wrong in wrong_arguments(offer):
        with pytest.raises(ValidationError):
            validator.validate(wrong)
        with pytest.raises(ToolArgumentsError):
            offer.read(json.dumps(wrong))


def wrong_arguments(offer):
    """Every documented example, spoiled in one place each."""
    yield []
    for text in offer.tool.examples:
        example = json.loads(text)
        yield {**example, "surprise": 1}
        for name in offer.input_schema["required"]:
            yield {key: value for key, value in example.items() if key != name}
        for name in example:
            schema = offer.input_schema["properties"][name]
            yield {**example, name: None}
            yield {**example, name: [example[name]]}
            if "enum" in schema:
                yield {**example, name: "nonsense"}
            if schema["type"] == "integer":
                yield {**example, name: schema["minimum"] - 1}
                yield {**example, name: schema["maximum"] + 1}
                yield {**example, name: str(example[name])}
                yield {**example, name: example[name] + 0.5}
            if schema["type"] == "string":
                yield {**example, name: 5}
                yield {**example, name: "" if "enum" not in schema else "x"}
                yield {**example, name: "x" * 5000}
            if schema["type"] == "boolean":
                yield {**example, name: "true"}


def test_patterns_are_balanced_and_name_parameters_of_the_schema(offer):
    for pattern in offer.tool.utterances:
        open_ = []
        for letter in pattern:
            if letter in "([{":
                open_.append(letter)
            elif letter in ")]}":
                assert open_.pop() + letter in ("()", "[]", "{}"), pattern
        assert not open_, pattern
        assert re.fullmatch(r"[a-z0-9' ()\[\]{}|]+", pattern), pattern
        for name in re.findall(r"\{(.*?)\}", pattern):
            schema = offer.input_schema["properties"][name]
            speakable = "enum" in schema or "examples" in schema or schema["type"] == "integer"
            assert speakable, pattern


def test_two_tools_of_one_name_are_refused():
    tools = household.tools(None, None)
    with pytest.raises(ValueError, match="two tools"):
        Toolbox([*tools, tools[0]])
