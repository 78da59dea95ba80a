"""What every reader is, whatever it hangs on: a slot that says whether a card is there and connects to it."""

from typing import ClassVar, Protocol

from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr


class ReaderError(Exception):
    """The reader or the card did not do its part."""


class ReaderUnavailable(ReaderError):
    """No reader at this address, or it went away; connecting again may succeed. `key` names its catalogue text."""

    key: ClassVar[str] = "card_reader_away"


class ReaderInUse(ReaderError):
    """Another process holds the port."""

    def __init__(self, port: str, pid: int | None, command: str) -> None:
        self.port, self.pid, self.command = port, pid, command
        super().__init__(f"{port} is in use by PID {pid or '?'}, {command or 'unknown'}")


class NoCard(ReaderError):
    """The slot is empty."""


class CardRemoved(ReaderError):
    """The card was pulled while it was powered."""


class CardMute(ReaderError):
    """The chip does not answer, or its answer to reset or protocol makes no sense."""


class CardConnection(Protocol):
    """A powered card. Every call may raise `ReaderUnavailable`, `CardRemoved` or `CardMute`."""

    @property
    def atr(self) -> Atr:
        """The answer to the last reset."""
        ...

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        """One command and the card's answer as it came, `61xx` and `6Cxx` included."""
        ...

    def reset(self) -> Atr:
        """Warm reset."""
        ...

    def disconnect(self) -> None:
        """Power off; harmless when already gone."""
        ...


class Reader(Protocol):
    """One slot."""

    @property
    def address(self) -> str:
        """As given: `serial:PATH[#SLOT]`, `pcsc:NAME`, `virtual:FILE`."""
        ...

    def card_present(self) -> bool:
        """Whether a card is in; `ReaderUnavailable` where the reader is not."""
        ...

    def connect(self) -> CardConnection:
        """Power the card on; `NoCard`, `CardMute` or `ReaderUnavailable`."""
        ...

    def close(self) -> None:
        """Let go of the port."""
        ...
