"""Visits as a counter would settle them, without card, page and printer: random bills of simulated people."""

from datetime import date
from random import Random
from typing import NamedTuple

from host_bridge.counter.bill import Quote, hash_of, quote_full_cash, quote_split, refund_event, settlement_of
from host_bridge.counter.books import Books
from host_bridge.counter.decide import Decision, Known, decide, insured_by
from host_bridge.journal.journal import Journal
from host_bridge.link.link import Link
from protocols.events.clock import Clock
from protocols.events.events import EventData, Refusal, Settlement, event_id
from protocols.events.frames import Person, PersonAnswer, PersonQuery
from protocols.settlement.bill import Accumulators, FeeLine
from protocols.settlement.catalogue import load_catalogue
from protocols.settlement.profile import City, NotOffered, load_city
from protocols.settlement.split import full_cash
from protocols.sscard.identity import age_on
from protocols.texts.catalogue import texts
from tests.chaos.people import Patient

CLERK = "07"
ASK_S = 0.4
MED_TYPES = ("11", "11", "11", "41", "12")
CONSULTATION = ("12", "F3001")
"""Care paid by a fixed amount: one line only."""
REFUSALS, REFUNDS, STRANGERS = 0.05, 0.12, 0.05
"""Shares of visits that end in a refusal, up to which they take an earlier bill back, that come from another city."""


class Bill(NamedTuple):
    """What is to be paid, by somebody of `age` on `day`."""

    med_type: str
    lines: tuple[FeeLine, ...]
    age: int
    day: date


class Desk:
    """Makes the next visit's event from what journal and centre say."""

    def __init__(self, journal: Journal, link: Link, clock: Clock, random: Random, people: list[Patient]) -> None:
        self._journal, self._link, self._random = journal, link, random
        city = journal.record.city
        self._locals = [each for each in people if each.insuplc_admdvs == city]
        self._strangers = [each for each in people if each.insuplc_admdvs != city]
        self._books = Books(journal, clock)
        self._catalogue = load_catalogue()

    def visit(self) -> tuple[EventData, Person | None]:
        """What is to be journalled, and for whom."""
        chance = self._random.random()
        if chance < REFUSALS:
            return Refusal(number="-52", step="pin", sw="6983"), None
        if chance < REFUNDS and (refund := self._refund()) is not None:
            return refund
        patient = self._random.choice(self._strangers if chance > 1 - STRANGERS else self._locals)
        person = Person(patient.certno, patient.card_no, self._random.randbytes(16).hex())
        return self._settlement(patient, person), person

    def _settlement(self, patient: Patient, person: Person) -> EventData:
        day = self._books.today()
        city = load_city(self._journal.record.city, day, simulated=True)
        med_type = self._random.choice(MED_TYPES)
        lines = self._lines(med_type)
        known = self._ask(patient, med_type)
        total = full_cash(lines, Accumulators(0, 0), city.rounding).medfee_sumamt
        standing = self._books.standing(patient.certno)
        decision = decide(known, None, city, med_type=med_type, bill_fen=total, standing=standing)
        if decision.mode == "refuse":
            number = texts()[decision.key or ""].number
            return Refusal(number=number, step="settle", med_type=med_type, person_hash=hash_of(person))
        return settlement_of(
            self._quote(city, known, decision, Bill(med_type, lines, age_on(patient.brdy, day), day)),
            lines,
            city,
            self._catalogue,
            mdtrt_id=self._journal.next_mdtrt_id(),
            fixmedins_code=self._journal.record.fixmedins_code,
            opter=CLERK,
            med_type=med_type,
            person=person,
            pin_verified=False,
        )

    def _quote(self, city: City, known: Known, decision: Decision, bill: Bill) -> Quote:
        insured, lines = insured_by(None, known), bill.lines
        if decision.mode == "full_cash" or insured is None:
            return quote_full_cash(lines, city, insured, decision.key or "visit_insurance_unknown", bill.day)
        try:
            return quote_split(
                lines, city, insured, known, decision, med_type=bill.med_type, age=bill.age, day=bill.day
            )
        except NotOffered as error:
            return quote_full_cash(lines, city, insured, error.key, bill.day)

    def _lines(self, med_type: str) -> tuple[FeeLine, ...]:
        if med_type == CONSULTATION[0]:
            return (self._catalogue.line(CONSULTATION[1], "1"),)
        items = self._random.sample(self._catalogue.items, self._random.randint(1, 4))
        return tuple(self._catalogue.line(item.code, str(self._random.randint(1, 3))) for item in items)

    def _ask(self, patient: Patient, med_type: str) -> Known:
        answer = self._link.ask(PersonQuery(patient.certno, patient.card_no, med_type), ASK_S)
        if isinstance(answer, PersonAnswer):
            return self._books.learn(patient.certno, answer)
        return self._books.recall(patient.certno)

    def _refund(self) -> tuple[EventData, Person | None] | None:
        """Some earlier bill taken back; None where the one looked at cannot be."""
        record = self._journal.record
        name = event_id(record.terminal, record.epoch, self._random.randint(1, self._journal.end + 1))
        stored = self._journal.find(name)
        if stored is None or not isinstance(stored.event.data, Settlement) or self._journal.refund_of(name) is not None:
            return None
        old, data = stored.person, stored.event.data
        person = None if old is None else Person(old.certno, old.card_no, self._random.randbytes(16).hex())
        current = self._books.current(old, data)
        mdtrt_id = self._journal.next_mdtrt_id()
        return refund_event(name, data, current, mdtrt_id=mdtrt_id, opter=CLERK, person=person), person
