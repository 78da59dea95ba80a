"""Who is at the counter: the card is read, the centre asked, the PIN checked by the chip."""

import logging
from collections.abc import Callable, Iterator

from host_bridge.card.errors import CardError, PinWrong
from host_bridge.card.session import CardSession, Insurance
from host_bridge.counter.books import Books
from host_bridge.counter.centre import Centre
from host_bridge.counter.decide import NOT_ACTIVATED, Known, card_refusal, chip_differences, pin_refusal
from host_bridge.counter.slot import Slot
from host_bridge.counter.visit import Visit
from protocols.events.frames import PersonAnswer, PersonQuery
from protocols.iso7816.status import SW_AUTHENTICATION_BLOCKED
from protocols.settlement.profile import City
from protocols.texts.catalogue import text_of

ASK_S = 2.0
"""How long a visit waits for the centre before it goes on without."""

_LOG = logging.getLogger(__name__)


class Reception:
    """Every step gives the next visit; errors of card and reader pass through, those of a PIN that is no PIN too."""

    def __init__(self, slot: Slot, books: Books, link: Centre) -> None:
        self._slot, self._books, self._link = slot, books, link

    def read(self, visit: Visit) -> Iterator[Visit]:
        """Issuer and holder, then what the centre knows; the visit after each, the last one perhaps refused."""
        self._slot.open()
        issuer = self._slot.session.read_issuer()
        visit = visit.issuer_read(issuer)
        yield visit
        holder = self._slot.session.read_holder()
        visit = visit.holder_read(holder)
        yield visit
        known = self._ask(PersonQuery(holder.certno, issuer.card_no, visit.med_type))
        visit = visit.answered(known)
        key = card_refusal(issuer, known, self._books.today())
        if key is not None:
            yield visit.refuse(key)
            return
        if known.source == "centre" and known.answer is not None and known.answer.card_state == NOT_ACTIVATED:
            visit = visit.noticed("visit_first_use")
        yield visit

    def ask_pin(self, visit: Visit, city: City) -> Visit:
        """Unless the chip has it: the PIN is wanted, or cannot be used (-52, -35)."""
        if visit.pin_done:
            return visit.ready(None)
        tries = self._slot.session.pin_tries()
        if tries is None:
            return visit.without_pin()
        if tries == 0:
            return visit.refuse("pin_locked", sw=SW_AUTHENTICATION_BLOCKED, tries=0)
        if (key := pin_refusal(visit.known, city)) is not None:
            return visit.refuse(key)
        return visit.pin_wanted(tries)

    def check_pin(self, visit: Visit, verify: Callable[[CardSession], object]) -> Visit:
        """`verify` lets the chip check the PIN; after it the chip's insurance file opens."""
        try:
            verify(self._slot.session)
        except PinWrong as error:
            return visit.pin_refused(error.tries)
        visit = visit.pin_right(self._chip_insurance())
        refusal, notices = chip_differences(visit.chip, visit.known)
        visit = visit.noticed(*notices)
        return visit if refusal is None else visit.refuse(refusal)

    def _ask(self, query: PersonQuery) -> Known:
        answer = self._link.ask(query, ASK_S)
        if isinstance(answer, PersonAnswer):
            return self._books.learn(query.certno, answer)
        if answer is None:
            return self._books.recall(query.certno)
        try:
            return Known("centre", unknown=text_of(answer.number).key)
        except KeyError:
            return Known("centre", unknown="visit_card_unknown")

    def _chip_insurance(self) -> Insurance | None:
        """DF04 EF05; from a card that does not give it the centre's word counts."""
        try:
            return self._slot.session.read_insurance(self._books.today())
        except CardError as error:
            _LOG.warning("insurance file: %s", type(error).__name__)
            return None
