import datetime

from ensemble.v1 import common_pb2 as _common_pb2
from ensemble.v1 import model_router_service_pb2 as _model_router_service_pb2
from ensemble.v1 import session_pb2 as _session_pb2
from ensemble.v1 import stt_service_pb2 as _stt_service_pb2
from ensemble.v1 import tool_pb2 as _tool_pb2
from ensemble.v1 import tool_server_service_pb2 as _tool_server_service_pb2
from ensemble.v1 import tts_service_pb2 as _tts_service_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionStart(_message.Message):
    __slots__ = ("session_id", "config", "resume_from_sequence", "history", "playback", "request_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    RESUME_FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    PLAYBACK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    config: _session_pb2.SessionConfig
    resume_from_sequence: int
    history: _containers.RepeatedCompositeFieldContainer[_session_pb2.HistoryItem]
    playback: PlaybackReport
    request_id: str
    def __init__(self, session_id: _Optional[str] = ..., config: _Optional[_Union[_session_pb2.SessionConfig, _Mapping]] = ..., resume_from_sequence: _Optional[int] = ..., history: _Optional[_Iterable[_Union[_session_pb2.HistoryItem, _Mapping]]] = ..., playback: _Optional[_Union[PlaybackReport, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class InputAudio(_message.Message):
    __slots__ = ("data", "offset_samples")
    DATA_FIELD_NUMBER: _ClassVar[int]
    OFFSET_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    offset_samples: int
    def __init__(self, data: _Optional[bytes] = ..., offset_samples: _Optional[int] = ...) -> None: ...

class InputText(_message.Message):
    __slots__ = ("item", "text")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    item: int
    text: str
    def __init__(self, item: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class InputEnd(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InputClear(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResponseCreate(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResponseCancel(_message.Message):
    __slots__ = ("response_id",)
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    def __init__(self, response_id: _Optional[str] = ...) -> None: ...

class PlaybackReport(_message.Message):
    __slots__ = ("response_id", "played_samples")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    PLAYED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    played_samples: int
    def __init__(self, response_id: _Optional[str] = ..., played_samples: _Optional[int] = ...) -> None: ...

class ClientEvent(_message.Message):
    __slots__ = ("event_id", "sequence", "created_at", "caused_by_event_id", "start", "input_audio", "input_text", "input_end", "input_clear", "response_create", "response_cancel", "playback_report", "tool_result", "credit", "heartbeat")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CAUSED_BY_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    INPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    INPUT_TEXT_FIELD_NUMBER: _ClassVar[int]
    INPUT_END_FIELD_NUMBER: _ClassVar[int]
    INPUT_CLEAR_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_CREATE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_CANCEL_FIELD_NUMBER: _ClassVar[int]
    PLAYBACK_REPORT_FIELD_NUMBER: _ClassVar[int]
    TOOL_RESULT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    sequence: int
    created_at: _timestamp_pb2.Timestamp
    caused_by_event_id: str
    start: SessionStart
    input_audio: InputAudio
    input_text: InputText
    input_end: InputEnd
    input_clear: InputClear
    response_create: ResponseCreate
    response_cancel: ResponseCancel
    playback_report: PlaybackReport
    tool_result: _tool_pb2.ToolResult
    credit: _common_pb2.Credit
    heartbeat: _common_pb2.Heartbeat
    def __init__(self, event_id: _Optional[str] = ..., sequence: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caused_by_event_id: _Optional[str] = ..., start: _Optional[_Union[SessionStart, _Mapping]] = ..., input_audio: _Optional[_Union[InputAudio, _Mapping]] = ..., input_text: _Optional[_Union[InputText, _Mapping]] = ..., input_end: _Optional[_Union[InputEnd, _Mapping]] = ..., input_clear: _Optional[_Union[InputClear, _Mapping]] = ..., response_create: _Optional[_Union[ResponseCreate, _Mapping]] = ..., response_cancel: _Optional[_Union[ResponseCancel, _Mapping]] = ..., playback_report: _Optional[_Union[PlaybackReport, _Mapping]] = ..., tool_result: _Optional[_Union[_tool_pb2.ToolResult, _Mapping]] = ..., credit: _Optional[_Union[_common_pb2.Credit, _Mapping]] = ..., heartbeat: _Optional[_Union[_common_pb2.Heartbeat, _Mapping]] = ...) -> None: ...

class SessionStarted(_message.Message):
    __slots__ = ("session", "resumed", "output_audio", "playback_lead", "input")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    PLAYBACK_LEAD_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    resumed: bool
    output_audio: _common_pb2.AudioFormat
    playback_lead: _duration_pb2.Duration
    input: InputAccepted
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping]] = ..., resumed: _Optional[bool] = ..., output_audio: _Optional[_Union[_common_pb2.AudioFormat, _Mapping]] = ..., playback_lead: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., input: _Optional[_Union[InputAccepted, _Mapping]] = ...) -> None: ...

class InputAccepted(_message.Message):
    __slots__ = ("samples", "text_items")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    TEXT_ITEMS_FIELD_NUMBER: _ClassVar[int]
    samples: int
    text_items: int
    def __init__(self, samples: _Optional[int] = ..., text_items: _Optional[int] = ...) -> None: ...

class InputCommitted(_message.Message):
    __slots__ = ("turn_id", "text", "spoken", "rejected", "accepted")
    TURN_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SPOKEN_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    turn_id: str
    text: str
    spoken: bool
    rejected: bool
    accepted: InputAccepted
    def __init__(self, turn_id: _Optional[str] = ..., text: _Optional[str] = ..., spoken: _Optional[bool] = ..., rejected: _Optional[bool] = ..., accepted: _Optional[_Union[InputAccepted, _Mapping]] = ...) -> None: ...

class ResponseStarted(_message.Message):
    __slots__ = ("response_id", "turn_id")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    TURN_ID_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    turn_id: str
    def __init__(self, response_id: _Optional[str] = ..., turn_id: _Optional[str] = ...) -> None: ...

class ResponseModel(_message.Message):
    __slots__ = ("response_id", "model")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    model: _model_router_service_pb2.ChatStarted
    def __init__(self, response_id: _Optional[str] = ..., model: _Optional[_Union[_model_router_service_pb2.ChatStarted, _Mapping]] = ...) -> None: ...

class ResponseModelSubstituted(_message.Message):
    __slots__ = ("response_id", "substitution")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSTITUTION_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    substitution: _model_router_service_pb2.ModelSubstituted
    def __init__(self, response_id: _Optional[str] = ..., substitution: _Optional[_Union[_model_router_service_pb2.ModelSubstituted, _Mapping]] = ...) -> None: ...

class ResponseResumed(_message.Message):
    __slots__ = ("response_id",)
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    def __init__(self, response_id: _Optional[str] = ...) -> None: ...

class ResponseModelDone(_message.Message):
    __slots__ = ("response_id", "stop_reason", "outcome", "usage", "tool_calls", "first_output", "latency")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    FIRST_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    stop_reason: _common_pb2.StopReason
    outcome: _common_pb2.Outcome
    usage: _common_pb2.Usage
    tool_calls: int
    first_output: _duration_pb2.Duration
    latency: _duration_pb2.Duration
    def __init__(self, response_id: _Optional[str] = ..., stop_reason: _Optional[_Union[_common_pb2.StopReason, str]] = ..., outcome: _Optional[_Union[_common_pb2.Outcome, str]] = ..., usage: _Optional[_Union[_common_pb2.Usage, _Mapping]] = ..., tool_calls: _Optional[int] = ..., first_output: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ResponseTextDelta(_message.Message):
    __slots__ = ("response_id", "text", "token_count")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    text: str
    token_count: int
    def __init__(self, response_id: _Optional[str] = ..., text: _Optional[str] = ..., token_count: _Optional[int] = ...) -> None: ...

class ResponseTextDone(_message.Message):
    __slots__ = ("response_id", "text")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    text: str
    def __init__(self, response_id: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class ResponseToolCall(_message.Message):
    __slots__ = ("response_id", "call", "executor")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    call: _tool_pb2.ToolCall
    executor: _tool_pb2.ToolExecutor
    def __init__(self, response_id: _Optional[str] = ..., call: _Optional[_Union[_tool_pb2.ToolCall, _Mapping]] = ..., executor: _Optional[_Union[_tool_pb2.ToolExecutor, str]] = ...) -> None: ...

class ResponseToolProgress(_message.Message):
    __slots__ = ("response_id", "progress")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    progress: _tool_server_service_pb2.ToolProgress
    def __init__(self, response_id: _Optional[str] = ..., progress: _Optional[_Union[_tool_server_service_pb2.ToolProgress, _Mapping]] = ...) -> None: ...

class ResponseToolDone(_message.Message):
    __slots__ = ("response_id", "result")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    result: _tool_pb2.ToolResult
    def __init__(self, response_id: _Optional[str] = ..., result: _Optional[_Union[_tool_pb2.ToolResult, _Mapping]] = ...) -> None: ...

class ResponseAudioDelta(_message.Message):
    __slots__ = ("response_id", "pcm", "offset_samples", "span", "granularity")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    PCM_FIELD_NUMBER: _ClassVar[int]
    OFFSET_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    GRANULARITY_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    pcm: bytes
    offset_samples: int
    span: _common_pb2.TextSpan
    granularity: _tts_service_pb2.SpanGranularity
    def __init__(self, response_id: _Optional[str] = ..., pcm: _Optional[bytes] = ..., offset_samples: _Optional[int] = ..., span: _Optional[_Union[_common_pb2.TextSpan, _Mapping]] = ..., granularity: _Optional[_Union[_tts_service_pb2.SpanGranularity, str]] = ...) -> None: ...

class ResponseAudioDone(_message.Message):
    __slots__ = ("response_id", "total_samples")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    total_samples: int
    def __init__(self, response_id: _Optional[str] = ..., total_samples: _Optional[int] = ...) -> None: ...

class PlaybackFlush(_message.Message):
    __slots__ = ("response_id",)
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    def __init__(self, response_id: _Optional[str] = ...) -> None: ...

class ResponseDone(_message.Message):
    __slots__ = ("response_id", "stop_reason", "outcome", "usage", "heard", "error", "begins_anew")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    HEARD_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    BEGINS_ANEW_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    stop_reason: _common_pb2.StopReason
    outcome: _common_pb2.Outcome
    usage: _common_pb2.Usage
    heard: _common_pb2.TextSpan
    error: _status_pb2.Status
    begins_anew: bool
    def __init__(self, response_id: _Optional[str] = ..., stop_reason: _Optional[_Union[_common_pb2.StopReason, str]] = ..., outcome: _Optional[_Union[_common_pb2.Outcome, str]] = ..., usage: _Optional[_Union[_common_pb2.Usage, _Mapping]] = ..., heard: _Optional[_Union[_common_pb2.TextSpan, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., begins_anew: _Optional[bool] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("subject_id", "kind", "text", "due_at")
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    subject_id: str
    kind: str
    text: str
    due_at: _timestamp_pb2.Timestamp
    def __init__(self, subject_id: _Optional[str] = ..., kind: _Optional[str] = ..., text: _Optional[str] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GoingAway(_message.Message):
    __slots__ = ("gateways", "deadline")
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    gateways: _containers.RepeatedScalarFieldContainer[str]
    deadline: _timestamp_pb2.Timestamp
    def __init__(self, gateways: _Optional[_Iterable[str]] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SessionMoved(_message.Message):
    __slots__ = ("owner",)
    OWNER_FIELD_NUMBER: _ClassVar[int]
    owner: str
    def __init__(self, owner: _Optional[str] = ...) -> None: ...

class ServerEvent(_message.Message):
    __slots__ = ("event_id", "sequence", "created_at", "caused_by_event_id", "started", "input_accepted", "speech_started", "speech_ended", "transcript_delta", "input_committed", "response_started", "response_model", "response_model_substituted", "response_text_delta", "response_text_done", "response_tool_call", "response_tool_progress", "response_tool_done", "response_audio_delta", "response_audio_done", "playback_flush", "response_done", "notice", "error", "going_away", "session_moved", "heartbeat", "response_model_done", "response_resumed")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CAUSED_BY_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    INPUT_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    SPEECH_STARTED_FIELD_NUMBER: _ClassVar[int]
    SPEECH_ENDED_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_DELTA_FIELD_NUMBER: _ClassVar[int]
    INPUT_COMMITTED_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_STARTED_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_MODEL_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_MODEL_SUBSTITUTED_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TEXT_DELTA_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TEXT_DONE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TOOL_CALL_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TOOL_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TOOL_DONE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_AUDIO_DELTA_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_AUDIO_DONE_FIELD_NUMBER: _ClassVar[int]
    PLAYBACK_FLUSH_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_DONE_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    GOING_AWAY_FIELD_NUMBER: _ClassVar[int]
    SESSION_MOVED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_MODEL_DONE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_RESUMED_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    sequence: int
    created_at: _timestamp_pb2.Timestamp
    caused_by_event_id: str
    started: SessionStarted
    input_accepted: InputAccepted
    speech_started: _stt_service_pb2.SpeechStarted
    speech_ended: _stt_service_pb2.SpeechEnded
    transcript_delta: _stt_service_pb2.TranscriptDelta
    input_committed: InputCommitted
    response_started: ResponseStarted
    response_model: ResponseModel
    response_model_substituted: ResponseModelSubstituted
    response_text_delta: ResponseTextDelta
    response_text_done: ResponseTextDone
    response_tool_call: ResponseToolCall
    response_tool_progress: ResponseToolProgress
    response_tool_done: ResponseToolDone
    response_audio_delta: ResponseAudioDelta
    response_audio_done: ResponseAudioDone
    playback_flush: PlaybackFlush
    response_done: ResponseDone
    notice: Notice
    error: _status_pb2.Status
    going_away: GoingAway
    session_moved: SessionMoved
    heartbeat: _common_pb2.Heartbeat
    response_model_done: ResponseModelDone
    response_resumed: ResponseResumed
    def __init__(self, event_id: _Optional[str] = ..., sequence: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., caused_by_event_id: _Optional[str] = ..., started: _Optional[_Union[SessionStarted, _Mapping]] = ..., input_accepted: _Optional[_Union[InputAccepted, _Mapping]] = ..., speech_started: _Optional[_Union[_stt_service_pb2.SpeechStarted, _Mapping]] = ..., speech_ended: _Optional[_Union[_stt_service_pb2.SpeechEnded, _Mapping]] = ..., transcript_delta: _Optional[_Union[_stt_service_pb2.TranscriptDelta, _Mapping]] = ..., input_committed: _Optional[_Union[InputCommitted, _Mapping]] = ..., response_started: _Optional[_Union[ResponseStarted, _Mapping]] = ..., response_model: _Optional[_Union[ResponseModel, _Mapping]] = ..., response_model_substituted: _Optional[_Union[ResponseModelSubstituted, _Mapping]] = ..., response_text_delta: _Optional[_Union[ResponseTextDelta, _Mapping]] = ..., response_text_done: _Optional[_Union[ResponseTextDone, _Mapping]] = ..., response_tool_call: _Optional[_Union[ResponseToolCall, _Mapping]] = ..., response_tool_progress: _Optional[_Union[ResponseToolProgress, _Mapping]] = ..., response_tool_done: _Optional[_Union[ResponseToolDone, _Mapping]] = ..., response_audio_delta: _Optional[_Union[ResponseAudioDelta, _Mapping]] = ..., response_audio_done: _Optional[_Union[ResponseAudioDone, _Mapping]] = ..., playback_flush: _Optional[_Union[PlaybackFlush, _Mapping]] = ..., response_done: _Optional[_Union[ResponseDone, _Mapping]] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., going_away: _Optional[_Union[GoingAway, _Mapping]] = ..., session_moved: _Optional[_Union[SessionMoved, _Mapping]] = ..., heartbeat: _Optional[_Union[_common_pb2.Heartbeat, _Mapping]] = ..., response_model_done: _Optional[_Union[ResponseModelDone, _Mapping]] = ..., response_resumed: _Optional[_Union[ResponseResumed, _Mapping]] = ...) -> None: ...
