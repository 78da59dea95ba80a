"""An agency's terminal at work on a card's PIN: by the rules of the holder's city, every act in the journal."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from random import SystemRandom
from threading import Event
from time import monotonic

from host_bridge.card.errors import CardError, text_key
from host_bridge.card.pin_entry import PinRules, check_new
from host_bridge.card.security_module import CENTRE_S, SecurityModuleSilent
from host_bridge.card.session import CardSession
from host_bridge.clock import SystemClock
from host_bridge.config import Config, ConfigError
from host_bridge.counter.books import Books
from host_bridge.counter.decide import OUTPATIENT
from host_bridge.counter.home import home_of, pin_rules
from host_bridge.counter.reception import ASK_S, ask_centre
from host_bridge.counter.records import Records, new_salt
from host_bridge.counter.visit import Visit
from host_bridge.enrol import EnrolError, open_journal
from host_bridge.journal.errors import NotEnrolled
from host_bridge.link.link import Link
from host_bridge.readers.addresses import AddressError, open_reader
from host_bridge.readers.reader import ReaderError
from host_bridge.security import open_security_module
from protocols.events.events import Service, ServiceState
from protocols.events.frames import PersonQuery
from protocols.events.keys import KeyAnswer, KeyStep
from protocols.texts.catalogue import texts


class AgencyOnly(EnrolError):
    """This terminal is not enrolled, or enrolled as a counter."""

    key = "agency_only"


class Agency:
    """One command's journal, link, reader and keys; whatever it opens, `stack` closes.

    `AgencyOnly`, `JournalError` and `ConfigError` where it cannot begin. Steps raise `CardError` and `ReaderError`.
    """

    def __init__(self, settings: Config, stack: ExitStack) -> None:
        self._settings = settings
        clock, self._changed = SystemClock(settings.clock.trusted), Event()
        try:
            self._journal = stack.enter_context(closing(open_journal(settings.terminal.state, clock)))
        except NotEnrolled as error:
            raise AgencyOnly from error
        if self._journal.record.role != "agency":
            raise AgencyOnly
        self._books = Books(self._journal, clock)
        self._records = Records(self._journal, self._books, clerk=settings.terminal.clerk, salt=new_salt)
        self._link = Link(
            self._journal, self._journal.record, clock=clock, random=SystemRandom(), on_change=self._changed.set
        )
        self._link.start()
        stack.callback(self._link.stop)
        try:
            self._reader = stack.enter_context(closing(open_reader(settings.terminal.reader)))
            self._module = open_security_module(settings.terminal.security, self._ask)
        except AddressError as error:
            raise ConfigError(str(error)) from error
        if self._module is not None:
            stack.callback(self._module.close)
        self._stack = stack

    def unblock(self) -> int | None:
        """Restore the tries of the PIN of the card in the reader; tries left."""
        session, visit = self._read()
        self._serve("unblock", visit, session.unblock_pin)
        return session.pin_tries()

    def reset(self, new: bytearray, repeat: bytearray) -> int | None:
        """Set a new PIN and restore its tries; tries left. `PinEntryError` before the card is asked."""
        session, visit = self._read()
        check_new(new, repeat, self._rules(visit))
        self._serve("reset", visit, lambda: session.reset_pin(new))
        return session.pin_tries()

    def _read(self) -> tuple[CardSession, Visit]:
        connection = self._reader.connect()
        self._stack.callback(connection.disconnect)
        session = CardSession(connection, self._module)
        visit = Visit().issuer_read(session.read_issuer())
        return session, visit.holder_read(session.read_holder())

    def _rules(self, visit: Visit) -> PinRules:
        """Those of the insured place where centre or memory name one, otherwise of the card's issuer."""
        if visit.holder is not None and visit.issuer is not None:
            self._reached()
            query = PersonQuery(visit.holder.certno, visit.issuer.card_no, OUTPATIENT)  # not about care
            visit = visit.answered(ask_centre(self._link, self._books, query))
        return pin_rules(visit, home_of(visit, self._books.today(), simulated=self._settings.terminal.simulated))

    def _serve(self, service: Service, visit: Visit, act: Callable[[], None]) -> None:
        """Between two durable events; where the centre listens, it has them when this returns."""
        self._note(visit, service, "begun")
        try:
            act()
        except (CardError, ReaderError) as error:
            key, _ = text_key(error)
            self._note(visit, service, "failed", texts()[key].number)
            raise
        else:
            self._note(visit, service, "done")
        finally:
            self._link.wake()
            if self._reached():
                self._await(ASK_S, lambda: self._journal.mark.seq == self._journal.end)

    def _note(self, visit: Visit, service: Service, state: ServiceState, number: str | None = None) -> None:
        self._journal.append(*self._records.pin_service(visit, service, state, number))

    def _ask(self, step: KeyStep, timeout_s: float) -> KeyAnswer | None:
        if not self._await(CENTRE_S, lambda: self._link.centre.listening):
            raise SecurityModuleSilent
        return self._link.ask_key(step, timeout_s)

    def _reached(self) -> bool:
        """Whether the centre listens; waited for until the first trouble."""
        self._await(ASK_S, lambda: self._link.centre.listening or self._link.centre.trouble is not None)
        return self._link.centre.listening

    def _await(self, timeout_s: float, ready: Callable[[], bool]) -> bool:
        """Whether it becomes so in time; looked at whenever link or mark change."""
        end = monotonic() + timeout_s
        while not ready():
            if not self._changed.wait(max(0.0, end - monotonic())):
                return ready()
            self._changed.clear()
        return True
