"""What the centre makes of events about PINs."""

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from protocols.events.frames import Person
from server.ledger.report import report
from server.people.persons import meet_person
from server.store.tables import cards, people
from tests.server.chains import LI, SALT
from tests.server.conftest import Bench

OTHER_CARD = Person(LI.certno, "B00000001", SALT)


@pytest.fixture
def known(bench: Bench) -> Bench:
    """The centre knows of LI that their card has a default PIN."""
    with bench.store.write() as connection:
        key = meet_person(connection, LI.certno)
        connection.execute(update(people).values(default_pin=True))
        connection.execute(insert(cards).values(card_no=LI.card_no, person_id=key, state="active"))
    return bench


def default_pin(bench: Bench) -> bool:
    with bench.store.read() as connection:
        return bool(connection.execute(select(people.c.default_pin).where(people.c.certno == LI.certno)).scalar_one())


@pytest.mark.parametrize("service", ["change", "reset"])
def test_a_new_pin_is_no_default_one(known: Bench, service: str) -> None:
    chain = known.enrol("counter-1")
    chain.pin_service(service=service)
    (receipt,) = known.take(chain.topic("event"), chain.frame())
    assert (receipt.seq, receipt.refused) == (1, ())
    assert not default_pin(known)


@pytest.mark.parametrize(
    ("person", "fields"),
    [
        (LI, {"state": "begun"}),
        (LI, {"state": "failed", "number": "-52"}),
        (LI, {"service": "unblock"}),
        (None, {}),
        (OTHER_CARD, {}),
    ],
)
def test_what_is_no_new_pin_of_a_known_card_changes_nothing(
    known: Bench, person: Person | None, fields: dict[str, Any]
) -> None:
    chain = known.enrol("counter-1")
    chain.pin_service(person, **fields)
    (receipt,) = known.take(chain.topic("event"), chain.frame())
    assert (receipt.seq, receipt.refused) == (1, ())
    assert default_pin(known)


def test_it_is_booked_without_money(known: Bench) -> None:
    chain = known.enrol("counter-1")
    chain.pin_service(service="reset", state="begun")
    chain.pin_service(service="reset", state="failed", number="-37")
    known.take(chain.topic("event"), chain.frame())
    with known.store.read() as connection:
        booked = report(connection).events
    assert [(each.kind, each.mode, each.number, each.medfee_fen) for each in booked] == [
        ("pin", None, None, 0),
        ("pin", "reset", "-37", 0),
    ]
