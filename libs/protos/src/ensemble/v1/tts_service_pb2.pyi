import datetime

from ensemble.v1 import common_pb2 as _common_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SpanGranularity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPAN_GRANULARITY_UNSPECIFIED: _ClassVar[SpanGranularity]
    SPAN_GRANULARITY_WORD: _ClassVar[SpanGranularity]
    SPAN_GRANULARITY_CLAUSE: _ClassVar[SpanGranularity]
SPAN_GRANULARITY_UNSPECIFIED: SpanGranularity
SPAN_GRANULARITY_WORD: SpanGranularity
SPAN_GRANULARITY_CLAUSE: SpanGranularity

class SynthesizeStart(_message.Message):
    __slots__ = ("context", "voice", "language", "sample_rate_hertz", "rate", "initial_credit")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HERTZ_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    INITIAL_CREDIT_FIELD_NUMBER: _ClassVar[int]
    context: _common_pb2.CallContext
    voice: str
    language: str
    sample_rate_hertz: int
    rate: float
    initial_credit: int
    def __init__(self, context: _Optional[_Union[_common_pb2.CallContext, _Mapping]] = ..., voice: _Optional[str] = ..., language: _Optional[str] = ..., sample_rate_hertz: _Optional[int] = ..., rate: _Optional[float] = ..., initial_credit: _Optional[int] = ...) -> None: ...

class SynthesizeText(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class SynthesizeFlush(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SynthesizeInputEnd(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SynthesizeRequest(_message.Message):
    __slots__ = ("event_id", "sequence", "created_at", "caused_by_event_id", "start", "text", "flush", "input_end", "credit", "cancel", "heartbeat")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CAUSED_BY_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    INPUT_END_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    sequence: int
    created_at: _timestamp_pb2.Timestamp
    caused_by_event_id: str
    start: SynthesizeStart
    text: SynthesizeText
    flush: SynthesizeFlush
    input_end: SynthesizeInputEnd
    credit: _common_pb2.Credit
    cancel: _common_pb2.Cancel
    heartbeat: _common_pb2.Heartbeat
    def __init__(self, event_id: _Optional[str] = ..., sequence: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caused_by_event_id: _Optional[str] = ..., start: _Optional[_Union[SynthesizeStart, _Mapping]] = ..., text: _Optional[_Union[SynthesizeText, _Mapping]] = ..., flush: _Optional[_Union[SynthesizeFlush, _Mapping]] = ..., input_end: _Optional[_Union[SynthesizeInputEnd, _Mapping]] = ..., credit: _Optional[_Union[_common_pb2.Credit, _Mapping]] = ..., cancel: _Optional[_Union[_common_pb2.Cancel, _Mapping]] = ..., heartbeat: _Optional[_Union[_common_pb2.Heartbeat, _Mapping]] = ...) -> None: ...

class SynthesizeStarted(_message.Message):
    __slots__ = ("engine", "voice", "format", "granularity")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    GRANULARITY_FIELD_NUMBER: _ClassVar[int]
    engine: str
    voice: str
    format: _common_pb2.AudioFormat
    granularity: SpanGranularity
    def __init__(self, engine: _Optional[str] = ..., voice: _Optional[str] = ..., format: _Optional[_Union[_common_pb2.AudioFormat, _Mapping]] = ..., granularity: _Optional[_Union[SpanGranularity, str]] = ...) -> None: ...

class SynthesizedAudio(_message.Message):
    __slots__ = ("pcm", "offset_samples", "span")
    PCM_FIELD_NUMBER: _ClassVar[int]
    OFFSET_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    pcm: bytes
    offset_samples: int
    span: _common_pb2.TextSpan
    def __init__(self, pcm: _Optional[bytes] = ..., offset_samples: _Optional[int] = ..., span: _Optional[_Union[_common_pb2.TextSpan, _Mapping]] = ...) -> None: ...

class ClauseDone(_message.Message):
    __slots__ = ("span", "offset_samples")
    SPAN_FIELD_NUMBER: _ClassVar[int]
    OFFSET_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    span: _common_pb2.TextSpan
    offset_samples: int
    def __init__(self, span: _Optional[_Union[_common_pb2.TextSpan, _Mapping]] = ..., offset_samples: _Optional[int] = ...) -> None: ...

class SynthesizeDone(_message.Message):
    __slots__ = ("stop_reason", "usage", "samples_sent")
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_SENT_FIELD_NUMBER: _ClassVar[int]
    stop_reason: _common_pb2.StopReason
    usage: _common_pb2.Usage
    samples_sent: int
    def __init__(self, stop_reason: _Optional[_Union[_common_pb2.StopReason, str]] = ..., usage: _Optional[_Union[_common_pb2.Usage, _Mapping]] = ..., samples_sent: _Optional[int] = ...) -> None: ...

class SynthesizeResponse(_message.Message):
    __slots__ = ("event_id", "sequence", "created_at", "caused_by_event_id", "started", "audio", "clause_done", "error", "done", "heartbeat")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CAUSED_BY_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    CLAUSE_DONE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    sequence: int
    created_at: _timestamp_pb2.Timestamp
    caused_by_event_id: str
    started: SynthesizeStarted
    audio: SynthesizedAudio
    clause_done: ClauseDone
    error: _status_pb2.Status
    done: SynthesizeDone
    heartbeat: _common_pb2.Heartbeat
    def __init__(self, event_id: _Optional[str] = ..., sequence: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caused_by_event_id: _Optional[str] = ..., started: _Optional[_Union[SynthesizeStarted, _Mapping]] = ..., audio: _Optional[_Union[SynthesizedAudio, _Mapping]] = ..., clause_done: _Optional[_Union[ClauseDone, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., done: _Optional[_Union[SynthesizeDone, _Mapping]] = ..., heartbeat: _Optional[_Union[_common_pb2.Heartbeat, _Mapping]] = ...) -> None: ...

class ListVoicesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class Voice(_message.Message):
    __slots__ = ("name", "engine", "language", "sample_rate_hertz")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HERTZ_FIELD_NUMBER: _ClassVar[int]
    name: str
    engine: str
    language: str
    sample_rate_hertz: int
    def __init__(self, name: _Optional[str] = ..., engine: _Optional[str] = ..., language: _Optional[str] = ..., sample_rate_hertz: _Optional[int] = ...) -> None: ...

class ListVoicesResponse(_message.Message):
    __slots__ = ("voices", "next_page_token")
    VOICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    voices: _containers.RepeatedCompositeFieldContainer[Voice]
    next_page_token: str
    def __init__(self, voices: _Optional[_Iterable[_Union[Voice, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
