"""Which events to send when: a window of un-receipted frames over the journal, and no second queue. Pure."""

from dataclasses import dataclass
from random import Random

WINDOW = 4
"""Frames without a receipt."""
FRAME = 20
"""Events in one frame."""
RESEND_MS = 5_000
RESEND_MOST_MS = 300_000
ASKED_AGAIN_MS = 1_000
"""A range the centre misses is sent again at most this often."""

Range = tuple[int, int]
"""First and last seq."""


@dataclass
class _Sent:
    first: int
    last: int
    at_ms: int
    due_ms: int
    times: int


class Publisher:
    """Counts in `seq`; the bytes stay in the journal. What was sent before a restart is simply sent again."""

    def __init__(self, mark: int, random: Random) -> None:
        self.mark = mark
        """Up to where the centre has everything."""
        self._random = random
        self._sent: list[_Sent] = []

    def due(self, end: int, now_ms: int) -> list[Range]:
        """The frames to send now, in order, counted as sent; `end` is the journal's."""
        ranges = []
        for frame in self._sent:
            if frame.due_ms <= now_ms:
                frame.times += 1
                frame.at_ms, frame.due_ms = now_ms, now_ms + self._pause(frame.times)
                ranges.append((frame.first, frame.last))
        while len(self._sent) < WINDOW and self._through < end:
            first = self._through + 1
            frame = _Sent(first, min(end, first + FRAME - 1), now_ms, now_ms + self._pause(1), 1)
            self._sent.append(frame)
            ranges.append((frame.first, frame.last))
        return ranges

    def receipt(self, mark: int, missing: tuple[Range, ...], now_ms: int) -> None:
        """The centre has everything up to `mark`, and asks for `missing`."""
        moved, self.mark = mark > self.mark, max(self.mark, mark)
        self._sent = [frame for frame in self._sent if frame.last > self.mark]
        for frame in self._sent:
            frame.first = max(frame.first, self.mark + 1)
            if moved and frame.times > 1:
                # the path works again: no reason to be slow
                frame.times = 1
                frame.due_ms = min(frame.due_ms, frame.at_ms + self._pause(1))
            if any(first <= frame.last and frame.first <= last for first, last in missing):
                frame.due_ms = min(frame.due_ms, max(now_ms, frame.at_ms + ASKED_AGAIN_MS))

    def lost(self, mark: int) -> None:
        """The centre has nothing behind `mark`; what it had before is sent again."""
        if mark < self.mark:
            self.mark = mark
            self._sent.clear()

    def restart(self) -> None:
        """A new connection or a new centre: everything from the mark on is sent again at once."""
        self._sent.clear()

    def next_ms(self) -> int | None:
        """When a frame is due to be sent again."""
        return min((frame.due_ms for frame in self._sent), default=None)

    @property
    def _through(self) -> int:
        return self._sent[-1].last if self._sent else self.mark

    def _pause(self, times: int) -> int:
        pause = RESEND_MS * 2 ** min(times - 1, 10) * self._random.uniform(1, 1.5)
        return int(min(pause, RESEND_MOST_MS * self._random.uniform(0.75, 1)))
