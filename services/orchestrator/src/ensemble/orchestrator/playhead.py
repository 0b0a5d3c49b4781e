"""How far a client has played a speech: as it reports, or else as the clock says."""

import asyncio
from typing import Final

_REPORT_LIFE: Final = 1.0
"""Seconds after which a report is old and playback is taken to have gone on by the clock."""

_DOUBT_S: Final = 5.0
"""Seconds after which a client that reports no more is taken to have gone on playing. Longer than
it takes to notice that it is gone, 2.5 s, after a report that was not its last: what it did not
hear is then sent again."""


class Playhead:
    """Where playback is, in samples of the speech. It never passes what was sent.

    Args:
        rate: Samples a second.
    """

    def __init__(self, rate: int) -> None:
        self.sent = 0
        self._rate = rate
        self._loop = asyncio.get_running_loop()
        self._base = 0
        self._base_time = 0.0
        self._reported = False
        self._confirmed = 0
        self._confirmed_time = 0.0
        self._paused = False

    @property
    def paused(self) -> bool:
        """Nobody is there to hear it."""
        return self._paused

    def begin(self) -> None:
        """The first of it is sent now."""
        self._base_time = self._confirmed_time = self._loop.time()

    def report(self, played: int) -> None:
        """The client has played so many samples."""
        self._place(min(played, self.sent))
        self._reported = True

    def pass_over(self, sample: int) -> None:
        """Take what is before ``sample`` as sent and played."""
        self.sent = sample
        self._place(sample)

    def pause(self, reports: bool) -> None:
        """Nobody is there any more; ``reports`` as for ``certain``."""
        if not self._paused:
            self._base = self.certain(reports)
            self._paused = True

    def resumes_at(self, played: int | None) -> int:
        """Return from where it goes on for somebody who has played so much, or did not say."""
        return self._base if played is None else min(played, self.sent)

    def resume(self, heard: int, sent: int, *, reported: bool) -> None:
        """Somebody is there again.

        Args:
            heard: Where playback is.
            sent: Samples sent, without those that are sent again.
            reported: They said how much they had played.
        """
        self.sent = sent
        self._place(heard)
        self._reported = self._reported or reported
        self._paused = False

    def stop(self, grace_s: float) -> None:
        """Playback ends here, unless a report within ``grace_s`` says otherwise."""
        self._base, self._base_time = self.position(), self._loop.time() + grace_s

    @property
    def stopped_at(self) -> int:
        """Where playback was when that was last said or taken stock of."""
        return self._base

    def position(self) -> int:
        """Return the samples taken to have been played by now."""
        if self._paused or not self.sent:
            return self._base
        now = self._loop.time()
        grace = _REPORT_LIFE if self._reported else 0.0
        elapsed = max(now - self._base_time - grace, 0.0)
        position = self._base + int(elapsed * self._rate)
        if position > self.sent:
            # Everything sent was played: the clock stands until there is more.
            self._base, self._base_time = self.sent, now - grace
            return self.sent
        return position

    def certain(self, reports: bool) -> int:
        """Return the samples of which it is certain enough that they were heard.

        Args:
            reports: The client is one that reports, even if it has not yet done so for this.
        """
        silent_s = self._loop.time() - self._confirmed_time
        if (self._reported or reports) and not self._paused and silent_s < _DOUBT_S:
            return self._confirmed
        return self.position()

    def _place(self, sample: int) -> None:
        self._base, self._base_time = sample, self._loop.time()
        self._confirmed, self._confirmed_time = self._base, self._base_time
