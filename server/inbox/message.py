"""What the receiver hands to the inbox, and what the inbox asks of it."""

from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """One delivery; `mid` 0 wants no acknowledgement.

    `generation` names the connection it came on: packet ids mean nothing on the next one.
    """

    topic: str
    payload: bytes
    retained: bool
    generation: int
    mid: int


class Outbound(Protocol):
    """What goes back to the broker; neither call blocks, and neither promises anything."""

    def acknowledge(self, message: Message) -> None:
        """Free the packet id, if its connection is still the current one; called in order of arrival."""
        ...

    def publish(self, topic: str, payload: bytes) -> None:
        """Send, if there is a connection."""
        ...
