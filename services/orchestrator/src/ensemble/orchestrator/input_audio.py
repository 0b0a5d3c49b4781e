"""Audio of a session that no turn has taken in yet, kept in case it must be heard again."""

import enum
from collections import deque
from dataclasses import dataclass

from ensemble.core.errors import InvalidAudioError, UnsupportedAudioFormatError
from ensemble.v1 import common_pb2, session_events_pb2


class Mark(enum.Enum):
    """What a client says about its audio, in line with it."""

    AUDIO = "audio"
    END = "end"
    CLEAR = "clear"
    FINISH = "finish"


@dataclass(slots=True, frozen=True)
class Piece:
    """A run of audio, or a mark between two runs.

    Attributes:
        end: Samples of the session up to its end.
    """

    mark: Mark
    end: int
    data: bytes = b""


def check_formats(config_input: common_pb2.AudioFormat) -> None:
    """Refuse audio that cannot be read.

    Raises:
        UnsupportedAudioFormatError: The encoding, rate or number of channels.
    """
    if config_input.encoding == common_pb2.AUDIO_ENCODING_WAV:
        return
    if config_input.encoding != common_pb2.AUDIO_ENCODING_PCM_S16LE:
        raise UnsupportedAudioFormatError("Input audio must be PCM_S16LE or WAV.")
    if not 8000 <= config_input.sample_rate_hertz <= 192_000:
        raise UnsupportedAudioFormatError("Input audio must have 8000 to 192000 samples a second.")
    if config_input.channel_count not in (1, 2):
        raise UnsupportedAudioFormatError("Input audio must have one or two channels.")


class InputAudio:
    """Puts runs of audio in line, without those that came before.

    Args:
        audio_format: What the client sends.
        accepted: Samples that are safe already.
        limit_s: Audio kept at most; older audio is given up.
    """

    def __init__(
        self,
        audio_format: common_pb2.AudioFormat,
        accepted: int,
        limit_s: float,
    ) -> None:
        # A WAV stream is known by its header alone: it is passed on as it is, uncounted.
        counted = audio_format.encoding != common_pb2.AUDIO_ENCODING_WAV
        self._frame_bytes = 2 * audio_format.channel_count if counted else 0
        self.rate = audio_format.sample_rate_hertz if counted else 0
        self._limit = int(limit_s * self.rate)
        self.received = accepted
        self._gap_said = False
        self._pieces: deque[Piece] = deque()
        self._next = 0

    @property
    def counted(self) -> bool:
        """Samples are counted; audio that was lost can be heard again."""
        return self._frame_bytes > 0

    @property
    def first(self) -> int:
        """Samples of the session before the audio that is kept."""
        for piece in self._pieces:
            if piece.mark is Mark.AUDIO:
                return piece.end - self._samples(piece.data)
        return self.received

    @property
    def unheard(self) -> int:
        """Pieces that nobody has listened to yet."""
        return len(self._pieces) - self._next

    def add(self, run: session_events_pb2.InputAudio) -> bool:
        """Put a run in line; False when it came before or was refused.

        Raises:
            InvalidAudioError: It is not whole frames, or audio before it is missing. A gap
                is said once; what follows is refused until it is filled.
        """
        data, offset = run.data, run.offset_samples
        if not self.counted:
            self._pieces.append(Piece(Mark.AUDIO, 0, data))
            return True
        if len(data) % self._frame_bytes:
            raise InvalidAudioError("A run of audio does not end with a whole frame.")
        if offset > self.received:
            if self._gap_said:
                return False
            self._gap_said = True
            raise InvalidAudioError(
                f"Audio is missing: sample {self.received} was expected, {offset} came.",
                metadata={"expected": str(self.received), "found": str(offset)},
            )
        self._gap_said = False
        data = data[(self.received - offset) * self._frame_bytes :]
        if not data:
            return False
        self.received += self._samples(data)
        self._pieces.append(Piece(Mark.AUDIO, self.received, data))
        while self._limit and self.received - self.first > self._limit:
            self._drop_first()
        return True

    def mark(self, mark: Mark) -> None:
        """Put a mark behind the audio so far."""
        self._pieces.append(Piece(mark, self.received))

    def next(self) -> Piece | None:
        """Return the next piece to listen to; None when all were."""
        if self._next >= len(self._pieces):
            return None
        piece = self._pieces[self._next]
        self._next += 1
        if not self.counted:
            self._drop_first()
        return piece

    def rewind(self) -> None:
        """Listen to everything that is kept once more."""
        self._next = 0

    def accept(self, samples: int) -> None:
        """Forget audio before ``samples``: it is safe."""
        while self._next and self._pieces and self._pieces[0].end <= samples:
            self._drop_first()

    def clear(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self._next = 0

    def give_up(self, accepted: int) -> None:
        """Forget everything, and expect again what came after ``accepted``."""
        self.clear()
        self.received = accepted

    def _samples(self, data: bytes) -> int:
        return len(data) // self._frame_bytes if self._frame_bytes else 0

    def _drop_first(self) -> None:
        self._pieces.popleft()
        self._next = max(self._next - 1, 0)
