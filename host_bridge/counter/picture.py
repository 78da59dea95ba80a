"""Puts the picture together: the visit in words, and around it the parts, the sums of the day and the backlog."""

from host_bridge.counter.books import Books, Summary
from host_bridge.counter.desk import ReceiptDesk
from host_bridge.counter.home import home_of
from host_bridge.counter.present import (
    PRINTER,
    Help,
    bill_view,
    both,
    centre_part,
    help_of,
    person_view,
    pin_view,
    reader_part,
    reason_views,
    refusal_view,
    result_view,
    split_view,
)
from host_bridge.counter.slot import Slot
from host_bridge.counter.view import CounterView, TerminalView
from host_bridge.counter.visit import Visit
from protocols.events.frames import EnrolmentRecord
from protocols.settlement.profile import City


class Picture:
    """Draws views of one terminal; `sums` may raise `JournalBroken`, `draw` never."""

    def __init__(self, record: EnrolmentRecord, clerk: str, *, slot: Slot, desk: ReceiptDesk, books: Books) -> None:
        self._record, self._clerk = record, clerk
        self._slot, self._desk, self._books = slot, desk, books
        self._summary: Summary = books.summary(None)

    def sums(self) -> None:
        """Read sums and backlog anew where the journal has changed."""
        self._summary = self._books.summary(self._summary)

    def help(self, visit: Visit, city: City) -> Help:
        """Where this holder is sent: by the insured place, otherwise by the card's issuer."""
        return help_of(home_of(visit, self._books.today(), simulated=city.simulated), change_here=visit.change_here)

    def draw(self, visit: Visit, city: City, *, listening: bool, ms: int | None) -> CounterView:
        """The visit at this moment."""
        record, result, help_ = self._record, visit.result, self.help(visit, city)
        return CounterView(
            terminal=TerminalView(record.terminal, record.fixmedins_name, both(city.name), self._clerk, city.simulated),
            reader=reader_part(self._slot),
            centre=centre_part(listening=listening, ms=ms),
            printer=PRINTER[self._desk.state],
            upload=self._summary.upload,
            today=self._summary.today,
            stage=visit.stage,
            step="take" if visit.stage == "idle" and self._slot.spent else visit.step,
            actions=visit.actions(),
            time=self._books.time(),
            person=person_view(visit, help_),
            pin=pin_view(visit, help_),
            bill=bill_view(visit),
            split=split_view(visit, city),
            result=result_view(
                result, mark_seq=self._summary.mark_seq, printed=result is not None and self._desk.printed(result.id)
            ),
            refusal=refusal_view(visit.refused, help_) if visit.stage in {"refused", "stopped"} else None,
            reasons=reason_views(visit, help_),
        )
