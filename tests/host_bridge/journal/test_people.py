"""Bills without the centre: what the terminal remembers, and what its own bills did since."""

import sqlite3

from host_bridge.journal.chain import Mark
from host_bridge.journal.journal import Journal
from host_bridge.journal.people import Pending
from protocols.settlement.bill import Accumulators
from tests.host_bridge.journal.samples import (
    NOON,
    PERSON,
    Desk,
    answer,
    receipt_at,
    refund,
    settlement,
    split_of,
)


def pending(journal: Journal) -> Pending | None:
    remembered = journal.recall_person(PERSON.certno)
    assert remembered is not None
    return remembered.pending


def test_an_answer_is_remembered_with_its_time(desk: Desk, journal: Journal) -> None:
    assert journal.recall_person(PERSON.certno) is None
    journal.remember_person(PERSON.certno, answer())
    journal = desk.open()
    remembered = journal.recall_person(PERSON.certno)
    assert remembered is not None
    assert (remembered.answer, remembered.time, remembered.pending) == (answer(), NOON, None)
    assert journal.recall_person("990101195503070029") is None


def test_the_file_does_not_name_who_is_remembered(desk: Desk, journal: Journal) -> None:
    journal.remember_person(PERSON.certno, answer())
    desk.close()
    assert PERSON.certno.encode() not in desk.path.read_bytes()


def test_an_answer_of_another_version_is_forgotten_and_stops_nothing(desk: Desk, journal: Journal) -> None:
    journal.remember_person(PERSON.certno, answer())
    desk.close()
    with sqlite3.connect(desk.path) as connection:
        connection.execute('UPDATE remembered SET answer = \'{"kind":"person"}\'')
    connection.close()
    journal = desk.open()
    assert journal.recall_person(PERSON.certno) is None
    journal.append(settlement(mode="provisional"), PERSON)
    journal.remember_person(PERSON.certno, answer())
    assert pending(journal) is None


def test_own_bills_count_for_the_next_one(desk: Desk, journal: Journal) -> None:
    journal.remember_person(PERSON.certno, answer(balc=8_000))
    journal.append(settlement("1", mode="provisional", split=split_of(after=10_000, acct_pay=3_000)), PERSON)
    journal.append(settlement("2", mode="provisional", split=split_of(after=20_000, acct_pay=1_000)), PERSON)
    assert pending(desk.open()) == Pending(Accumulators(20_000, 10_000), 4_000)


def test_a_refund_gives_back(journal: Journal) -> None:
    journal.remember_person(PERSON.certno, answer(balc=8_000))
    settled = journal.append(settlement("1", split=split_of(after=10_000, acct_pay=3_000)), PERSON)
    journal.append(refund(settled, split=split_of(sign=-1, after=0, acct_pay=3_000)), PERSON)
    assert pending(journal) == Pending(Accumulators(0, 0), 8_000)


def test_full_cash_and_another_year_touch_nothing(journal: Journal) -> None:
    journal.remember_person(PERSON.certno, answer(year=2026))
    settled = journal.append(settlement("1", mode="full_cash"), PERSON)
    journal.append(settlement("2", mode="provisional", year=2027), PERSON)
    journal.append(refund(settled), PERSON)
    assert pending(journal) is None


def test_without_an_account_there_is_no_balance(journal: Journal) -> None:
    journal.remember_person(PERSON.certno, answer(balc=None))
    journal.append(settlement("1"), PERSON)
    assert pending(journal) == Pending(Accumulators(10_000, 5_000), None)


def test_a_newer_answer_ends_what_the_centre_has_receipted(journal: Journal) -> None:
    journal.remember_person(PERSON.certno, answer())
    stored = journal.append(settlement("1", mode="provisional"), PERSON)
    journal.remember_person(PERSON.certno, answer(version=2))
    assert pending(journal) == Pending(Accumulators(10_000, 5_000), 8_000)
    journal.apply_receipt(receipt_at(Mark(1, stored.hash)))
    assert pending(journal) is not None
    journal.remember_person(PERSON.certno, answer(version=3, inscope=10_000))
    assert pending(journal) is None


def test_a_new_year_ends_what_was_pending(journal: Journal) -> None:
    journal.remember_person(PERSON.certno, answer())
    journal.append(settlement("1", mode="provisional"), PERSON)
    journal.remember_person(PERSON.certno, answer(year=2027))
    assert pending(journal) is None
