"""Speech on its way to the loudspeaker."""

import threading
from collections import deque


class Loudspeaker:
    """Filled by the event loop, drained by the thread of the sound device.

    Attributes:
        response_id: The response that is being played; empty before the first one.
        played: Samples of it that were played.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, bytearray]] = deque()
        self._lock = threading.Lock()
        self.response_id = ""
        self.played = 0

    def add(self, response_id: str, pcm: bytes) -> None:
        """Have ``pcm``, mono PCM_S16LE, played after what waits."""
        with self._lock:
            if not self._waiting or self._waiting[-1][0] != response_id:
                self._waiting.append((response_id, bytearray()))
            self._waiting[-1][1].extend(pcm)

    def flush(self) -> None:
        """Fall silent."""
        with self._lock:
            self._waiting.clear()

    def heard(self, response_id: str) -> int:
        """Return the samples of a response that were played; 0 for one that is not played yet."""
        with self._lock:
            return self.played if response_id == self.response_id else 0

    def fill(self, out: bytearray, frames: int, moment: object, status: object) -> None:
        """Write the next samples to ``out``, silence behind the last one.

        The signature is that of ``sounddevice``'s callback.
        """
        filled = 0
        with self._lock:
            while self._waiting and filled < len(out):
                response_id, pcm = self._waiting[0]
                if not pcm:
                    self._waiting.popleft()
                    continue
                if response_id != self.response_id:
                    self.response_id, self.played = response_id, 0
                piece = pcm[: len(out) - filled]
                del pcm[: len(piece)]
                out[filled : filled + len(piece)] = piece
                filled += len(piece)
                self.played += len(piece) // 2
        out[filled:] = bytes(len(out) - filled)
