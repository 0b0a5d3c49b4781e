import datetime

from ensemble.v1 import common_pb2 as _common_pb2
from ensemble.v1 import tool_pb2 as _tool_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TurnDetection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TURN_DETECTION_UNSPECIFIED: _ClassVar[TurnDetection]
    TURN_DETECTION_VAD: _ClassVar[TurnDetection]
    TURN_DETECTION_MANUAL: _ClassVar[TurnDetection]
TURN_DETECTION_UNSPECIFIED: TurnDetection
TURN_DETECTION_VAD: TurnDetection
TURN_DETECTION_MANUAL: TurnDetection

class RecognizeStart(_message.Message):
    __slots__ = ("context", "format", "language", "turn_detection", "end_silence_ms", "interim_results", "tools", "initial_credit")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TURN_DETECTION_FIELD_NUMBER: _ClassVar[int]
    END_SILENCE_MS_FIELD_NUMBER: _ClassVar[int]
    INTERIM_RESULTS_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_CREDIT_FIELD_NUMBER: _ClassVar[int]
    context: _common_pb2.CallContext
    format: _common_pb2.AudioFormat
    language: str
    turn_detection: TurnDetection
    end_silence_ms: int
    interim_results: bool
    tools: _containers.RepeatedCompositeFieldContainer[_tool_pb2.ToolSpec]
    initial_credit: int
    def __init__(self, context: _Optional[_Union[_common_pb2.CallContext, _Mapping]] = ..., format: _Optional[_Union[_common_pb2.AudioFormat, _Mapping]] = ..., language: _Optional[str] = ..., turn_detection: _Optional[_Union[TurnDetection, str]] = ..., end_silence_ms: _Optional[int] = ..., interim_results: _Optional[bool] = ..., tools: _Optional[_Iterable[_Union[_tool_pb2.ToolSpec, _Mapping]]] = ..., initial_credit: _Optional[int] = ...) -> None: ...

class AudioChunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class RecognizeInputEnd(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RecognizeInputClear(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RecognizeRequest(_message.Message):
    __slots__ = ("event_id", "sequence", "created_at", "caused_by_event_id", "start", "audio", "input_end", "input_clear", "credit", "cancel", "heartbeat")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CAUSED_BY_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    INPUT_END_FIELD_NUMBER: _ClassVar[int]
    INPUT_CLEAR_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    sequence: int
    created_at: _timestamp_pb2.Timestamp
    caused_by_event_id: str
    start: RecognizeStart
    audio: AudioChunk
    input_end: RecognizeInputEnd
    input_clear: RecognizeInputClear
    credit: _common_pb2.Credit
    cancel: _common_pb2.Cancel
    heartbeat: _common_pb2.Heartbeat
    def __init__(self, event_id: _Optional[str] = ..., sequence: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caused_by_event_id: _Optional[str] = ..., start: _Optional[_Union[RecognizeStart, _Mapping]] = ..., audio: _Optional[_Union[AudioChunk, _Mapping]] = ..., input_end: _Optional[_Union[RecognizeInputEnd, _Mapping]] = ..., input_clear: _Optional[_Union[RecognizeInputClear, _Mapping]] = ..., credit: _Optional[_Union[_common_pb2.Credit, _Mapping]] = ..., cancel: _Optional[_Union[_common_pb2.Cancel, _Mapping]] = ..., heartbeat: _Optional[_Union[_common_pb2.Heartbeat, _Mapping]] = ...) -> None: ...

class RecognizeStarted(_message.Message):
    __slots__ = ("engine", "vad")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    VAD_FIELD_NUMBER: _ClassVar[int]
    engine: str
    vad: str
    def __init__(self, engine: _Optional[str] = ..., vad: _Optional[str] = ...) -> None: ...

class SpeechStarted(_message.Message):
    __slots__ = ("offset_samples",)
    OFFSET_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    offset_samples: int
    def __init__(self, offset_samples: _Optional[int] = ...) -> None: ...

class SpeechEnded(_message.Message):
    __slots__ = ("offset_samples",)
    OFFSET_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    offset_samples: int
    def __init__(self, offset_samples: _Optional[int] = ...) -> None: ...

class TranscriptDelta(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class RecognizedWord(_message.Message):
    __slots__ = ("text", "start_samples", "end_samples")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    END_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_samples: int
    end_samples: int
    def __init__(self, text: _Optional[str] = ..., start_samples: _Optional[int] = ..., end_samples: _Optional[int] = ...) -> None: ...

class TranscriptDone(_message.Message):
    __slots__ = ("text", "rejected", "confidence", "language", "start_samples", "end_samples", "words")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    START_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    END_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    text: str
    rejected: bool
    confidence: float
    language: str
    start_samples: int
    end_samples: int
    words: _containers.RepeatedCompositeFieldContainer[RecognizedWord]
    def __init__(self, text: _Optional[str] = ..., rejected: _Optional[bool] = ..., confidence: _Optional[float] = ..., language: _Optional[str] = ..., start_samples: _Optional[int] = ..., end_samples: _Optional[int] = ..., words: _Optional[_Iterable[_Union[RecognizedWord, _Mapping]]] = ...) -> None: ...

class RecognizeDone(_message.Message):
    __slots__ = ("stop_reason", "usage", "samples_read")
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_READ_FIELD_NUMBER: _ClassVar[int]
    stop_reason: _common_pb2.StopReason
    usage: _common_pb2.Usage
    samples_read: int
    def __init__(self, stop_reason: _Optional[_Union[_common_pb2.StopReason, str]] = ..., usage: _Optional[_Union[_common_pb2.Usage, _Mapping]] = ..., samples_read: _Optional[int] = ...) -> None: ...

class RecognizeResponse(_message.Message):
    __slots__ = ("event_id", "sequence", "created_at", "caused_by_event_id", "started", "speech_started", "speech_ended", "transcript_delta", "transcript_done", "error", "done", "heartbeat")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CAUSED_BY_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    SPEECH_STARTED_FIELD_NUMBER: _ClassVar[int]
    SPEECH_ENDED_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_DELTA_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_DONE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    sequence: int
    created_at: _timestamp_pb2.Timestamp
    caused_by_event_id: str
    started: RecognizeStarted
    speech_started: SpeechStarted
    speech_ended: SpeechEnded
    transcript_delta: TranscriptDelta
    transcript_done: TranscriptDone
    error: _status_pb2.Status
    done: RecognizeDone
    heartbeat: _common_pb2.Heartbeat
    def __init__(self, event_id: _Optional[str] = ..., sequence: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caused_by_event_id: _Optional[str] = ..., started: _Optional[_Union[RecognizeStarted, _Mapping]] = ..., speech_started: _Optional[_Union[SpeechStarted, _Mapping]] = ..., speech_ended: _Optional[_Union[SpeechEnded, _Mapping]] = ..., transcript_delta: _Optional[_Union[TranscriptDelta, _Mapping]] = ..., transcript_done: _Optional[_Union[TranscriptDone, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., done: _Optional[_Union[RecognizeDone, _Mapping]] = ..., heartbeat: _Optional[_Union[_common_pb2.Heartbeat, _Mapping]] = ...) -> None: ...
