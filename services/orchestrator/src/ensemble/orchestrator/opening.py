"""What a session is made from."""

import hashlib

from ensemble.core.errors import UnsupportedAudioFormatError
from ensemble.eventlog import Append, StreamKey
from ensemble.orchestrator.input_audio import check_formats
from ensemble.orchestrator.stored import CREATED
from ensemble.v1 import common_pb2, orchestrator_service_pb2, session_pb2


def checked(config: session_pb2.SessionConfig, sample_rate: int) -> session_pb2.SessionConfig:
    """Return ``config`` with everything said about its audio.

    Args:
        config: What a client wants.
        sample_rate: Samples a second of speech where it does not say.

    Raises:
        UnsupportedAudioFormatError: It asks for audio that cannot be read or made.
    """
    complete = session_pb2.SessionConfig()
    complete.CopyFrom(config)
    if complete.HasField("input_audio"):
        check_formats(complete.input_audio)
    if complete.HasField("output_audio"):
        audio = complete.output_audio
        if audio.encoding == common_pb2.AUDIO_ENCODING_WAV or audio.channel_count > 1:
            raise UnsupportedAudioFormatError("Speech comes as mono PCM_S16LE.")
        audio.encoding = common_pb2.AUDIO_ENCODING_PCM_S16LE
        audio.channel_count = 1
        audio.sample_rate_hertz = audio.sample_rate_hertz or sample_rate
    return complete


def creation(
    key: StreamKey, owner: str, made: orchestrator_service_pb2.OpenSessionRequest
) -> list[Append]:
    """Return what makes a session: its first event, and which request it was.

    Args:
        key: Its stream, which must be new.
        owner: Whose it is, tenant and principal.
        made: What it is made from.
    """
    payload = made.SerializeToString()
    batch = [Append(key, CREATED, payload, expected_seq=0, owner=owner, own=True)]
    if made.request_id:
        request = request_key(owner, made.request_id)
        batch.append(Append(request, "made", key.name.encode(), expected_seq=0))
    return batch


def request_key(owner: str, request_id: str) -> StreamKey:
    """Return the log stream that says which session a request made."""
    digest = hashlib.sha256(f"{owner}\0{request_id}".encode()).hexdigest()
    return StreamKey("request", digest)
