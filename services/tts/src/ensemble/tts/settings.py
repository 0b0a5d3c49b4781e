"""What can be set from outside, as ``ENSEMBLE_TTS_…``."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the service.

    Attributes:
        engine: Which engine speaks; "auto" takes Piper where a voice for it is found,
            espeak-ng otherwise.
        models: Folder where Piper voices lie; by default the models folder of Ensemble.
        voice: Voice of calls that choose none; by default the engine's first.
        threads: Threads that a Piper voice may compute with.
        max_streams: Calls that may be open at once.
    """

    engine: Literal["auto", "piper", "espeak-ng"] = "auto"
    models: Path | None = None
    voice: str = ""
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    max_streams: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64
