"""The ledger for people and checkers outside: every event, every adjustment, the sums and the proofs."""

import hashlib

import msgspec
from sqlalchemy import Connection, func, select

from protocols.events.clock import rfc3339
from protocols.events.events import event_hash, event_id
from server.inbox.frames import prev_of
from server.store.store import moment
from server.store.tables import adjustments, bookings, enrolments, events, ledger


class BookedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event in order of arrival, with the terminal's own amounts; quarantined ones carry none."""

    id: str
    kind: str
    state: str
    hash: str
    received: str
    mode: str | None = None
    med_type: str | None = None
    mdtrt_id: str | None = None
    original: str | None = None
    number: str | None = None
    medfee_fen: int = 0
    fund_fen: int = 0
    big_fen: int = 0
    supp_fen: int = 0
    acct_fen: int = 0
    cash_fen: int = 0


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """A difference the centre booked beside an event; `cash_fen` below 0 is owed to the person."""

    event: str
    fund_fen: int
    acct_fen: int
    cash_fen: int
    payee: str
    channel: str
    state: str
    reason: str
    counter_entry: bool


class Totals(msgspec.Struct, frozen=True):
    """Sums over the terminals' events, refunds negative."""

    medfee_fen: int
    fund_fen: int
    acct_fen: int
    cash_fen: int


class Chains(msgspec.Struct, frozen=True):
    """Events up to the marks, and the terminals (with epoch) whose stored bytes do not hash to their mark."""

    events: int
    broken: tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """`balance_fen` is the sum over all ledger lines: 0, or the ledger is wrong."""

    events: tuple[BookedEvent, ...]
    adjustments: tuple[Adjustment, ...]
    totals: Totals
    balance_fen: int
    chains: Chains


def report(connection: Connection) -> Report:
    """The whole ledger in one consistent view."""
    booked = _booked(connection)
    return Report(
        events=(*booked, *_unbooked(connection)),
        adjustments=_adjustments(connection),
        totals=Totals(
            sum(event.medfee_fen for event in booked),
            sum(event.fund_fen for event in booked),
            sum(event.acct_fen for event in booked),
            sum(event.cash_fen for event in booked),
        ),
        balance_fen=int(connection.execute(select(func.coalesce(func.sum(ledger.c.amount_fen), 0))).scalar_one()),
        chains=chains(connection),
    )


def chains(connection: Connection) -> Chains:
    """Hash every stored event again, from the enrolment record to the mark."""
    total, broken = 0, []
    for row in connection.execute(select(enrolments).order_by(enrolments.c.terminal, enrolments.c.epoch)):
        digest, seq = hashlib.sha256(row.record).hexdigest(), 0
        stored = connection.execute(
            select(events.c.seq, events.c.hash, events.c.data)
            .where(
                events.c.terminal == row.terminal,
                events.c.epoch == row.epoch,
                events.c.seq <= row.mark_seq,
            )
            .order_by(events.c.seq)
        )
        for event in stored:
            if event.seq != seq + 1 or event_hash(event.data) != event.hash or prev_of(event.data) != digest:
                break
            digest, seq = event.hash, event.seq
        total += seq
        if (seq, digest) != (row.mark_seq, row.mark_hash):
            broken.append(f"{row.terminal}/{row.epoch}")
    return Chains(total, tuple(broken))


def _booked(connection: Connection) -> tuple[BookedEvent, ...]:
    rows = connection.execute(
        select(bookings, events.c.hash)
        .join(
            events,
            (events.c.terminal == bookings.c.terminal)
            & (events.c.epoch == bookings.c.epoch)
            & (events.c.seq == bookings.c.seq),
        )
        .order_by(bookings.c.id)
    ).all()
    names = {row.id: event_id(row.terminal, row.epoch, row.seq) for row in rows}
    return tuple(
        BookedEvent(
            id=names[row.id],
            kind=row.kind,
            state="booked",
            hash=row.hash,
            received=rfc3339(moment(row.received_ms)),
            mode=row.mode,
            med_type=row.med_type,
            mdtrt_id=row.mdtrt_id,
            original=None if row.original_id is None else names[row.original_id],
            number=row.number,
            medfee_fen=row.medfee_fen,
            fund_fen=row.big_fen + row.supp_fen,
            big_fen=row.big_fen,
            supp_fen=row.supp_fen,
            acct_fen=row.acct_fen,
            cash_fen=row.cash_fen,
        )
        for row in rows
    )


def _unbooked(connection: Connection) -> tuple[BookedEvent, ...]:
    rows = connection.execute(
        select(events).where(events.c.state != "booked").order_by(events.c.terminal, events.c.epoch, events.c.seq)
    )
    return tuple(
        BookedEvent(
            id=event_id(row.terminal, row.epoch, row.seq),
            kind="unknown",
            state=row.state,
            hash=row.hash,
            received=rfc3339(moment(row.received_ms)),
            number=row.reason,
        )
        for row in rows
    )


def _adjustments(connection: Connection) -> tuple[Adjustment, ...]:
    rows = connection.execute(
        select(adjustments, bookings.c.terminal, bookings.c.epoch, bookings.c.seq)
        .join(bookings, bookings.c.id == adjustments.c.booking_id)
        .order_by(adjustments.c.id)
    )
    return tuple(
        Adjustment(
            event=event_id(row.terminal, row.epoch, row.seq),
            fund_fen=row.big_fen + row.supp_fen,
            acct_fen=row.acct_fen,
            cash_fen=row.cash_fen,
            payee=row.payee,
            channel=row.channel,
            state=row.state,
            reason=row.reason,
            counter_entry=row.reverses is not None,
        )
        for row in rows
    )
