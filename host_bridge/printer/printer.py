"""What the counter asks of a receipt printer, and how one fails."""

from typing import Literal, Protocol

PrinterState = Literal["ready", "near_end", "paper_out", "away"]


class PrinterError(Exception):
    """Nothing certain was printed. `sent`: bytes of the receipt may be on paper, so the next print is a reprint."""

    def __init__(self, address: str, what: str, *, sent: bool = False) -> None:
        self.address, self.sent = address, sent
        super().__init__(f"{address}: {what}")


class PrinterAway(PrinterError):
    """No printer at this address, or it does not answer in time."""


class PaperOut(PrinterError):
    """The paper sensor says that there is no paper."""


class Printer(Protocol):
    """A receipt printer; every call ends within a few seconds."""

    @property
    def address(self) -> str:
        """As given: `tcp:HOST:PORT` or `file:PATH`."""
        ...

    def state(self) -> PrinterState:
        """How it stands now; never raises."""
        ...

    def print(self, data: bytes) -> None:
        """Print ESC/POS bytes; returns when the printer has confirmed them, otherwise `PrinterError`."""
        ...
