"""What the counter asks of the link to the centre."""

from typing import Protocol

from protocols.events.frames import Answer, Query


class CentreStatus(Protocol):
    """What the counter reads of the link's state."""

    @property
    def listening(self) -> bool:
        """Somebody answers now."""
        ...

    @property
    def ms(self) -> int | None:
        """The last question's round trip."""
        ...


class Centre(Protocol):
    """Questions may take as long as their timeout; the rest returns at once."""

    @property
    def centre(self) -> CentreStatus:
        """How the centre stands now."""
        ...

    def ask(self, query: Query, timeout_s: float) -> Answer | None:
        """The centre's answer; None where none came in time."""
        ...

    def wake(self) -> None:
        """The journal has a new event."""
        ...
