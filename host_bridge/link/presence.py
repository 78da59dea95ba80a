"""What a terminal says of itself, and how often. Pure."""

import msgspec

from protocols.events.frames import Presence

LEAST_MS = 2_000
"""A changed presence is published at most this often."""
MOST_MS = 30_000
"""An unchanged one at least this often, for a killed broker publishes no wills."""


class Described(msgspec.Struct, frozen=True):
    """What presence says about this terminal beside its journal."""

    software: str = ""
    profile: str = ""
    catalogue: str = ""
    reader: str = ""
    counter: str = ""


class PresenceNews:
    """Decides when a presence is worth publishing; `time` is not part of what changes."""

    def __init__(self) -> None:
        self._said: Presence | None = None
        self._said_ms = 0
        self.due_ms = 0
        """When to ask again."""

    def forget(self) -> None:
        """A new connection: the birth has to be said."""
        self._said, self.due_ms = None, 0

    def worth(self, presence: Presence, now_ms: int) -> bool:
        """Whether to publish this one now; then it counts as said."""
        pause = MOST_MS if presence == self._said else LEAST_MS
        self.due_ms = self._said_ms + pause
        if self._said is not None and now_ms < self.due_ms:
            return False
        self._said, self._said_ms, self.due_ms = presence, now_ms, now_ms + MOST_MS
        return True
