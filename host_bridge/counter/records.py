"""What a visit leaves in the journal: settlements, refunds, refusals, PIN services, made but not yet written."""

import secrets
from collections.abc import Callable

from host_bridge.counter.bill import Quote, hash_of, refund_event, settlement_of
from host_bridge.counter.books import Books
from host_bridge.counter.visit import NotNow, Refused, Visit
from host_bridge.journal.chain import Stored
from host_bridge.journal.journal import Journal
from protocols.events.events import PinService, Refund, Refusal, Service, ServiceState, Settlement
from protocols.events.frames import Person
from protocols.settlement.catalogue import Catalogue
from protocols.settlement.profile import City
from protocols.texts.catalogue import texts

SALT_BYTES = 16


def new_salt() -> str:
    """Hex, as the hash of a person takes it."""
    return secrets.token_hex(SALT_BYTES)


class Records:
    """Each with the person it is about, if there is one; every person's salt is new."""

    def __init__(self, journal: Journal, books: Books, *, clerk: str, salt: Callable[[], str]) -> None:
        self._journal, self._books, self._clerk, self._salt = journal, books, clerk, salt

    def settlement(
        self, visit: Visit, quote: Quote, city: City, catalogue: Catalogue
    ) -> tuple[Settlement, Person | None]:
        """The bill as it was pre-settled."""
        person = self._person(visit)
        settlement = settlement_of(
            quote,
            visit.lines,
            city,
            catalogue,
            mdtrt_id=self._journal.next_mdtrt_id(),
            fixmedins_code=self._journal.record.fixmedins_code,
            opter=self._clerk,
            med_type=visit.med_type,
            person=person,
            pin_verified=visit.pin_verified,
        )
        return settlement, person

    def settled(self, event_id: str) -> tuple[Stored, Settlement]:
        """A settlement that can be taken back; `NotNow` where it is none, or was taken back already."""
        stored = self._journal.find(event_id)
        data = None if stored is None else stored.event.data
        if stored is None or not isinstance(data, Settlement):
            refunded = isinstance(data, Refund)
            raise NotNow("refund", "idle", "visit_refund_of_refund" if refunded else "visit_refund_unknown")
        if self._journal.refund_of(event_id) is not None:
            raise NotNow("refund", "idle", "visit_refund_twice")
        return stored, data

    def refund(self, stored: Stored, settled: Settlement) -> tuple[Refund, Person | None]:
        """The whole settlement taken back."""
        old = stored.person
        person = None if old is None else Person(old.certno, old.card_no, self._salt())
        refund = refund_event(
            stored.id,
            settled,
            self._books.current(old, settled),
            mdtrt_id=self._journal.next_mdtrt_id(),
            opter=self._clerk,
            person=person,
        )
        return refund, person

    def refusal(self, visit: Visit, refused: Refused) -> tuple[Refusal, Person | None]:
        """Why the visit ended."""
        person = self._person(visit)
        refusal = Refusal(
            number=texts()[refused.key].number,
            step=refused.step,
            sw=refused.sw,
            med_type=visit.med_type or None,
            person_hash=hash_of(person),
        )
        return refusal, person

    def pin_service(
        self, visit: Visit, service: Service, state: ServiceState, number: str | None = None
    ) -> tuple[PinService, Person | None]:
        """What is done to the holder's PIN; `number` is the catalogue's where it failed."""
        person = self._person(visit)
        done = PinService(service=service, state=state, opter=self._clerk, number=number, person_hash=hash_of(person))
        return done, person

    def _person(self, visit: Visit) -> Person | None:
        if visit.holder is None or visit.issuer is None:
            return None
        return Person(visit.holder.certno, visit.issuer.card_no, self._salt())
