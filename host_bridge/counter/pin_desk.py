"""The holder's PIN at a counter: asked for, checked, changed, at the reader's pad or typed."""

import logging
from collections.abc import Callable

from host_bridge.card.errors import CardError, NoPin, PinEntryError, PinWrong
from host_bridge.card.pin_entry import (
    PinPad,
    PinRules,
    change_at_pad,
    change_typed,
    verify_at_pad,
    verify_typed,
)
from host_bridge.card.session import CardSession, Insurance
from host_bridge.counter.books import Books
from host_bridge.counter.decide import chip_differences, may_pay
from host_bridge.counter.home import home_of, pin_rules
from host_bridge.counter.slot import Slot
from host_bridge.counter.visit import Visit
from protocols.iso7816.status import SW_AUTHENTICATION_BLOCKED
from protocols.settlement.profile import City

_LOG = logging.getLogger(__name__)


class PinDesk:
    """Every step gives the next visit, in stage `reading` where the PIN is done with.

    Errors of card and reader pass through, also a `PinEntryError` of what was typed; that of a pad is in the visit.
    """

    def __init__(self, slot: Slot, books: Books, find_pad: Callable[[], PinPad | None]) -> None:
        """`find_pad`: what the reader has now; it may have come after the counter."""
        self._slot, self._books, self._find_pad = slot, books, find_pad

    @property
    def has_pad(self) -> bool:
        return self._find_pad() is not None

    def ask(self, visit: Visit) -> Visit:
        """Unless the chip has it: the PIN is wanted, or locked (-52)."""
        if visit.pin_done:
            return visit.ready(None)
        tries = self._slot.session.pin_tries()
        if tries is None:
            return visit.without_pin()
        return _locked(visit) if tries == 0 else visit.pin_wanted(tries)

    def begin_change(self, visit: Visit) -> Visit:
        """The old PIN is asked for, and the new one; `NoPin`."""
        tries = self._slot.session.pin_tries()
        if tries is None:
            raise NoPin
        return _locked(visit) if tries == 0 else visit.changing(tries)

    def typed(self, visit: Visit, city: City, digits: bytearray) -> Visit:
        """Check a PIN that came through this computer."""
        return self._checked(visit, city, lambda session, rules: verify_typed(session, digits, rules))

    def change_typed(self, visit: Visit, city: City, old: bytearray, new: bytearray, repeat: bytearray) -> Visit:
        """Change it likewise."""
        return self._changed(visit, city, lambda session, rules: change_typed(session, old, new, repeat, rules))

    def at_pad(self, visit: Visit, city: City) -> Visit:
        """Check or change the PIN at the pad, as the visit wants; as long as the holder takes."""
        pad = self._find_pad()
        if pad is None:
            return visit
        try:
            if visit.stage == "change":
                return self._changed(visit, city, lambda session, rules: change_at_pad(session, pad, rules))
            return self._checked(visit, city, lambda session, rules: verify_at_pad(session, pad, rules))
        except PinEntryError as error:
            return visit.pad_came_to_nothing(error.key, error.facts)

    def cancel(self) -> None:
        """End an entry at the pad that goes on in another thread."""
        pad = self._find_pad()
        if pad is not None:
            pad.cancel()

    def _checked(self, visit: Visit, city: City, verify: Callable[[CardSession, PinRules], bool | None]) -> Visit:
        """The chip checks the PIN; after it the chip's insurance file opens."""
        try:
            was_default = verify(self._slot.session, self._rules(visit, city))
        except PinWrong as error:
            return visit.pin_refused(error.tries)
        if not may_pay(city, visit.known, was_default=was_default, changed=visit.pin_changed):
            return visit.refuse("pin_default")
        visit = visit.pin_right(self._chip_insurance())
        refusal, notices = chip_differences(visit.chip, visit.known)
        visit = visit.noticed(*notices)
        return visit if refusal is None else visit.refuse(refusal)

    def _changed(self, visit: Visit, city: City, change: Callable[[CardSession, PinRules], None]) -> Visit:
        try:
            change(self._slot.session, self._rules(visit, city))
        except PinWrong as error:
            return visit.pin_refused(error.tries)
        return visit.changed().noticed("visit_pin_changed")

    def _rules(self, visit: Visit, city: City) -> PinRules:
        return pin_rules(visit, home_of(visit, self._books.today(), simulated=city.simulated))

    def _chip_insurance(self) -> Insurance | None:
        """DF04 EF05; from a card that does not give it the centre's word counts."""
        try:
            return self._slot.session.read_insurance(self._books.today())
        except CardError as error:
            _LOG.warning("insurance file: %s", type(error).__name__)
            return None


def _locked(visit: Visit) -> Visit:
    return visit.refuse("pin_locked", sw=SW_AUTHENTICATION_BLOCKED, tries=0)
