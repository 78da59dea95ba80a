"""Who the centre knows: persons, cards, accounts and accumulators."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from protocols.settlement.bill import Accumulators
from server.store.tables import accounts, accumulators, cards, people


class PersonYear(NamedTuple):
    """What accumulators are kept for; `person` is a key of `people`."""

    person: int
    insutype: str
    year: int


class Standing(NamedTuple):
    """Accumulators; version 0: nothing is known yet."""

    version: int
    amounts: Accumulators


def person_id(connection: Connection, certno: str) -> int | None:
    """The key of a citizen number, None where the centre has never met it."""
    found: int | None = connection.execute(select(people.c.id).where(people.c.certno == certno)).scalar()
    return found


def meet_person(connection: Connection, certno: str) -> int:
    """The key of a citizen number; someone new is noted without insurance."""
    found = person_id(connection, certno)
    if found is None:
        row = connection.execute(insert(people).values(certno=certno, default_pin=False).returning(people.c.id))
        found = int(row.scalar_one())
    return found


def renew_pin(connection: Connection, certno: str, card_no: str) -> None:
    """The PIN of this person's card is a default one no longer; nothing where the card is not known as theirs."""
    theirs = select(cards.c.person_id).where(cards.c.card_no == card_no)
    renew = update(people).where(people.c.certno == certno, people.c.id.in_(theirs)).values(default_pin=False)
    connection.execute(renew)


def standing(connection: Connection, place: PersonYear) -> Standing:
    """Where the person stands; zeros at version 0 where nothing was ever booked or imported."""
    row = connection.execute(select(accumulators).where(_at(place))).one_or_none()
    if row is None:
        return Standing(0, Accumulators(0, 0))
    return Standing(row.version, Accumulators(row.inscope_fen, row.big_fen))


def advance(connection: Connection, place: PersonYear, before: Standing, amounts: Accumulators) -> None:
    """Write the accumulators after a booking and raise their version by one."""
    values = {"version": before.version + 1, "inscope_fen": amounts.inscope, "big_fen": amounts.big}
    if before.version == 0:
        connection.execute(insert(accumulators).values(**_key(place), **values))
    else:
        connection.execute(update(accumulators).where(_at(place)).values(**values))


def balance(connection: Connection, person: int) -> int | None:
    """The personal account in fen, None without one."""
    found: int | None = connection.execute(select(accounts.c.balc_fen).where(accounts.c.person_id == person)).scalar()
    return found


def charge(connection: Connection, person: int, amount: int) -> None:
    """Take `amount` fen from the account; a negative amount gives back."""
    if amount:
        connection.execute(
            update(accounts).where(accounts.c.person_id == person).values(balc_fen=accounts.c.balc_fen - amount)
        )


def _key(place: PersonYear) -> dict[str, int | str]:
    return {"person_id": place.person, "insutype": place.insutype, "year": place.year}


def _at(place: PersonYear) -> ColumnElement[bool]:
    return and_(*(accumulators.c[name] == value for name, value in _key(place).items()))
