"""Which broker to try next, and when. Pure."""

from random import Random

HELD_MS = 10_000
"""A connection that held this long starts the pauses anew."""
SHORT_LIVED = 3
"""So many shorter ones in a row: somebody else takes our name (mosquitto 2.0.11 does not say so)."""

_PAUSES_MS = {
    "link_no_broker": (500, 15_000),
    "link_refused": (2_000, 300_000),
    "link_taken_over": (2_000, 60_000),
}
"""First and longest pause by trouble."""


class Backoff:
    """Goes through the brokers in turn; pauses double, jittered so that a fleet does not come at once."""

    def __init__(self, random: Random, brokers: int) -> None:
        self._random = random
        self._brokers = brokers
        self._failures = 0
        self._short_lived = 0
        self.broker = 0
        """Index of the broker to try."""
        self.trouble: str | None = None
        """Why there is no connection, as far as can be told."""

    def ended(self, trouble: str, held_ms: int | None) -> int:
        """A connection was lost, or never made (`held_ms` None); milliseconds until the next broker is tried."""
        if held_ms is not None and held_ms >= HELD_MS:
            self._failures = self._short_lived = 0
        elif held_ms is not None:
            self._short_lived += 1
        self.trouble = "link_taken_over" if self._short_lived >= SHORT_LIVED else trouble
        first, longest = _PAUSES_MS[self.trouble]
        pause = min(longest, first * 2 ** min(self._failures, 20))
        self._failures += 1
        self.broker = (self.broker + 1) % self._brokers
        return int(pause * self._random.uniform(0.5, 1))
