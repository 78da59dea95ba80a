"""What every reader is, whatever it hangs on: a slot that says whether a card is there and connects to it."""

from typing import Protocol

from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr


class ReaderError(Exception):
    """The reader or the card did not do its part. `key` names its catalogue text."""

    key: str = "card_reader_away"

    @property
    def facts(self) -> dict[str, str]:
        """The placeholders of the text."""
        return {}


class ReaderUnavailable(ReaderError):
    """No reader at this address, or it went away; connecting again may succeed."""


class ReaderInUse(ReaderError):
    """Another process holds the port."""

    key = "card_reader_in_use"

    def __init__(self, port: str, pid: int | None, command: str) -> None:
        self.port, self.pid, self.command = port, pid, command
        super().__init__(f"{port} is in use by PID {pid or '?'}, {command or 'unknown'}")

    @property
    def facts(self) -> dict[str, str]:
        return {"port": self.port, "pid": str(self.pid or "?"), "command": self.command or "?"}


class NoCard(ReaderError):
    """The slot is empty."""

    key = "card_absent"


class CardRemoved(ReaderError):
    """The card was pulled while it was powered."""

    key = "card_removed"


class CardMute(ReaderError):
    """The chip does not answer, or its answer to reset or protocol makes no sense."""

    key = "card_mute"


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
