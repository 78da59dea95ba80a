"""The lists behind the figures: settlements with totals by fund, differences, quarantine, alarms."""

import re
from typing import Any

from sqlalchemy import Connection, func, select

from protocols.events.events import event_id
from server.store.tables import adjustments, alarms, bookings, events, evidence, terminals
from server.web.labels import ADJUSTMENT_STATES, CHANNELS, PAYEES, coded, explained, named, stamp, titled
from server.web.overview import day_bounds
from server.web.pictures import (
    Alarm,
    Alarms,
    Both,
    Difference,
    Evidence,
    FundTotal,
    Quarantined,
    SettlementRow,
    Settlements,
)
from server.web.terminals import TONES, alarm_tone
from server.web.unbooked import unbooked

PAGE = 100
PAYERS = (
    ("big_fen", "310", Both("职工统筹/大额", "Employees' fund")),
    ("supp_fen", "310", Both("职工补充", "Employees' supplement")),
    ("big_fen", "390", Both("居民统筹", "Residents' fund")),
    ("supp_fen", "390", Both("居民补充", "Residents' supplement")),
)
"""Funds by ledger account and insurance kind; other kinds are totalled together."""
OWN = (("acct_fen", Both("个人账户", "Personal accounts")), ("cash_fen", Both("个人现金", "Cash")))

_LONG_NUMBER = re.compile(r"\d{8,}")


def settlements(
    connection: Connection, day: str, *, terminal: str | None = None, before: int | None = None
) -> Settlements:
    """One business day's settlements and refunds, newest first, from below the booking `before`."""
    first, end = day_bounds(day)
    chosen = [bookings.c.event_ms >= first, bookings.c.event_ms < end]
    if terminal is not None:
        chosen.append(bookings.c.terminal == terminal)
    query = (
        select(bookings, terminals.c.fixmedins_name)
        .join(terminals, terminals.c.terminal == bookings.c.terminal)
        .where(*chosen, bookings.c.kind.in_(("settlement", "refund")))
        .order_by(bookings.c.id.desc())
        .limit(PAGE + 1)
    )
    if before is not None:
        query = query.where(bookings.c.id < before)
    rows = list(connection.execute(query))
    return Settlements(
        day=day,
        terminal=terminal,
        totals=_totals(connection, chosen),
        rows=tuple(_settlement(row) for row in rows[:PAGE]),
        older=rows[PAGE - 1].id if len(rows) > PAGE else None,
    )


def differences(connection: Connection, *, booking: int | None = None) -> tuple[Difference, ...]:
    """Adjustments, the open ones first, then newest first; with `booking` its own."""
    query = (
        select(
            adjustments,
            bookings.c.terminal,
            bookings.c.epoch,
            bookings.c.seq,
            terminals.c.fixmedins_name,
        )
        .join(bookings, bookings.c.id == adjustments.c.booking_id)
        .join(terminals, terminals.c.terminal == bookings.c.terminal)
        .order_by((adjustments.c.state == "open").desc(), adjustments.c.id.desc())
        .limit(PAGE)
    )
    if booking is not None:
        query = query.where(adjustments.c.booking_id == booking)
    return tuple(_difference(row) for row in connection.execute(query))


def quarantine(connection: Connection, *, terminal: str | None = None) -> tuple[Quarantined, ...]:
    """Authentic events that could not be booked, newest first."""
    query = (
        select(
            events.c.terminal,
            events.c.epoch,
            events.c.seq,
            events.c.reason,
            events.c.received_ms,
            terminals.c.fixmedins_name,
        )
        .join(terminals, terminals.c.terminal == events.c.terminal)
        .where(unbooked("quarantined"))
        .order_by(events.c.received_ms.desc(), events.c.seq.desc())
        .limit(PAGE)
    )
    if terminal is not None:
        query = query.where(events.c.terminal == terminal)
    return tuple(quarantined(row) for row in connection.execute(query))


def quarantined(row: Any) -> Quarantined:
    """A row with terminal, epoch, seq, reason, received_ms and fixmedins_name."""
    name = event_id(row.terminal, row.epoch, row.seq)
    return Quarantined(
        id=name,
        time=stamp(row.received_ms),
        who=row.fixmedins_name,
        number=row.reason or "",
        title=titled(row.reason),
        what=explained(row.reason),
        link=f"/event/{name}",
    )


