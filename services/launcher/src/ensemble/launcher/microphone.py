"""``talk --mic``: the machine's own microphone and loudspeaker."""

import asyncio
import queue
import sys

from ensemble.client import Conversation, EnsembleClient
from ensemble.core.errors import ConfigurationError
from ensemble.launcher.connection import trying
from ensemble.launcher.gap_notice import GapNotice
from ensemble.launcher.loudspeaker import Loudspeaker
from ensemble.launcher.plain import plain
from ensemble.v1 import common_pb2, session_events_pb2, session_pb2

_INPUT_RATE = 16000
_BLOCK = 320
_PENDING_BLOCKS = 250
_SILENT_MICROPHONE = 0.5


def _sounddevice() -> object:
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise ConfigurationError(
            "talk --mic needs the package sounddevice (uv sync --extra mic) and PortAudio "
            "(apt-get install libportaudio2)."
        ) from error
    if not sounddevice.query_devices():
        raise ConfigurationError("This machine has no sound device.")
    return sounddevice


async def converse(client: EnsembleClient, session_id: str, patience: float | None = None) -> int:
    """Talk by voice until Ctrl-C. The loudspeaker goes silent when the person speaks."""
    sound = _sounddevice()
    config = session_pb2.SessionConfig(
        input_audio=common_pb2.AudioFormat(
            encoding=common_pb2.AUDIO_ENCODING_PCM_S16LE,
            sample_rate_hertz=_INPUT_RATE,
            channel_count=1,
        ),
        output_audio=common_pb2.AudioFormat(
            encoding=common_pb2.AUDIO_ENCODING_PCM_S16LE,
            sample_rate_hertz=_INPUT_RATE,
            channel_count=1,
        ),
    )
    heard: queue.Queue[bytes] = queue.Queue(_PENDING_BLOCKS)
    speaker = Loudspeaker()

    def captured(data: object, frames: int, moment: object, status: object) -> None:
        if not heard.full():
            heard.put_nowait(bytes(data))  # type: ignore[call-overload]

    streams = (
        sound.RawInputStream(  # type: ignore[attr-defined]
            samplerate=_INPUT_RATE, channels=1, dtype="int16", blocksize=_BLOCK, callback=captured
        ),
        sound.RawOutputStream(  # type: ignore[attr-defined]
            samplerate=_INPUT_RATE,
            channels=1,
            dtype="int16",
            blocksize=_BLOCK,
            callback=speaker.fill,
        ),
    )
    gaps = GapNotice(lambda line: print(line, file=sys.stderr, flush=True))
    async with client.converse(
        session_id=session_id,
        config=config,
        playback=session_events_pb2.PlaybackReport(),
        on_lost=gaps.lost,
        on_gap=gaps.back,
        **trying(patience),
    ) as conversation:
        with streams[0], streams[1]:
            print("Speak; Ctrl-C leaves.")
            feeder = asyncio.create_task(_feed(conversation, heard))
            reporter = asyncio.create_task(_report(conversation, speaker))
            try:
                await _play(conversation, speaker)
            finally:
                gaps.end()
                feeder.cancel()
                reporter.cancel()
                await asyncio.gather(feeder, reporter, return_exceptions=True)
    return 0


async def _feed(conversation: Conversation, heard: "queue.Queue[bytes]") -> None:
    while True:
        try:
            block = await asyncio.to_thread(heard.get, timeout=_SILENT_MICROPHONE)
        except queue.Empty:
            continue
        await conversation.send_audio(block, samples=len(block) // 2)


async def _report(conversation: Conversation, speaker: Loudspeaker) -> None:
    while True:
        await asyncio.sleep(0.1)
        if speaker.response_id:
            await conversation.report_playback(speaker.response_id, speaker.played)


async def _play(conversation: Conversation, speaker: Loudspeaker) -> None:
    async for event in conversation:
        kind = event.WhichOneof("event")
        if kind == "response_audio_delta":
            delta = event.response_audio_delta
            speaker.add(delta.response_id, delta.pcm)
        elif kind == "playback_flush":
            speaker.flush()
            flushed = event.playback_flush.response_id
            await conversation.report_playback(flushed, speaker.heard(flushed))
        elif kind == "input_committed":
            print(f"you: {plain(event.input_committed.text) or '(not understood)'}")
        elif kind == "response_text_done":
            print(f"ensemble: {plain(event.response_text_done.text)}")
        elif kind == "notice":
            print(f"* {plain(event.notice.text)}")
        elif kind == "error":
            print(f"ensemble: warning: {plain(event.error.message)}", file=sys.stderr)
