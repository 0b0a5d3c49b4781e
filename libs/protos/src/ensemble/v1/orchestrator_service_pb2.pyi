from ensemble.v1 import common_pb2 as _common_pb2
from ensemble.v1 import session_pb2 as _session_pb2
from ensemble.v1 import session_events_pb2 as _session_events_pb2
from ensemble.v1 import tool_pb2 as _tool_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunSessionRequest(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _session_events_pb2.ClientEvent
    def __init__(self, event: _Optional[_Union[_session_events_pb2.ClientEvent, _Mapping]] = ...) -> None: ...

class RunSessionResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _session_events_pb2.ServerEvent
    def __init__(self, event: _Optional[_Union[_session_events_pb2.ServerEvent, _Mapping]] = ...) -> None: ...

class HandleTurnRequest(_message.Message):
    __slots__ = ("session_id", "text", "config")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    text: str
    config: _session_pb2.SessionConfig
    def __init__(self, session_id: _Optional[str] = ..., text: _Optional[str] = ..., config: _Optional[_Union[_session_pb2.SessionConfig, _Mapping]] = ...) -> None: ...

class ToolActivity(_message.Message):
    __slots__ = ("call", "result")
    CALL_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    call: _tool_pb2.ToolCall
    result: _tool_pb2.ToolResult
    def __init__(self, call: _Optional[_Union[_tool_pb2.ToolCall, _Mapping]] = ..., result: _Optional[_Union[_tool_pb2.ToolResult, _Mapping]] = ...) -> None: ...

class HandleTurnResponse(_message.Message):
    __slots__ = ("session_id", "response_id", "text", "tools", "stop_reason", "outcome", "usage")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    response_id: str
    text: str
    tools: _containers.RepeatedCompositeFieldContainer[ToolActivity]
    stop_reason: _common_pb2.StopReason
    outcome: _common_pb2.Outcome
    usage: _common_pb2.Usage
    def __init__(self, session_id: _Optional[str] = ..., response_id: _Optional[str] = ..., text: _Optional[str] = ..., tools: _Optional[_Iterable[_Union[ToolActivity, _Mapping]]] = ..., stop_reason: _Optional[_Union[_common_pb2.StopReason, str]] = ..., outcome: _Optional[_Union[_common_pb2.Outcome, str]] = ..., usage: _Optional[_Union[_common_pb2.Usage, _Mapping]] = ...) -> None: ...

class OpenSessionRequest(_message.Message):
    __slots__ = ("config", "history", "request_id")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    config: _session_pb2.SessionConfig
    history: _containers.RepeatedCompositeFieldContainer[_session_pb2.HistoryItem]
    request_id: str
    def __init__(self, config: _Optional[_Union[_session_pb2.SessionConfig, _Mapping]] = ..., history: _Optional[_Iterable[_Union[_session_pb2.HistoryItem, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class OpenSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping]] = ...) -> None: ...

class DescribeSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class DescribeSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping]] = ...) -> None: ...

class FindSessionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class FindSessionsResponse(_message.Message):
    __slots__ = ("sessions", "next_page_token")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[_session_pb2.Session]
    next_page_token: str
    def __init__(self, sessions: _Optional[_Iterable[_Union[_session_pb2.Session, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReadRecordRequest(_message.Message):
    __slots__ = ("session_id", "after_sequence", "follow")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    after_sequence: int
    follow: bool
    def __init__(self, session_id: _Optional[str] = ..., after_sequence: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class ReadRecordResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _session_events_pb2.ServerEvent
    def __init__(self, event: _Optional[_Union[_session_events_pb2.ServerEvent, _Mapping]] = ...) -> None: ...

class AuditRecordRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class AuditRecordResponse(_message.Message):
    __slots__ = ("audit",)
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    audit: _session_pb2.SessionAudit
    def __init__(self, audit: _Optional[_Union[_session_pb2.SessionAudit, _Mapping]] = ...) -> None: ...

class EraseRecordsRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class EraseRecordsResponse(_message.Message):
    __slots__ = ("sessions", "events", "elsewhere")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ELSEWHERE_FIELD_NUMBER: _ClassVar[int]
    sessions: int
    events: int
    elsewhere: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sessions: _Optional[int] = ..., events: _Optional[int] = ..., elsewhere: _Optional[_Iterable[str]] = ...) -> None: ...