def alarm_page(connection: Connection, *, terminal: str | None = None) -> Alarms:
    """Alarms, stops first, and the evidence behind them."""
    found = select(alarms).order_by(alarms.c.last_ms.desc()).limit(PAGE)
    kept = (
        select(*(column for column in evidence.c if column.name != "payload"))
        .order_by(evidence.c.last_ms.desc())
        .limit(PAGE)
    )
    if terminal is not None:
        found, kept = found.where(alarms.c.terminal == terminal), kept.where(evidence.c.terminal == terminal)
    rows = [_alarm(row) for row in connection.execute(found)]
    rows.sort(key=lambda each: TONES.index(each.tone))
    return Alarms(tuple(rows), tuple(_evidence(row) for row in connection.execute(kept)))


def _settlement(row: Any) -> SettlementRow:
    name = event_id(row.terminal, row.epoch, row.seq)
    return SettlementRow(
        id=name,
        kind=row.kind,
        time=stamp(row.event_ms),
        received=stamp(row.received_ms),
        terminal=row.terminal,
        who=row.fixmedins_name,
        med_type=coded("med_type", row.med_type),
        psn_type=coded("psn_type", row.psn_type),
        mode=row.mode or "",
        total_fen=row.medfee_fen,
        fund_fen=row.big_fen + row.supp_fen,
        account_fen=row.acct_fen,
        cash_fen=row.cash_fen,
        link=f"/event/{name}",
    )


def _totals(connection: Connection, chosen: list[Any]) -> tuple[FundTotal, ...]:
    """Who paid, by fund; a fund of which there was nothing is left out."""
    columns = ("big_fen", "supp_fen", "acct_fen", "cash_fen")
    booked: dict[tuple[str, str], int] = {}
    adjusted: dict[tuple[str, str], int] = {}
    for table, into in ((bookings, booked), (adjustments, adjusted)):
        query = select(bookings.c.insutype, *(func.sum(table.c[name]).label(name) for name in columns))
        if table is adjustments:
            query = query.select_from(adjustments).join(bookings, bookings.c.id == adjustments.c.booking_id)
        for row in connection.execute(query.where(*chosen).group_by(bookings.c.insutype)):
            for name in columns:
                into[row.insutype or "", name] = int(getattr(row, name) or 0)

    def total(payer: Both, keys: list[tuple[str, str]]) -> FundTotal:
        return FundTotal(payer, *(sum(each.get(key, 0) for key in keys) for each in (booked, adjusted)))

    kinds = {kind for kind, _ in booked.keys() | adjusted.keys()}
    known = {kind for _, kind, _ in PAYERS}
    others = [(kind, name) for kind in kinds - known for name in ("big_fen", "supp_fen")]
    funds = [
        *(total(payer, [(kind, name)]) for name, kind, payer in PAYERS),
        total(Both("其他基金", "Other funds"), others),
    ]
    own = [total(payer, [(kind, name) for kind in kinds]) for name, payer in OWN]
    return (*(each for each in funds if each.events_fen or each.adjusted_fen), *own)


def _difference(row: Any) -> Difference:
    name = event_id(row.terminal, row.epoch, row.seq)
    return Difference(
        id=row.id,
        time=stamp(row.created_ms),
        event=name,
        who=row.fixmedins_name,
        payee=named(PAYEES, row.payee),
        channel=named(CHANNELS, row.channel),
        state=named(ADJUSTMENT_STATES, row.state),
        tone="amber" if row.state == "open" else "quiet",
        number=row.reason,
        reason=titled(row.reason),
        reverses=row.reverses,
        fund_fen=row.big_fen + row.supp_fen,
        account_fen=row.acct_fen,
        cash_fen=row.cash_fen,
        link=f"/event/{name}",
    )


def _alarm(row: Any) -> Alarm:
    return Alarm(
        terminal=row.terminal,
        number=row.number,
        title=titled(row.number),
        what=explained(row.number),
        tone=alarm_tone(row.number),
        first=stamp(row.first_ms),
        last=stamp(row.last_ms),
        count=row.count,
    )


def _evidence(row: Any) -> Evidence:
    return Evidence(
        id=row.id,
        terminal=row.terminal,
        number=row.number,
        title=titled(row.number),
        topic=_LONG_NUMBER.sub(lambda match: "*" * len(match.group()), row.topic),
        payload_hash=row.payload_hash,
        size=row.size,
        first=stamp(row.first_ms),
        last=stamp(row.last_ms),
        count=row.count,
    )
