"""Whether the centre listens, judged by its heartbeats as they arrive here. Pure."""

import msgspec

from protocols.events.frames import CentreState

LISTENING_MS = 15_000
"""A heartbeat counts this long (it comes every 5 s)."""


class CentreStatus(msgspec.Struct, frozen=True):
    """`listening`: somebody answers now; `connected`: a broker does; `ms`: the last question's round trip.

    `trouble` is the catalogue key of why there is no connection, where that is known.
    """

    listening: bool
    ms: int | None
    connected: bool
    trouble: str | None = None


class CentreWatch:
    """Follows heartbeats and last wills of the worker that holds our bucket."""

    def __init__(self) -> None:
        self._state: CentreState | None = None
        self._heard_ms: int | None = None
        self._gone: str | None = None
        self._here = False

    def connected(self) -> None:
        """A new connection: until a heartbeat arrives on it, nobody is known to listen there."""
        self._here = False

    def heard(self, state: CentreState, *, retained: bool, now_ms: int) -> bool:
        """A heartbeat; whether it is a birth: the centre may have forgotten what it was sent.

        A retained copy counts from when it was first seen, and not for an incarnation known to be gone.
        """
        if state.state == "gone":
            self.gone(state)
            return False
        if retained and state.incarnation == self._gone:
            return False
        if retained and state == self._state:
            self._here = True
            return False
        before = self._state
        birth = not self.listening(now_ms) or before is None or _holder(before) != _holder(state)
        self._state, self._heard_ms, self._gone, self._here = state, now_ms, None, True
        return birth

    def gone(self, state: CentreState) -> None:
        """The last will of some worker; that of another incarnation than ours means nothing."""
        self._gone = state.incarnation
        if self._state is not None and self._state.incarnation == state.incarnation:
            self._heard_ms = None

    def listening(self, now_ms: int) -> bool:
        return self._here and self._heard_ms is not None and now_ms - self._heard_ms < LISTENING_MS


def _holder(state: CentreState) -> tuple[str, int]:
    return state.incarnation, state.lease
