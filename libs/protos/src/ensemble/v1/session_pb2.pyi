import datetime

from ensemble.v1 import common_pb2 as _common_pb2
from ensemble.v1 import stt_service_pb2 as _stt_service_pb2
from ensemble.v1 import tool_pb2 as _tool_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HistoryRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HISTORY_ROLE_UNSPECIFIED: _ClassVar[HistoryRole]
    HISTORY_ROLE_USER: _ClassVar[HistoryRole]
    HISTORY_ROLE_ASSISTANT: _ClassVar[HistoryRole]
HISTORY_ROLE_UNSPECIFIED: HistoryRole
HISTORY_ROLE_USER: HistoryRole
HISTORY_ROLE_ASSISTANT: HistoryRole

class SessionConfig(_message.Message):
    __slots__ = ("input_audio", "output_audio", "turn_detection", "language", "voice", "model", "instructions", "client_tools", "max_output_tokens", "budget_id", "manual_response", "interim_results")
    INPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    TURN_DETECTION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTIONS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TOOLS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    MANUAL_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    INTERIM_RESULTS_FIELD_NUMBER: _ClassVar[int]
    input_audio: _common_pb2.AudioFormat
    output_audio: _common_pb2.AudioFormat
    turn_detection: _stt_service_pb2.TurnDetection
    language: str
    voice: str
    model: str
    instructions: str
    client_tools: _containers.RepeatedCompositeFieldContainer[_tool_pb2.ToolSpec]
    max_output_tokens: int
    budget_id: str
    manual_response: bool
    interim_results: bool
    def __init__(self, input_audio: _Optional[_Union[_common_pb2.AudioFormat, _Mapping]] = ..., output_audio: _Optional[_Union[_common_pb2.AudioFormat, _Mapping]] = ..., turn_detection: _Optional[_Union[_stt_service_pb2.TurnDetection, str]] = ..., language: _Optional[str] = ..., voice: _Optional[str] = ..., model: _Optional[str] = ..., instructions: _Optional[str] = ..., client_tools: _Optional[_Iterable[_Union[_tool_pb2.ToolSpec, _Mapping]]] = ..., max_output_tokens: _Optional[int] = ..., budget_id: _Optional[str] = ..., manual_response: _Optional[bool] = ..., interim_results: _Optional[bool] = ...) -> None: ...

class HistoryItem(_message.Message):
    __slots__ = ("role", "text")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    role: HistoryRole
    text: str
    def __init__(self, role: _Optional[_Union[HistoryRole, str]] = ..., text: _Optional[str] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("session_id", "config", "create_time", "update_time", "last_sequence", "turn_count", "answering", "unreadable")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TURN_COUNT_FIELD_NUMBER: _ClassVar[int]
    ANSWERING_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    config: SessionConfig
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    last_sequence: int
    turn_count: int
    answering: bool
    unreadable: bool
    def __init__(self, session_id: _Optional[str] = ..., config: _Optional[_Union[SessionConfig, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_sequence: _Optional[int] = ..., turn_count: _Optional[int] = ..., answering: _Optional[bool] = ..., unreadable: _Optional[bool] = ...) -> None: ...

class SessionAudit(_message.Message):
    __slots__ = ("session_id", "intact", "events", "erased", "first_bad_sequence", "chain_head")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    INTACT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    FIRST_BAD_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CHAIN_HEAD_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    intact: bool
    events: int
    erased: int
    first_bad_sequence: int
    chain_head: bytes
    def __init__(self, session_id: _Optional[str] = ..., intact: _Optional[bool] = ..., events: _Optional[int] = ..., erased: _Optional[int] = ..., first_bad_sequence: _Optional[int] = ..., chain_head: _Optional[bytes] = ...) -> None: ...
