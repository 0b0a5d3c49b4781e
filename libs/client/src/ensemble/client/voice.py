"""A spoken turn from a recording: feed it at its own speed, gather the spoken answer."""

import asyncio
import io
import wave
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ensemble.client.answers import Answer, AnswerBuilder
from ensemble.client.client import EnsembleClient
from ensemble.client.conversation import PATIENCE_S, Conversation, Gap
from ensemble.client.failures import raise_failed
from ensemble.core.errors import (
    DeadlineExceededError,
    EnsembleError,
    InvalidAudioError,
    PeerLostError,
)
from ensemble.transport.status import from_status
from ensemble.v1 import common_pb2, session_events_pb2, session_pb2

OUTPUT_RATE = 22050
_FRAME_SECONDS = 0.02
_TAIL_SECONDS = 1.5
"""Silence fed after the recording, so that its last word is followed by a pause."""

_DECISION_SECONDS = 10.0
"""Seconds after the recording within which the recogniser has said something about it."""

_PATIENCE = 60.0
"""Seconds to wait for the end of the answer after that."""


@dataclass(frozen=True)
class Recording:
    """A WAV file's samples: interleaved 16-bit PCM."""

    pcm: bytes
    rate: int
    channels: int


@dataclass(frozen=True)
class SpokenAnswer:
    """What came of a spoken turn.

    Attributes:
        answer: The answer as text, tools and usage.
        transcript: What was understood; empty when it was rejected.
        pcm: The spoken answer, mono 16-bit PCM at ``rate`` samples a second.
        rate: Samples a second of ``pcm``.
        trouble: What failed on the way without ending the turn, such as a voice that was lost
            in the middle of the answer.
    """

    answer: Answer
    transcript: str
    pcm: bytes
    rate: int
    trouble: tuple[EnsembleError, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the form that ``ensemble talk --json`` prints."""
        return {**self.answer.as_json(), "transcript": self.transcript}

    def as_wav(self) -> bytes:
        """Return the spoken answer as a WAV file."""
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(self.pcm)
        return out.getvalue()


def read_wav(data: bytes) -> Recording:
    """Read a 16-bit WAV file; InvalidAudioError when it is anything else or cut short."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            if file.getsampwidth() != 2:
                raise InvalidAudioError("The WAV file must hold 16-bit samples.")
            pcm = file.readframes(file.getnframes())
            if len(pcm) < file.getnframes() * file.getnchannels() * 2:
                raise InvalidAudioError("The WAV file is cut short.")
            if not pcm:
                raise InvalidAudioError("The WAV file holds no audio.")
            return Recording(pcm, file.getframerate(), file.getnchannels())
    except (wave.Error, EOFError) as error:
        raise InvalidAudioError(f"This is not a WAV file: {error}.") from error


async def talk(
    client: EnsembleClient,
    recording: Recording,
    *,
    session_id: str = "",
    real_time: bool = False,
    patience: float = PATIENCE_S,
    connect_within: float = 0.0,
    on_lost: Callable[[EnsembleError], None] | None = None,
    on_gap: Callable[[Gap], None] | None = None,
) -> SpokenAnswer:
    """Say ``recording`` and return the spoken answer.

    Args:
        client: An entered client.
        recording: What to say.
        session_id: Session to join; empty makes one.
        real_time: Feed the audio at the speed at which it was spoken.
        patience, connect_within, on_lost, on_gap: See ``EnsembleClient.converse``.

    Raises:
        EnsembleError: The turn failed, or nobody spoke in the recording.
    """
    config = session_pb2.SessionConfig(
        input_audio=common_pb2.AudioFormat(
            encoding=common_pb2.AUDIO_ENCODING_PCM_S16LE,
            sample_rate_hertz=recording.rate,
            channel_count=recording.channels,
        ),
        output_audio=common_pb2.AudioFormat(
            encoding=common_pb2.AUDIO_ENCODING_PCM_S16LE,
            sample_rate_hertz=OUTPUT_RATE,
            channel_count=1,
        ),
    )
    async with client.converse(
        session_id=session_id,
        config=config,
        playback=session_events_pb2.PlaybackReport(),
        patience=patience,
        connect_within=connect_within,
        on_lost=on_lost,
        on_gap=on_gap,
    ) as conversation:
        heard = asyncio.Event()
        trouble: list[EnsembleError] = []
        feeding = asyncio.create_task(_feed(conversation, recording, real_time))
        listening = asyncio.create_task(_listen(conversation, heard, trouble))
        hearing = asyncio.create_task(heard.wait())
        tasks = {feeding, listening, hearing}
        try:
            await asyncio.wait({feeding, listening}, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                feeding.result()
                await asyncio.wait(
                    {listening, hearing},
                    timeout=_DECISION_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not listening.done() and not heard.is_set():
                    raise (
                        trouble[-1]
                        if trouble
                        else InvalidAudioError("Nobody was heard to speak in this recording.")
                    )
            async with asyncio.timeout(_PATIENCE):
                return await listening
        except TimeoutError as error:
            raise DeadlineExceededError("The answer did not come to its end in time.") from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(conversation: Conversation, recording: Recording, real_time: bool) -> None:
    frame = int(recording.rate * _FRAME_SECONDS)
    step = frame * 2 * recording.channels
    tail = bytes(int(recording.rate * _TAIL_SECONDS) * 2 * recording.channels)
    audio = recording.pcm + tail
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for number, at in enumerate(range(0, len(audio), step)):
        run = audio[at : at + step]
        await conversation.send_audio(run, samples=len(run) // (2 * recording.channels))
        if real_time:
            await asyncio.sleep(max(0.0, begin + (number + 1) * _FRAME_SECONDS - loop.time()))
    await conversation.end_input()


async def _listen(
    conversation: Conversation, heard: asyncio.Event, trouble: list[EnsembleError]
) -> SpokenAnswer:
    builder = AnswerBuilder(conversation.session_id)
    transcript = ""
    turn = ""
    response = ""
    audio = bytearray()
    async for event in conversation:
        kind = event.WhichOneof("event")
        if kind == "input_committed" and not turn:
            turn = event.input_committed.turn_id
            transcript = event.input_committed.text
            heard.set()
        elif kind == "error":
            trouble.append(from_status(event.error))
        elif kind == "response_started" and turn and not response:
            response = event.response_started.response_id
        elif kind == "response_audio_delta":
            delta = event.response_audio_delta
            audio += delta.pcm
            # Nothing is played here, so what has come counts as heard at once.
            await conversation.report_playback(
                delta.response_id, delta.offset_samples + len(delta.pcm) // 2
            )
        if response:
            builder.add(event)
        if builder.done is not None:
            raise_failed(builder.done)
            rate = conversation.started.output_audio.sample_rate_hertz or OUTPUT_RATE
            return SpokenAnswer(builder.build(), transcript, bytes(audio), rate, tuple(trouble))
    raise PeerLostError("The conversation ended before the answer did.")
