"""Writing the ledger: a booking, its double-entry lines and its adjustment."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from protocols.events.events import Event
from protocols.events.frames import Person
from protocols.settlement.bill import Accumulators, Split
from server.errors import number
from server.people.persons import charge
from server.store.store import millis
from server.store.tables import adjustments, bookings, ledger

NOTHING = Accumulators(0, 0)


class Arrived(NamedTuple):
    """An event at its place in the chain, with what the centre knows about its sender."""

    terminal: str
    epoch: int
    seq: int
    data: bytes
    person: Person | None
    fixmedins_code: str
    received_ms: int


class Amounts(NamedTuple):
    """Who pays how much of a bill, in fen."""

    big: int
    supp: int
    acct: int
    cash: int

    @classmethod
    def of(cls, split: Split) -> "Amounts":
        return cls(split.big, split.supp, split.acct_pay, split.psn_cash_pay)

    def less(self, other: "Amounts") -> "Amounts":
        return Amounts(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    def negated(self) -> "Amounts":
        return Amounts(*(-amount for amount in self))


NO_MONEY = Amounts(0, 0, 0, 0)


def insert_booking(
    connection: Connection,
    arrived: Arrived,
    event: Event,
    *,
    amounts: Amounts = NO_MONEY,
    change: Accumulators = NOTHING,
    **columns: object,
) -> int:
    """One booking and its ledger lines; the key of the booking."""
    row = connection.execute(
        insert(bookings)
        .values(
            terminal=arrived.terminal,
            epoch=arrived.epoch,
            seq=arrived.seq,
            kind=event.type.removeprefix("ssc."),
            event_ms=millis(datetime.fromisoformat(event.time)),
            received_ms=arrived.received_ms,
            medfee_fen=sum(amounts),
            big_fen=amounts.big,
            supp_fen=amounts.supp,
            acct_fen=amounts.acct,
            cash_fen=amounts.cash,
            inscope_change=change.inscope,
            big_change=change.big,
            **columns,
        )
        .returning(bookings.c.id)
    )
    key = int(row.scalar_one())
    _insert_lines(connection, key, None, {"institution": -sum(amounts), **amounts._asdict()})
    return key


def _insert_lines(connection: Connection, booking: int, adjustment: int | None, amounts: dict[str, int]) -> None:
    """Ledger lines; their sum is 0 by construction of the callers."""
    lines = [
        {"booking_id": booking, "adjustment_id": adjustment, "account": account, "amount_fen": amount}
        for account, amount in amounts.items()
        if amount
    ]
    if lines:
        connection.execute(insert(ledger), lines)


def insert_adjustment(
    connection: Connection,
    booking: int,
    person: int,
    difference: Amounts,
    *,
    created_ms: int,
    reason: str,
    state: str | None = None,
    reverses: int | None = None,
) -> None:
    """An adjustment and its ledger lines; what a person is owed goes to the card's bank account (000-05)."""
    if difference.cash < 0:
        payee, channel, natural = "person", "card_bank_account", "open"
    elif difference.cash > 0:
        payee, channel, natural = "fund", "agency", "open"
    else:
        payee, channel, natural = ("person" if difference.acct < 0 else "fund"), "account", "paid"
    row = connection.execute(
        insert(adjustments)
        .values(
            booking_id=booking,
            person_id=person,
            big_fen=difference.big,
            supp_fen=difference.supp,
            acct_fen=difference.acct,
            cash_fen=difference.cash,
            payee=payee,
            channel=channel,
            state=state or natural,
            reason=reason,
            reverses=reverses,
            created_ms=created_ms,
        )
        .returning(adjustments.c.id)
    )
    amounts = difference._asdict()
    amounts["due"] = amounts.pop("cash")
    _insert_lines(connection, booking, int(row.scalar_one()), amounts)


def take_back(connection: Connection, refund: int, original: int, created_ms: int) -> None:
    """The counter-entry of the original's adjustment: both waived while that is open, else due in turn."""
    row = connection.execute(select(adjustments).where(adjustments.c.booking_id == original)).one_or_none()
    if row is None:
        return
    difference = Amounts(row.big_fen, row.supp_fen, row.acct_fen, row.cash_fen).negated()
    charge(connection, row.person_id, difference.acct)
    if row.state == "open":
        connection.execute(update(adjustments).where(adjustments.c.id == row.id).values(state="waived"))
    insert_adjustment(
        connection,
        refund,
        row.person_id,
        difference,
        created_ms=created_ms,
        reason=number("adjusted_refund"),
        state=None if row.state == "paid" else "waived",
        reverses=row.id,
    )
