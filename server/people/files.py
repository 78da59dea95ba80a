"""Importing persons from TOML files: what the centre knows of a card's holder (settlement.md B.3)."""

from pathlib import Path
from typing import Literal

import msgspec
from sqlalchemy import Connection, insert, select, update

from protocols.settlement.bill import Accumulators
from protocols.settlement.money import fen
from server.errors import CentreError
from server.people.persons import PersonYear, Standing, advance, balance, meet_person, standing
from server.store.tables import accounts, cards, people

CardState = Literal["active", "picked_up", "pre_lost", "formal_lost", "exchanged", "void", "unknown"]


class CardPart(msgspec.Struct, frozen=True):
    card_no: str


class InsurancePart(msgspec.Struct, frozen=True):
    insutype: str
    psn_type: str
    insuplc_admdvs: str


class CentrePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Only at the centre; yuan. `psn_type` where it differs from the chip's; no `balc`: no account."""

    year: int
    psn_insu_stas: str = "1"
    psn_type: str | None = None
    balc: str | None = None
    card_state: CardState = "active"
    default_pin: bool = False
    inscope: str = "0.00"
    big: str = "0.00"


class PersonFile(msgspec.Struct, frozen=True):
    """The parts of a person file that the centre reads; everything else belongs to the chip."""

    certno: str
    card: CardPart
    insurance: InsurancePart
    centre: CentrePart
    name: str | None = None


def read_person(path: Path) -> PersonFile:
    """A person file; `CentreError` where it cannot be read. The text names the file, never what is in it."""
    try:
        person = msgspec.toml.decode(path.read_bytes(), type=PersonFile)
        for amount in (person.centre.balc or "0", person.centre.inscope, person.centre.big):
            if fen(amount) < 0:
                raise ValueError
    except OSError as error:
        raise CentreError("person_file_invalid", path=str(path), field=error.strerror or "") from error
    except msgspec.ValidationError as error:
        raise CentreError("person_file_invalid", path=str(path), field=str(error)) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise CentreError("person_file_invalid", path=str(path), field="TOML") from error
    return person


def import_person(connection: Connection, person: PersonFile) -> None:
    """Take a person in, or bring insurance and card up to date.

    Accumulators and balance are opening values: those the ledger already keeps stand.
    """
    key = meet_person(connection, person.certno)
    connection.execute(
        update(people)
        .where(people.c.id == key)
        .values(
            name=person.name,
            insutype=person.insurance.insutype,
            psn_type=person.centre.psn_type or person.insurance.psn_type,
            psn_insu_stas=person.centre.psn_insu_stas,
            insuplc_admdvs=person.insurance.insuplc_admdvs,
            default_pin=person.centre.default_pin,
        )
    )
    values = {"person_id": key, "state": person.centre.card_state}
    known = update(cards).where(cards.c.card_no == person.card.card_no).values(**values)
    if connection.execute(known).rowcount == 0:
        connection.execute(insert(cards).values(card_no=person.card.card_no, **values))
    if person.centre.balc is not None and balance(connection, key) is None:
        connection.execute(insert(accounts).values(person_id=key, balc_fen=fen(person.centre.balc)))
    place = PersonYear(key, person.insurance.insutype, person.centre.year)
    if standing(connection, place).version == 0:
        opening = Accumulators(fen(person.centre.inscope), fen(person.centre.big))
        advance(connection, place, Standing(0, opening), opening)


def card_state(connection: Connection, key: int, card_no: str) -> str | None:
    """The state of a card of this person, None where the person has no such card."""
    found: str | None = connection.execute(
        select(cards.c.state).where(cards.c.card_no == card_no, cards.c.person_id == key)
    ).scalar()
    return found
