"""The counter: runs visits over reader, centre, journal and printer, one at a time, and says how it stands."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from threading import Event as Flag
from threading import Lock, RLock

import msgspec

from host_bridge.card.errors import CardError, PinEntryError, PinOutcomeUnknown, text_key
from host_bridge.card.pin_entry import pad_of
from host_bridge.card.security_module import SecurityModule
from host_bridge.counter.bill import ItemLine, bill_lines, faults_of
from host_bridge.counter.books import Books
from host_bridge.counter.centre import Centre
from host_bridge.counter.decide import city_division, home_city, usual_care
from host_bridge.counter.desk import ReceiptDesk, bearer_left
from host_bridge.counter.home import changes_pins_of, home_of
from host_bridge.counter.picture import Picture
from host_bridge.counter.pin_desk import PinDesk
from host_bridge.counter.present import bearer_of, filled, item_view
from host_bridge.counter.price import priced
from host_bridge.counter.reasons import reason_text
from host_bridge.counter.reception import Reception
from host_bridge.counter.records import Records
from host_bridge.counter.slot import Slot
from host_bridge.counter.view import Action, CounterView, ItemView, PadState, PastView
from host_bridge.counter.visit import NotNow, Refused, Visit
from host_bridge.counter.watches import Watches
from host_bridge.journal.chain import Stored
from host_bridge.journal.errors import JournalStopped
from host_bridge.journal.journal import Journal
from host_bridge.printer.printer import PaperOut, Printer, PrinterError
from host_bridge.printer.receipt import Bearer
from host_bridge.readers.reader import CardMute, Reader, ReaderError
from protocols.events.clock import Clock
from protocols.events.events import Refund, Settlement
from protocols.events.steps import OnStep, pass_by
from protocols.settlement.bill import FeeLine
from protocols.settlement.catalogue import Catalogue
from protocols.settlement.profile import City
from protocols.settlement.split import BillError
from protocols.sscard.pin import wipe
from protocols.texts.catalogue import texts

POLL_S = 0.1
LOOK_S = 10.0
"""How often the printer is asked how it stands."""

_LOG = logging.getLogger(__name__)


class Counter:
    """Every action takes effect before it returns, and the view with it; calls may come from any thread.

    Nothing a settlement says leaves before the journal has it. `salt` gives 16 fresh random bytes as hex.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        city: City,
        catalogue: Catalogue,
        journal: Journal,
        link: Centre,
        printer: Printer,
        clock: Clock,
        clerk: str,
        salt: Callable[[], str],
        on_step: OnStep = pass_by,
        security: SecurityModule | None = None,
    ) -> None:
        self._slot = Slot(reader, security)
        self._city = city
        self._usual_care = usual_care(journal.record.fixmedins_code)
        self._catalogue = catalogue
        self._journal = journal
        self._link = link
        self._desk = ReceiptDesk(printer, journal.record.fixmedins_name)
        self._books = Books(journal, clock)
        self._reception = Reception(self._slot, self._books, link)
        self._pin_desk = PinDesk(self._slot, self._books, lambda: pad_of(reader))
        self._records = Records(journal, self._books, clerk=clerk, salt=salt)
        self._salt = salt
        self._on_step = on_step
        self._picture = Picture(journal.record, clerk, slot=self._slot, desk=self._desk, books=self._books)
        self._lock = RLock()
        self._entering = Lock()
        self._visit = Visit()
        self._callbacks: list[Callable[[CounterView], None]] = []
        self._changed = Flag()
        self._watches = Watches()
        if journal.stopped is not None:
            self._stop_settling(journal.stopped)
        self._view = self._draw()

    def start(self) -> None:
        """Watch reader, pad and printer from threads of its own."""
        self._watches.start(self.poll, POLL_S, self._changed)
        self._watches.start(self._look_at_pad, POLL_S)
        self._watches.start(self._look_at_printer, LOOK_S)

    def stop(self) -> None:
        """End the threads and power the card off; what is journalled stays."""
        self._watches.stop(POLL_S, self._pin_desk.cancel)
        with self._lock:
            self._slot.close()

    def changed(self) -> None:
        """Something outside has changed; returns at once. For `Link(on_change=…)`."""
        self._changed.set()

    def poll(self) -> None:
        """One look at the slot, as the thread does every 100 ms."""
        with self._working():
            stopped = self._journal.stopped
            if stopped is None and self._visit.stage == "stopped":
                self._visit = Visit()
            elif stopped is not None and self._visit.stage not in {"stopped", "done"}:
                self._stop_settling(stopped)
            if self._visit.pad == "waiting":
                if self._slot.emptied():
                    self._pin_desk.cancel()
                return
            arrived = self._slot.look()
            if self._visit.with_card and not self._slot.there:
                self._end()
            elif self._slot.there and not self._slot.spent and self._visit.takes_card(arrived=arrived):
                self._begin()

    def view(self) -> CounterView:
        """The picture as it is now; never waits."""
        return self._view

    def subscribe(self, callback: Callable[[CounterView], None]) -> None:
        """Call back with every new picture; it must not block."""
        self._callbacks.append(callback)

    def enter_pin(self, digits: bytearray, *, tries: int | None = None) -> None:
        """Let the chip check the PIN; the digits are wiped in any case. Pressed twice at once it costs one try.

        `tries` is `view().pin.tries` as it was entered with; `NotNow` where another entry has been answered since.
        """
        with self._typed("pin", digits, tries=tries):
            self._take_pin(self._pin_desk.typed(self._visit, self._city, digits))

    def begin_change(self) -> None:
        """Ask the holder for the old PIN and a new one."""
        with self._interrupting():
            self._require("begin_change")
            with self._card_errors("begin_change"):
                self._visit = self._pin_desk.begin_change(self._visit)

    def change_pin(self, old: bytearray, new: bytearray, repeat: bytearray, *, tries: int | None = None) -> None:
        """Give the chip a new PIN; all digits are wiped in any case. `tries` as for `enter_pin`."""
        with self._typed("change_pin", old, new, repeat, tries=tries):
            self._take_pin(self._pin_desk.change_typed(self._visit, self._city, old, new, repeat))

    def keep_pin(self) -> None:
        """Go on with the PIN as it is."""
        with self._interrupting():
            self._require("keep_pin")
            self._take_pin(self._visit.keeping())

    def ask_pad(self) -> None:
        """Let the reader's pad take the PIN once more; returns at once."""
        with self._working():
            self._require("ask_pad")
            self._visit = self._visit.pad_asked()

    def serve_pad(self) -> None:
        """One entry at the reader's pad where the visit wants one, as the thread does; returns when it is over."""
        with self._entering:
            with self._working():
                if self._visit.pad != "wanted":
                    return
                asked = self._visit = self._visit.pad_waits()
            entry = Future[Visit]()
            try:
                entry.set_result(self._pin_desk.at_pad(asked, self._city))
            except (CardError, ReaderError) as error:
                entry.set_exception(error)
            with self._working():
                if self._visit is asked:
                    with self._card_errors():
                        self._take_pin(entry.result())

    def enter_bill(self, med_type: str, lines: Sequence[FeeLine | ItemLine]) -> None:
        """Enter or replace the bill and pre-settle it; in idle for a visit without a card. `BillError`."""
        with self._working():
            self._require("bill")
            before = self._visit
            started = before.without_card(med_type) if before.stage == "idle" else before
            self._visit = started.billed(med_type, bill_lines(lines, self._catalogue))
            try:
                self._go_on()
            except BillError:
                self._visit = before
                raise

    def settle(self, quote_id: str | None = None) -> None:
        """Make the bill durable, then show it, then print it. The same bill again changes nothing.

        `quote_id` is `view().split.quote`; `NotNow` where another bill has taken its place.
        """
        with self._working():
            if quote_id not in (None, self._visit.quote_id):
                raise NotNow("settle", self._visit.stage)
            if self._visit.stage == "done" and self._visit.original is None:
                return
            self._require("settle")
            if self._still_the_card():
                self._settle()

    def full_cash(self, reason_key: str) -> None:
        """Go on in full cash for a reason of `view().reasons`; in idle this begins a visit without a card."""
        with self._interrupting():
            self._require("full_cash")
            visit = self._visit
            if visit.stage == "idle":
                visit = visit.without_card(self._usual_care)
            text = reason_text(reason_key, with_card=visit.with_card)
            if text is None and visit.stage == "refused" and visit.refused is not None:
                text = texts()[visit.refused.key] if visit.refused.key == reason_key else None
            if text is None:
                raise NotNow("full_cash", self._visit.stage, "visit_reason_not_possible")
            self._visit = visit.paid_in_cash(text.key)
            self._go_on()

    def refund(self, event_id: str) -> None:
        """Take back a whole settlement of this terminal (settlement.md B.7-5), once."""
        with self._working():
            self._require("refund")
            stored, settled = self._records.settled(event_id)
            refund, person = self._records.refund(stored, settled)
            self._show(Visit().refunded(self._journal.append(refund, person), settled), bearer_left(stored))

    def reprint(self, event_id: str) -> None:
        """Print a receipt, marked as a copy unless it was never printed; `NotNow` where the printer cannot."""
        with self._working():
            self._require("reprint")
            stored = self._journal.find(event_id)
            if stored is None or not isinstance(stored.event.data, Settlement | Refund):
                raise NotNow("reprint", self._visit.stage, "visit_reprint_unknown")
            self._print(stored)

    def print_guide(self) -> None:
        """Print what the holder does next; `NotNow` where the printer cannot."""
        with self._working():
            self._require("print_guide")
            refused = self._visit.refused
            if refused is not None:
                number, words, _ = filled(refused.key, self._picture.help(self._visit, self._city), refused.facts)
                self._on_paper("print_guide", lambda: self._desk.print_guide(number, words, self._books.time()))

    def cancel(self) -> None:
        """Give the visit up; nothing is recorded but a refusal that was shown."""
        with self._interrupting():
            self._require("cancel")
            self._end()

    def finish(self) -> None:
        """Put the visit away; a card still in has to come out before the next."""
        with self._working():
            self._require("finish")
            self._end()

    def search(self, text: str) -> tuple[ItemView, ...]:
        """Catalogue items, best first."""
        return tuple(item_view(item) for item in self._catalogue.search(text))

    def past(self) -> tuple[PastView, ...]:
        """Settlements and refunds of today, newest first."""
        with self._lock:
            return self._books.past()

    def _begin(self) -> None:
        """Read the card, ask the centre, see whether a PIN is wanted."""
        today = self._books.today()
        self._city = home_city(city_division(self._city), today, simulated=self._city.simulated) or self._city
        self._set(Visit().card_in(self._usual_care))
        try:
            with self._card_errors():
                for visit in self._reception.read(self._visit):
                    self._set(visit)
                pad: PadState = "idle" if self._pin_desk.has_pad else "none"
                self._visit = replace(self._at_home(self._visit), pad=pad)
                self._go_on()
        except JournalStopped:
            raise
        except Exception as error:
            # its type only: a traceback could show a person
            _LOG.error("reading: %s", type(error).__name__)
            self._visit = self._visit.refuse("card_reading_failed")

    def _go_on(self) -> None:
        """The next thing that is missing: the PIN, the bill, or nothing, and then the bill is pre-settled."""
        visit = self._visit
        if visit.stage == "refused":
            return
        if visit.cash is None and visit.holder is not None and self._city.pin_asked(visit.med_type):
            with self._card_errors():
                self._visit = self._pin_desk.ask(visit)
        if self._visit.stage in {"pin", "refused"}:
            return
        standing = self._books.standing("" if visit.holder is None else visit.holder.certno)
        try:
            visit = priced(self._visit, self._city, standing, self._books.today())
            self._visit = replace(visit, quote_id=self._salt()) if visit.stage == "presettled" else visit
        except BillError:
            self._visit = self._visit.billed(visit.med_type, ())
            raise

    def _take_pin(self, visit: Visit) -> None:
        """What came of a PIN; where it is done with, the visit goes on. The centre hears of a new one."""
        renewed = visit.pin_changed and not self._visit.pin_changed
        self._visit = visit = self._at_home(visit)
        if renewed:
            self._journal.append(*self._records.pin_service(visit, "change", "done"))
            self._link.wake()
        if visit.stage == "reading":
            self._go_on()

    def _at_home(self, visit: Visit) -> Visit:
        """Whether this counter may change the PIN, by what is known now of where the holder is insured."""
        home = home_of(visit, self._books.today(), simulated=self._city.simulated)
        return replace(visit, change_here=changes_pins_of(self._city, home))

    def _still_the_card(self) -> bool:
        """Whether the card that was read is in the slot; otherwise the visit is over or refused."""
        visit = self._visit
        if visit.issuer is None:
            return True
        same = self._slot.same_card(visit.issuer)
        if same is None:
            self._end()
            raise NotNow("settle", self._visit.stage, "card_removed")
        if not same:
            self._visit = visit.refuse("visit_another_card")
        return same

    def _settle(self) -> None:
        visit, quote = self._visit, self._visit.quote
        if quote is None or faults_of(quote, visit.lines, self._city):
            self._visit = self._visit.refuse("visit_bill_inconsistent")
            return
        self._set(visit.settling())
        settlement, person = self._records.settlement(visit, quote, self._city, self._catalogue)
        try:
            stored = self._journal.append(settlement, person)
        except ValueError:
            self._visit = self._visit.refuse("visit_bill_inconsistent")
            return
        self._show(visit.settled(stored), bearer_of(visit))

    def _show(self, visit: Visit, bearer: Bearer) -> None:
        """A durable result: on the screen first, then on paper."""
        if visit.result is None:
            return
        self._desk.settled(visit.result.id, bearer)
        self._set(visit)
        self._on_step("terminal.result_shown")
        self._link.wake()
        try:
            self._print(visit.result)
        except NotNow as error:
            _LOG.warning("receipt not printed: %s", error.key)
            return
        self._on_step("terminal.receipt_printed")

    def _print(self, stored: Stored) -> None:
        data = stored.event.data
        original = self._journal.find(data.original) if isinstance(data, Refund) else None
        self._on_paper("reprint", lambda: self._desk.print_receipt(stored, original))

    def _on_paper(self, action: Action, print_it: Callable[[], None]) -> None:
        try:
            print_it()
        except PaperOut:
            raise NotNow(action, self._visit.stage, "printer_paper_out") from None
        except PrinterError:
            raise NotNow(action, self._visit.stage, "printer_away") from None

    def _end(self) -> None:
        """The visit is over. A refusal it ended with is journalled; nothing of the person stays."""
        visit, self._visit = self._visit, Visit()
        self._slot.use_up()
        if visit.refused is None or visit.result is not None:
            return
        self._journal.append(*self._records.refusal(visit, visit.refused))
        self._link.wake()

    def _stop_settling(self, error: JournalStopped) -> None:
        self._slot.use_up()
        self._visit = self._visit.stopped(Refused(error.key, "insert", error.facts))

    @contextmanager
    def _working(self) -> Iterator[None]:
        """One thing at a time; a journal that stops ends the visit and says so, whatever was going on."""
        with self._lock:
            try:
                yield
            except JournalStopped as error:
                self._stop_settling(error)
            finally:
                self._publish()

    @contextmanager
    def _interrupting(self) -> Iterator[None]:
        """The same, after an entry at the pad has ended; it is cancelled."""
        while not self._entering.acquire(timeout=POLL_S):
            self._pin_desk.cancel()
        try:
            with self._working():
                yield
        finally:
            self._entering.release()

    @contextmanager
    def _typed(self, action: Action, *secrets: bytearray, tries: int | None) -> Iterator[None]:
        """An action with digits, which are wiped whatever happens; a second one at the same time is refused."""
        try:
            if not self._entering.acquire(blocking=False):
                raise NotNow(action, self._visit.stage)
            try:
                with self._working():
                    self._require(action)
                    if tries not in (None, self._visit.tries):
                        raise NotNow(action, self._visit.stage)
                    with self._card_errors(action):
                        yield
            finally:
                self._entering.release()
        finally:
            for digits in secrets:
                wipe(digits)

    @contextmanager
    def _card_errors(self, action: Action = "pin") -> Iterator[None]:
        """A card or reader that goes away ends the visit; any other trouble with the card refuses it.

        An entry that came to nothing is `NotNow`. Where a PIN may have been changed, this is shown until the clerk has
        seen it, with or without the card.
        """
        try:
            yield
        except PinEntryError as error:
            raise NotNow(action, self._visit.stage, error.key, **error.facts) from None
        except PinOutcomeUnknown as error:
            self._slot.look()
            self._visit = self._visit.card_lost(error.key)
        except (CardError, CardMute) as error:
            key, facts = text_key(error)
            sw, tries = getattr(error, "sw", None), getattr(error, "tries", None)
            self._visit = self._visit.refuse(key, facts=facts, sw=sw, tries=tries)
        except ReaderError:
            self._slot.look()
            self._end()
            self._slot.spent = False

    def _require(self, action: Action) -> None:
        if not self._visit.allows(action):
            raise NotNow(action, self._visit.stage)

    def _set(self, visit: Visit) -> None:
        self._visit = visit
        self._publish()

    def _publish(self) -> None:
        """Show the picture where it is another; of the time alone the minute counts."""
        view = self._draw()
        same = msgspec.structs.replace(view, time=self._view.time) == self._view
        if same and view.time[:16] == self._view.time[:16]:
            return
        self._view = view
        for callback in self._callbacks:
            callback(view)

    def _draw(self) -> CounterView:
        try:
            self._picture.sums()
        except JournalStopped as error:
            self._stop_settling(error)
        centre = self._link.centre
        return self._picture.draw(self._visit, self._city, listening=centre.listening, ms=centre.ms)

    def _look_at_pad(self) -> None:
        if self._visit.pad == "wanted":
            self.serve_pad()

    def _look_at_printer(self) -> None:
        if self._desk.look():
            self.changed()
