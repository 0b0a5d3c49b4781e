"""What the quick rules let through, the engine lets through too: for every request there is."""

import random

import protovalidate
import pytest
from google.protobuf import message_factory

from ensemble.runtime.interceptors.quick_rules import plan_of
from ensemble.v1 import (
    common_pb2,
    gateway_service_pb2,
    model_router_service_pb2,
    orchestrator_service_pb2,
    session_events_pb2,
    session_pb2,
    stt_service_pb2,
    tool_pb2,
    tool_server_service_pb2,
    tts_service_pb2,
    world_model_service_pb2,
)

pytestmark = pytest.mark.unit

MODULES = (
    common_pb2,
    gateway_service_pb2,
    model_router_service_pb2,
    orchestrator_service_pb2,
    session_events_pb2,
    session_pb2,
    stt_service_pb2,
    tool_pb2,
    tool_server_service_pb2,
    tts_service_pb2,
    world_model_service_pb2,
)
TYPES = [
    descriptor
    for module in MODULES
    for descriptor in module.DESCRIPTOR.message_types_by_name.values()
]
TEXTS = ("", "a", "x" * 64, "x" * 65, "é" * 40, "ses_1", "a b", "9" * 300, "\n", "a\n", "x" * 5000)
NUMBERS = (0, 0, 1, 2, 5, 999, 1001, 200_000)


def fill(message, rng, depth=0):
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.6 or depth > 3:
            continue
        if field.message_type is not None:
            if field.message_type.GetOptions().map_entry:
                continue
            if field.is_repeated:
                for _ in range(rng.randint(0, 2)):
                    fill(getattr(message, field.name).add(), rng, depth + 1)
            else:
                child = getattr(message, field.name)
                child.SetInParent()
                fill(child, rng, depth + 1)
            continue
        values = [_value(field, rng) for _ in range(rng.choice((0, 1, 2, 300)))]
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, _value(field, rng))


def _value(field, rng):
    if field.type == field.TYPE_STRING:
        return rng.choice(TEXTS)
    if field.type == field.TYPE_BYTES:
        return b"x" * rng.choice((0, 1, 100))
    if field.type == field.TYPE_BOOL:
        return rng.random() < 0.5
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return rng.choice((0.0, 0.5, 1.5, 3.0, 99.0, -1.0, float("nan")))
    if field.type == field.TYPE_ENUM:
        return rng.choice((0, 1, 2, 77))
    return rng.choice(NUMBERS)


@pytest.mark.parametrize("descriptor", TYPES, ids=lambda d: d.name)
def test_the_quick_rules_are_never_more_lenient_than_the_engine(descriptor):
    rng = random.Random(descriptor.name)
    engine = protovalidate.Validator()
    plan = plan_of(descriptor, {})
    make = message_factory.GetMessageClass(descriptor)
    for attempt in range(60):
        message = make()
        if attempt:
            fill(message, rng)
        violations = engine.collect_violations(message)
        if plan.surely_met_by(message):
            assert not violations, message
        if not plan.has_rules:
            assert not violations, message


def test_ordinary_requests_never_need_the_engine():
    plans = {}
    audio = stt_service_pb2.RecognizeRequest(event_id="e1", sequence=7)
    audio.audio.data = b"\0" * 640
    question = world_model_service_pb2.QueryRequest(kind="device", name="lamp")
    session = gateway_service_pb2.GetSessionRequest(session_id="ses_1")
    for message in (audio, question, session):
        plan = plan_of(message.DESCRIPTOR, plans)
        assert plan.has_rules
        assert plan.surely_met_by(message)


def test_the_starts_of_streams_never_need_the_engine():
    tool = tool_pb2.ToolSpec(name="set_device", input_schema_json="{}")
    form = common_pb2.AudioFormat(encoding=1, sample_rate_hertz=16000, channel_count=1)
    config = session_pb2.SessionConfig(input_audio=form, client_tools=[tool])
    start = session_events_pb2.SessionStart(config=config)
    event = session_events_pb2.ClientEvent(start=start)
    call = tool_pb2.ToolCall(call_id="c1", name="set_device", arguments_json="{}")
    said = model_router_service_pb2.ChatMessage(role=2, text="x", tool_calls=[call])
    chat = model_router_service_pb2.ChatStart(messages=[said], tools=[tool])
    recognize = stt_service_pb2.RecognizeStart(format=form, tools=[tool])
    device = world_model_service_pb2.Entity(kind="device", name="kitchen light")
    for message in (
        gateway_service_pb2.ConverseRequest(event=event),
        orchestrator_service_pb2.RunSessionRequest(event=event),
        model_router_service_pb2.ChatRequest(start=chat),
        stt_service_pb2.RecognizeRequest(start=recognize),
        world_model_service_pb2.ObserveRequest(entities=[device]),
    ):
        assert plan_of(message.DESCRIPTOR, {}).surely_met_by(message), message


def test_a_name_with_a_newline_is_left_to_the_engine():
    tool = tool_pb2.ToolSpec(name="set_device\n", input_schema_json="{}")
    assert not plan_of(tool.DESCRIPTOR, {}).surely_met_by(tool)
