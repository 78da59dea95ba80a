"""The overview: what needs somebody first, the day in six figures, an hour in minutes, the newest lines."""

from collections import defaultdict
from datetime import date, datetime, time, timedelta
from statistics import median

from sqlalchemy import ColumnElement, Connection, Function, case, func, select

from protocols.events.clock import SHANGHAI, business_day, rfc3339
from server.store.store import millis, moment
from server.store.tables import adjustments, alarms, bookings, enrolments, events, ledger, presence
from server.web.labels import duration, stamp
from server.web.pictures import Books, Both, Figures, Minute, Note, Overview, TerminalRow
from server.web.stream import newest, stream_lines
from server.web.terminals import DAY_MS, terminal_rows
from server.web.unbooked import unbooked

MINUTES = 60
MINUTE_MS = 60_000
DRAINED_S = 5
"""A bill that took longer from journal to ledger than a terminal waits for a receipt had no connection."""
SHOWN = 8
"""Terminals on the first page."""


def overview(connection: Connection, now: datetime, balance: "Balance", *, listening: bool, writing: bool) -> Overview:
    """The whole first page at one moment."""
    rows = terminal_rows(connection, now)
    unwell = tuple(row for row in rows if row.tone != "quiet")
    minutes, drained = _minutes(connection, now)
    return Overview(
        time=rfc3339(now),
        day=business_day(now),
        books=Books(balance.of(connection), *_chains(connection, millis(now)), listening, writing),
        figures=_figures(connection, now, rows),
        minutes=minutes,
        notes=_notes(connection, minutes[0].at, drained),
        healthy=len(rows) - len(unwell),
        unwell=len(unwell),
        attention=unwell[:SHOWN],
        lines=stream_lines(connection),
        cursor=newest(connection),
    )


class Balance:
    """The sum of all ledger lines, kept by adding the new ones: the ledger only grows."""

    def __init__(self) -> None:
        self._known = (0, 0)

    def of(self, connection: Connection) -> int:
        """Fen by which debits and credits differ; 0 where the books are right."""
        seen, total = self._known
        last, new = connection.execute(
            select(func.max(ledger.c.id), func.sum(ledger.c.amount_fen)).where(ledger.c.id > seen)
        ).one()
        if last is None:
            return total
        self._known = (last, total + int(new))
        return total + int(new)


def day_bounds(day: str) -> tuple[int, int]:
    """First millisecond of a Shanghai day and of the next."""
    start = datetime.combine(date.fromisoformat(day), time(), SHANGHAI)
    return millis(start), millis(start + timedelta(days=1))


def _chains(connection: Connection, now_ms: int) -> tuple[int, int, int]:
    """Events up to the marks, chains with a gap, alarms of the last day."""
    chained = connection.execute(select(func.sum(enrolments.c.mark_seq))).scalar() or 0
    held = select(events.c.terminal, events.c.epoch).where(unbooked("waiting")).distinct().subquery()
    gaps = connection.execute(select(func.count()).select_from(held)).scalar_one()
    rung = connection.execute(
        select(func.count()).select_from(alarms).where(alarms.c.last_ms >= now_ms - DAY_MS)
    ).scalar_one()
    return int(chained), gaps, rung


def _figures(connection: Connection, now: datetime, rows: tuple[TerminalRow, ...]) -> Figures:
    first, end = day_bounds(business_day(now))
    today = (bookings.c.event_ms >= first) & (bookings.c.event_ms < end)
    settlement = bookings.c.kind == "settlement"
    day = connection.execute(
        select(
            _count(settlement).label("settled"),
            _count(settlement & (bookings.c.mode == "provisional")).label("provisional"),
            _count(settlement & (bookings.c.mode == "full_cash")).label("full_cash"),
            func.coalesce(func.sum(bookings.c.medfee_fen), 0).label("total"),
            func.coalesce(func.sum(bookings.c.big_fen + bookings.c.supp_fen), 0).label("fund"),
        ).where(today)
    ).one()
    adjusted = connection.execute(
        select(func.coalesce(func.sum(adjustments.c.big_fen + adjustments.c.supp_fen), 0))
        .join(bookings, bookings.c.id == adjustments.c.booking_id)
        .where(today)
    ).scalar_one()
    opened, opened_ms = connection.execute(
        select(func.count(), func.min(adjustments.c.created_ms)).where(adjustments.c.state == "open")
    ).one()
    held, held_ms = connection.execute(
        select(func.count(), func.min(events.c.received_ms)).where(unbooked("quarantined"))
    ).one()
    oldest_ms = min((each for each in (opened_ms, held_ms) if each is not None), default=None)
    waiting = [row for row in rows if row.waiting]
    now_ms = millis(now)
    return Figures(
        online=sum(row.state == "online" for row in rows),
        terminals=len(rows),
        oldest_s=max((row.oldest_s for row in waiting if row.oldest_s is not None), default=None),
        waiting_terminals=len(waiting),
        waiting_events=sum(row.waiting for row in waiting),
        settled=int(day.settled),
        per_minute=connection.execute(
            select(func.count()).where(settlement, bookings.c.received_ms > now_ms - MINUTE_MS)
        ).scalar_one(),
        fund_fen=int(day.fund) + int(adjusted),
        adjusted_fen=int(adjusted),
        total_fen=int(day.total),
        provisional=int(day.provisional),
        full_cash=int(day.full_cash),
        differences=opened + held,
        differences_oldest=None if oldest_ms is None else stamp(oldest_ms),
    )


def _minutes(connection: Connection, now: datetime) -> tuple[tuple[Minute, ...], dict[int, list[float]]]:
    """The last hour by minute of arrival, and per minute the latencies of what had waited."""
    last = millis(now) // MINUTE_MS
    first = last - MINUTES + 1
    latencies: dict[int, list[float]] = defaultdict(list)
    for received_ms, event_ms in connection.execute(
        select(bookings.c.received_ms, bookings.c.event_ms).where(
            bookings.c.kind == "settlement", bookings.c.received_ms >= first * MINUTE_MS
        )
    ):
        latencies[received_ms // MINUTE_MS].append(max(0, received_ms - event_ms) / 1000)
    series = tuple(
        Minute(
            minute * 60,
            len(latencies[minute]),
            round(median(latencies[minute]), 3) if latencies[minute] else None,
        )
        for minute in range(first, last + 1)
    )
    drained = {minute * 60: [each for each in found if each >= DRAINED_S] for minute, found in latencies.items()}
    return series, {minute: found for minute, found in drained.items() if found}


def _notes(connection: Connection, start: int, drained: dict[int, list[float]]) -> tuple[Note, ...]:
    """Terminals that came back together (a restarted broker or centre), and backlogs that arrived."""
    births: dict[int, int] = defaultdict(int)
    for (since_ms,) in connection.execute(
        select(presence.c.since_ms).where(presence.c.state == "birth", presence.c.since_ms >= start * 1000)
    ):
        births[since_ms // MINUTE_MS * 60] += 1
    notes = []
    for at in sorted(births.keys() | drained.keys()):
        zh, en = [], []
        if at in births:
            zh.append(f"{births[at]} 台终端上线")
            en.append(f"{births[at]} online")
        if at in drained:
            longest = duration(max(drained[at]))
            zh.append(f"补传 {len(drained[at])} 笔，最久 {longest}")
            en.append(f"{len(drained[at])} drained, longest {longest}")
        clock = moment(at * 1000).strftime("%H:%M")
        notes.append(Note(at, Both(" · ".join((clock, *zh)), " · ".join((clock, *en)))))
    return tuple(notes)


def _count(condition: ColumnElement[bool]) -> Function[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
