"""Who is at the counter: the card is read and the centre asked."""

from collections.abc import Iterator

from host_bridge.counter.books import Books
from host_bridge.counter.centre import Centre
from host_bridge.counter.decide import NOT_ACTIVATED, Known, card_refusal
from host_bridge.counter.slot import Slot
from host_bridge.counter.visit import Visit
from protocols.events.frames import PersonAnswer, PersonQuery
from protocols.texts.catalogue import text_of

ASK_S = 2.0
"""How long a visit waits for the centre before it goes on without."""


class Reception:
    """Every step gives the next visit; errors of card and reader pass through."""

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
        known = ask_centre(self._link, self._books, PersonQuery(holder.certno, issuer.card_no, visit.med_type))
        visit = visit.answered(known)
        key = card_refusal(issuer, known, self._books.today())
        if key is not None:
            yield visit.refuse(key)
            return
        if known.source == "centre" and known.answer is not None and known.answer.card_state == NOT_ACTIVATED:
            visit = visit.noticed("visit_first_use")
        yield visit


def ask_centre(link: Centre, books: Books, query: PersonQuery) -> Known:
    """What the centre knows of a person, otherwise what is remembered."""
    answer = link.ask(query, ASK_S)
    if isinstance(answer, PersonAnswer):
        return books.learn(query.certno, answer)
    if answer is None:
        return books.recall(query.certno)
    try:
        return Known("centre", unknown=text_of(answer.number).key)
    except KeyError:
        return Known("centre", unknown="visit_card_unknown")
