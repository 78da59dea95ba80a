"""The receipt desk: prints one slip at a time and remembers what is on paper."""

from dataclasses import dataclass
from threading import Lock

from host_bridge.journal.chain import Stored
from host_bridge.printer.escpos import escpos_bytes
from host_bridge.printer.layout import Line
from host_bridge.printer.printer import PaperOut, Printer, PrinterError, PrinterState
from host_bridge.printer.receipt import Bearer, guide_lines, receipt_lines
from protocols.events.events import Settlement
from protocols.sscard.identity import mask_certno
from protocols.texts.catalogue import Words

REMEMBERED = 2000
"""Receipts of about a week; older ones count as printed before."""


@dataclass(slots=True)
class _Receipt:
    bearer: Bearer
    prints: int = 0
    confirmed: bool = False


class ReceiptDesk:
    """A receipt is a first print until bytes of it may have reached paper; afterwards every print is a marked copy.

    What an earlier run of this program settled may have been printed then, so it is always a copy, and its bearer is
    not known here.
    """

    def __init__(self, printer: Printer, institution: str) -> None:
        self._printer = printer
        self._institution = institution
        self._printing = Lock()
        self._receipts: dict[str, _Receipt] = {}
        self.state: PrinterState = "away"

    def settled(self, event_id: str, bearer: Bearer) -> None:
        """This event was made just now, for this person (masked): nothing of it is on paper."""
        self._receipts[event_id] = _Receipt(bearer)
        for oldest in list(self._receipts)[:-REMEMBERED]:
            del self._receipts[oldest]

    def printed(self, event_id: str) -> bool:
        """Whether the printer has confirmed a receipt of it."""
        return event_id in self._receipts and self._receipts[event_id].confirmed

    def print_receipt(self, stored: Stored, original: Stored | None) -> None:
        """Print a settlement, or a refund with what it took back. `PrinterError`."""
        settled = None if original is None else original.event.data
        receipt = self._receipts.setdefault(stored.id, _Receipt(bearer_left(stored), prints=1))
        lines = receipt_lines(
            stored.event,
            stored.hash,
            self._institution,
            bearer=receipt.bearer,
            original=settled if isinstance(settled, Settlement) else None,
            copy=receipt.prints,
        )
        try:
            self._print(lines)
        except PrinterError as error:
            receipt.prints += error.sent
            raise
        receipt.prints += 1
        receipt.confirmed = True

    def print_guide(self, number: str, words: Words, time: str) -> None:
        """Print what the holder does after a refusal. `PrinterError`."""
        self._print(guide_lines(self._institution, number, words, time))

    def look(self) -> bool:
        """Ask the printer how it stands; whether that has changed."""
        with self._printing:
            before, self.state = self.state, self._printer.state()
            return self.state != before

    def _print(self, lines: tuple[Line, ...]) -> None:
        with self._printing:
            try:
                self._printer.print(escpos_bytes(lines))
            except PrinterError as error:
                self.state = "paper_out" if isinstance(error, PaperOut) else "away"
                raise
            if self.state != "near_end":
                self.state = "ready"


def bearer_left(stored: Stored) -> Bearer:
    """What an event's deletable part still says of its person, masked."""
    return Bearer() if stored.person is None else Bearer(certno=mask_certno(stored.person.certno))
