"""Booking one authentic event, in order of arrival (design 3.2, settlement.md C.4 D14 and D9).

An event that is not acceptable leaves no trace but, at most, its person's citizen number in `people`.
"""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, select

from protocols.events.events import (
    Event,
    PinService,
    Refund,
    Refusal,
    Settlement,
    decode_event,
    event_key,
    person_hash,
)
from protocols.events.frames import Person
from protocols.settlement.bill import Accumulators, Split
from protocols.settlement.profile import city_of_version
from protocols.settlement.split import (
    MAX_FEN,
    SPLIT_VERSION,
    BillError,
    broken_identities,
    refund_of,
    split_bill,
)
from server.errors import UNREADABLE, number
from server.ledger.entries import NOTHING, Amounts, Arrived, insert_adjustment, insert_booking, take_back
from server.people.persons import PersonYear, Standing, advance, balance, charge, meet_person, renew_pin, standing
from server.store.tables import bookings, events, people

MAX_SEQ = 2**53
"""The largest sequence number JSON carries everywhere."""
YEARS = range(2000, 3000)

_SAME_EVENT = and_(
    events.c.terminal == bookings.c.terminal,
    events.c.epoch == bookings.c.epoch,
    events.c.seq == bookings.c.seq,
)


class Unacceptable(Exception):
    """An authentic event that cannot be booked; `number` is the catalogue number for its quarantine."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.number = number(key)


def book(connection: Connection, arrived: Arrived) -> None:
    """Book one event: ledger lines, accumulators, account, adjustment. `Unacceptable` where it cannot be."""
    event = _read(arrived)
    _check_person(event.data.person_hash, arrived.person)
    if isinstance(event.data, Refusal):
        _book_refusal(connection, arrived, event, event.data)
        return
    if isinstance(event.data, PinService):
        _book_pin_service(connection, arrived, event, event.data)
        return
    if event.data.fixmedins_code != arrived.fixmedins_code:
        raise Unacceptable("event_institution")
    if broken_identities(event.data.split) or not _bounded(event.data.split):
        raise Unacceptable("event_identities")
    if isinstance(event.data, Settlement):
        _book_settlement(connection, arrived, event, event.data)
    else:
        _book_refund(connection, arrived, event, event.data)


def _bounded(split: Split) -> bool:
    """Whether every amount has a size that money has (settlement.md B.5, format 16,2)."""
    amounts = (amount for amount in msgspec.structs.astuple(split) if amount is not None)
    return all(-MAX_FEN <= amount <= MAX_FEN for amount in amounts)


def _read(arrived: Arrived) -> Event:
    try:
        event = decode_event(arrived.data)
        time = datetime.fromisoformat(event.time)
    except UNREADABLE as error:
        raise Unacceptable("event_unreadable") from error
    if time.tzinfo is None or event.type != f"ssc.{event.data.__struct_config__.tag}":
        raise Unacceptable("event_unreadable")
    return event


def _check_person(digest: str | None, person: Person | None) -> None:
    """The person part may be gone (retention), but where it is there it is the one the event was made of."""
    if person is None:
        return
    try:
        fits = person_hash(person.certno, person.salt) == digest
    except ValueError:
        fits = False
    if not fits:
        raise Unacceptable("event_person")


def _book_refusal(connection: Connection, arrived: Arrived, event: Event, refusal: Refusal) -> None:
    insert_booking(connection, arrived, event, number=refusal.number, med_type=refusal.med_type)


def _book_pin_service(connection: Connection, arrived: Arrived, event: Event, data: PinService) -> None:
    """A new PIN is no default one, whatever was known of the card."""
    mode = None if data.state == "begun" else data.service
    insert_booking(connection, arrived, event, mode=mode, number=data.number)
    if data.renewed and arrived.person is not None:
        renew_pin(connection, arrived.person.certno, arrived.person.card_no)


def _book_settlement(connection: Connection, arrived: Arrived, event: Event, data: Settlement) -> None:
    _check_figures(data)
    if data.mode == "full_cash":
        person = None if arrived.person is None else meet_person(connection, arrived.person.certno)
        _insert_settlement(connection, arrived, event, person, NOTHING)
        return
    if arrived.person is None:
        raise Unacceptable("event_person")
    person = meet_person(connection, arrived.person.certno)
    place = PersonYear(person, data.insutype, data.year)
    now = standing(connection, place)
    account = balance(connection, person)
    booked = data.split if _still_holds(data, now, account) else _recomputed(data, now, account)
    key = _insert_settlement(connection, arrived, event, person, _change(booked, now.amounts))
    advance(connection, place, now, Accumulators(booked.after_inscope, booked.after_big))
    charge(connection, person, booked.acct_pay)
    difference = Amounts.of(booked).less(Amounts.of(data.split))
    if any(difference):
        reason = number("adjusted_basis")
        insert_adjustment(connection, key, person, difference, created_ms=arrived.received_ms, reason=reason)


def _check_figures(data: Settlement) -> None:
    """What the identities cannot see: sign, year, and that the accumulators moved as the mode says."""
    split, change = data.split, _change(data.split, data.before)
    moved = (Accumulators(split.inscp_scp_amt, split.big), NOTHING)
    if split.medfee_sumamt < 0 or data.year not in YEARS or change not in moved:
        raise Unacceptable("event_identities")
    if data.mode == "full_cash" and (split.fund_pay_sumamt or split.acct_pay or change != NOTHING):
        raise Unacceptable("event_identities")


def _book_refund(connection: Connection, arrived: Arrived, event: Event, data: Refund) -> None:
    original = _original(connection, data)
    source = decode_event(original.data).data
    assert isinstance(source, Settlement)  # noqa: S101 - only settlements have bookings of that kind
    counted = refund_of(source.split, data.split.after_inscope, data.split.after_big)
    if msgspec.structs.replace(data.split, balc=None) != counted:
        raise Unacceptable("refund_amounts")
    if source.fixmedins_code != data.fixmedins_code:
        raise Unacceptable("event_institution")
    if arrived.person is not None and arrived.person.certno != original.certno:
        raise Unacceptable("event_person")
    amounts = Amounts.of(data.split)
    change = Accumulators(-original.inscope_change, -original.big_change)
    key = insert_booking(
        connection,
        arrived,
        event,
        original_id=original.id,
        person_id=original.person_id,
        mdtrt_id=data.mdtrt_id,
        med_type=original.med_type,
        insutype=original.insutype,
        psn_type=original.psn_type,
        mode=original.mode,
        year=original.year,
        amounts=amounts,
        change=change,
    )
    if original.mode == "full_cash":
        return
    place = PersonYear(original.person_id, original.insutype, original.year)
    now = standing(connection, place)
    after = Accumulators(now.amounts.inscope + change.inscope, now.amounts.big + change.big)
    advance(connection, place, now, after)
    charge(connection, original.person_id, amounts.acct)
    take_back(connection, key, original.id, arrived.received_ms)


def _still_holds(data: Settlement, now: Standing, account: int | None) -> bool:
    """Whether the event was computed on what the ledger has now."""
    same = data.basis.version == now.version and data.before == now.amounts
    return same and (data.split.acct_pay == 0 or data.account == account)


def _recomputed(data: Settlement, now: Standing, account: int | None) -> Split:
    """The bill split again: lines and rules of the event, accumulators and balance of the ledger."""
    try:
        rules = city_of_version(data.versions.profile).rules(data.split_name)
        if data.versions.split != SPLIT_VERSION:
            raise Unacceptable("event_rules")
        return split_bill(
            data.lines,
            rules,
            now.amounts,
            account=None if data.account is None else max(account or 0, 0),
            acct_scope=data.acct_scope,
            rounding=data.rounding,
        )
    except (KeyError, BillError) as error:
        raise Unacceptable("event_rules") from error


def _change(split: Split, before: Accumulators) -> Accumulators:
    return Accumulators(split.after_inscope - before.inscope, split.after_big - before.big)


def _original(connection: Connection, data: Refund) -> Row[Any]:
    """The booked settlement a refund names, not refunded before, with its bytes and the person's number."""
    try:
        terminal, epoch, seq = event_key(data.original)
    except ValueError as error:
        raise Unacceptable("refund_unknown") from error
    row = connection.execute(
        select(bookings, events.c.data, people.c.certno)
        .join(events, _SAME_EVENT)
        .outerjoin(people, people.c.id == bookings.c.person_id)
        .where(
            bookings.c.kind == "settlement",
            bookings.c.terminal == terminal,
            bookings.c.epoch == min(epoch, MAX_SEQ),
            bookings.c.seq == min(seq, MAX_SEQ),
        )
    ).one_or_none()
    if row is None:
        raise Unacceptable("refund_unknown")
    if connection.execute(select(bookings.c.id).where(bookings.c.original_id == row.id)).first() is not None:
        raise Unacceptable("refund_twice")
    return row


def _insert_settlement(
    connection: Connection, arrived: Arrived, event: Event, person: int | None, change: Accumulators
) -> int:
    data = event.data
    assert isinstance(data, Settlement)  # noqa: S101 - the caller's branch
    return insert_booking(
        connection,
        arrived,
        event,
        person_id=person,
        mdtrt_id=data.mdtrt_id,
        med_type=data.med_type,
        insutype=data.insutype,
        psn_type=data.psn_type,
        mode=data.mode,
        number=data.reason,
        year=data.year,
        amounts=Amounts.of(data.split),
        change=change,
    )
