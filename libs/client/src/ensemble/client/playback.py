"""How far the audio of the answer under way has come, and how far it was heard."""

from ensemble.v1 import session_events_pb2

AudioDelta = session_events_pb2.ResponseAudioDelta
PlaybackReport = session_events_pb2.PlaybackReport

_SAMPLE_BYTES = 2


class Playback:
    """Keeps audio whole across a loss: no sample is missing, none comes twice.

    A server that is told how far a person had heard sends from there again; part of that may
    have come already and wait to be played.

    Args:
        reports: What is played will be reported.
    """

    def __init__(self, *, reports: bool) -> None:
        self._current = ""
        self._response_id = ""
        self._received = 0
        self._report: PlaybackReport | None = None
        self._reports = reports

    def begin(self, response_id: str) -> None:
        """An answer begins."""
        self._current = response_id

    def take(self, delta: AudioDelta) -> bool:
        """Cut off what came before; False when nothing is left."""
        if delta.response_id != self._response_id:
            self._response_id, self._received = delta.response_id, 0
        known = max(self._received - delta.offset_samples, 0)
        samples = len(delta.pcm) // _SAMPLE_BYTES
        if known:
            if known >= samples:
                return False
            delta.pcm = delta.pcm[known * _SAMPLE_BYTES :]
            delta.offset_samples += known
        self._received = delta.offset_samples + samples - known
        return True

    def report(self, report: PlaybackReport) -> None:
        """Take note of what was heard."""
        self._report, self._reports = report, True

    def done(self) -> None:
        """The answer is over."""
        self._report = None
        self._current = self._response_id = ""

    def heard(self) -> PlaybackReport | None:
        """Return what to say was heard when the stream is taken up again; None if nothing is said.

        A server that is told nothing goes by its clock, and does not send again what was lost
        on the way. So who reports, and has not yet of this answer, has heard nothing of it; and
        who never reports has heard what came.
        """
        known = self._report
        if known and self._current in ("", known.response_id):
            return known
        if not self._current:
            return PlaybackReport() if self._reports else None
        received = self._received if self._response_id == self._current else 0
        return PlaybackReport(
            response_id=self._current, played_samples=0 if self._reports else received
        )
