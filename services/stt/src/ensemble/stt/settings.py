"""What can be set from outside, as ``ENSEMBLE_STT_…``."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the service.

    Attributes:
        engine: Which engine listens; "auto" takes faster-whisper where a Whisper folder is
            found, pocketsphinx otherwise.
        models: Folder where Whisper folders lie; by default the models folder of Ensemble.
        threads: Threads that a Whisper model may compute with.
        max_streams: Calls that may be open at once.
        workers: Utterances that are worked on at the same moment.
        end_silence_ms: Silence that ends an utterance of which the engine cannot say whether
            it is a whole sentence.
        complete_silence_ms: Silence that ends a sentence of the grammar.
        incomplete_silence_ms: Silence that ends a sentence that is visibly unfinished.
    """

    engine: Literal["auto", "pocketsphinx", "faster-whisper"] = "auto"
    models: Path | None = None
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    max_streams: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    end_silence_ms: Annotated[int, msgspec.Meta(ge=64, le=5_000)] = 480
    complete_silence_ms: Annotated[int, msgspec.Meta(ge=64, le=5_000)] = 256
    incomplete_silence_ms: Annotated[int, msgspec.Meta(ge=64, le=5_000)] = 736
