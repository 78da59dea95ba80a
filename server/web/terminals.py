"""Terminals as the centre knows them, and in words why one needs attention."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from protocols.events.events import event_id
from server.store.store import millis
from server.store.tables import alarms, bookings, enrolments, events, presence, terminals
from server.web.labels import coded, duration, rough, stamp, titled
from server.web.pictures import Both, Reason, TerminalRow, Tone
from server.web.unbooked import unbooked

SILENT_MS = 95_000
"""A terminal speaks every 30 s; one that missed three is offline, for a killed broker publishes no wills."""
LATE_S = 60
"""A backlog older than this wants a look."""
LOCKED = "-52"
LOCKOUTS = 3
LOCKOUT_WINDOW_MS = 10 * 60_000
"""So many locked PINs at one terminal in so short a time are no coincidence."""
DAY_MS = 86_400_000
STOPPING = frozenset({"C-033", "C-036", "C-037"})
"""Alarms after which a terminal must not settle: two epochs, two histories, rolled back."""
READER_STATES: dict[str, tuple[Tone, Both]] = {
    "away": ("amber", Both("读卡器断开", "Reader away")),
    "attention": ("amber", Both("读卡器异常", "Reader needs a look")),
}
COUNTER_STATES: dict[str, tuple[Tone, Both]] = {
    "stopped": ("red", Both("已停止结算", "Stopped settling")),
    "full_cash": ("amber", Both("积压超限，仅全额现金", "Backlog over its limit, full cash only")),
}
"""What presence may say of reader and counter that needs somebody; anything else needs nobody."""
TONES: tuple[Tone, ...] = ("red", "amber", "quiet")


class _Clocked(msgspec.Struct):
    """The part of an event that says whether its clock was trusted."""

    clock: "_Stamp"


class _Stamp(msgspec.Struct):
    trusted: bool


def terminal_rows(connection: Connection, now: datetime, *, only: str | None = None) -> tuple[TerminalRow, ...]:
    """Every terminal, those that need attention first; with `only` that one or nothing."""
    facts = _Facts(connection, millis(now))
    latest = (
        select(enrolments.c.terminal, func.max(enrolments.c.epoch).label("epoch"))
        .group_by(enrolments.c.terminal)
        .subquery()
    )
    query = (
        select(
            terminals,
            enrolments.c.epoch,
            enrolments.c.mark_seq,
            presence.c.state,
            presence.c.end_seq,
            presence.c.oldest,
            presence.c.software,
            presence.c.profile,
            presence.c.catalogue,
            presence.c.reader,
            presence.c.counter,
            presence.c.since_ms,
            presence.c.seen_ms,
        )
        .select_from(terminals)
        .outerjoin(latest, latest.c.terminal == terminals.c.terminal)
        .outerjoin(
            enrolments,
            (enrolments.c.terminal == latest.c.terminal) & (enrolments.c.epoch == latest.c.epoch),
        )
        .outerjoin(presence, presence.c.terminal == terminals.c.terminal)
    )
    if only is not None:
        query = query.where(terminals.c.terminal == only)
    rows = [_row(each, facts) for each in connection.execute(query)]
    rows.sort(key=lambda row: (TONES.index(row.tone), -(row.oldest_s or 0), row.id))
    return tuple(rows)


def alarm_tone(number: str) -> Tone:
    """Red where the terminal has to stop."""
    return "red" if number in STOPPING else "amber"


class _Facts:
    """What is asked once for all terminals."""

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self.now_ms = now_ms
        self.last = _last_settlements(connection, now_ms)
        recent = bookings.c.received_ms >= now_ms - LOCKOUT_WINDOW_MS
        self.lockouts = Counter(
            connection.scalars(select(bookings.c.terminal).where(bookings.c.number == LOCKED, recent))
        )
        self.gaps = Counter(connection.scalars(select(events.c.terminal).where(unbooked("waiting"))))
        today = events.c.received_ms >= now_ms - DAY_MS
        self.quarantined = Counter(connection.scalars(select(events.c.terminal).where(unbooked("quarantined"), today)))
        self.alarms: dict[str, list[str]] = defaultdict(list)
        for terminal, number in connection.execute(
            select(alarms.c.terminal, alarms.c.number)
            .where(alarms.c.last_ms >= now_ms - DAY_MS)
            .order_by(alarms.c.number)
        ):
            self.alarms[terminal].append(number)


def _last_settlements(connection: Connection, now_ms: int) -> dict[str, Any]:
    """The newest settlement of the last day with its bytes, by terminal.

    Grouped here: SQLite would walk all bookings by terminal for a GROUP BY.
    """
    newest: dict[str, int] = {}
    for terminal, key in connection.execute(
        select(bookings.c.terminal, bookings.c.id).where(
            bookings.c.kind == "settlement", bookings.c.received_ms >= now_ms - DAY_MS
        )
    ):
        newest[terminal] = max(key, newest.get(terminal, 0))
    query = (
        select(bookings, events.c.data)
        .join(
            events,
            (events.c.terminal == bookings.c.terminal)
            & (events.c.epoch == bookings.c.epoch)
            & (events.c.seq == bookings.c.seq),
        )
        .where(bookings.c.id.in_(newest.values()))
    )
    return {row.terminal: row for row in connection.execute(query)}


def _standing(row: Any, now_ms: int) -> tuple[str | None, int]:
    """(birth or death, since when), a terminal that fell silent counted as dead since it was last heard."""
    if row.state == "birth" and now_ms - row.seen_ms > SILENT_MS:
        return "death", row.seen_ms
    return row.state, row.since_ms or 0


def _row(row: Any, facts: _Facts) -> TerminalRow:
    state, since_ms = _standing(row, facts.now_ms)
    waiting = max(0, (row.end_seq or 0) - (row.mark_seq or 0)) if row.state else 0
    oldest_s = _age_s(row.oldest, facts.now_ms) if waiting else None
    last = facts.last.get(row.terminal)
    reasons = tuple(_reasons(row, waiting, oldest_s, last, facts))
    return TerminalRow(
        id=row.terminal,
        name=row.fixmedins_name,
        city=coded("admdvs", row.city),
        role=row.role,
        epoch=row.epoch,
        state={"birth": "online", "death": "offline"}.get(state or "", "never"),  # type: ignore[arg-type]
        since=stamp(since_ms) if state else None,
        since_s=(facts.now_ms - since_ms) // 1000 if state else None,
        waiting=waiting,
        oldest_s=oldest_s,
        mark=row.mark_seq or 0,
        profile=row.profile or "",
        catalogue=row.catalogue or "",
        software=row.software or "",
        reader=row.reader or "",
        counter=row.counter or "",
        last=stamp(last.event_ms) if last else None,
        last_mode=last.mode if last else None,
        last_link=f"/event/{event_id(last.terminal, last.epoch, last.seq)}" if last else None,
        reasons=reasons,
        tone=min((reason.tone for reason in reasons), key=TONES.index, default="quiet"),
    )


def _reasons(row: Any, waiting: int, oldest_s: int | None, last: Any, facts: _Facts) -> Iterable[Reason]:
    """In order of weight; each leads to its cause."""
    page = f"/terminals/{row.terminal}"
    for number in sorted(facts.alarms.get(row.terminal, ()), key=lambda each: TONES.index(alarm_tone(each))):
        yield Reason(alarm_tone(number), titled(number), f"/alarms?terminal={row.terminal}")
    state, since_ms = _standing(row, facts.now_ms)
    if state == "death":
        gone = rough((facts.now_ms - since_ms) / 1000)
        yield Reason("amber", Both(f"离线 {gone.zh}", f"Offline {gone.en}"), page)
    elif waiting and oldest_s is not None and oldest_s >= LATE_S:
        age = duration(oldest_s)
        yield Reason("amber", Both(f"{waiting} 笔待上传 {age}", f"{waiting} waiting {age}"), page)
    locked = facts.lockouts[row.terminal]
    if locked >= LOCKOUTS:
        yield Reason("amber", Both(f"锁卡集中 {locked} 次/10 分", f"{locked} locked PINs in 10 min"), page)
    if missing := facts.gaps[row.terminal]:
        yield Reason("amber", Both(f"缺号，{missing} 笔在等", f"Gap, {missing} held behind it"), page)
    if held := facts.quarantined[row.terminal]:
        yield Reason("amber", Both(f"隔离 {held} 笔", f"{held} in quarantine"), f"/quarantine?terminal={row.terminal}")
    if last is not None and not _trusted(last.data):
        yield Reason("amber", Both("时钟不可信", "Clock not trusted"), page)
    if state == "birth":
        for states, said in ((COUNTER_STATES, row.counter), (READER_STATES, row.reader)):
            if said in states:
                yield Reason(*states[said], page)


def _trusted(data: bytes) -> bool:
    try:
        return msgspec.json.decode(data, type=_Clocked).clock.trusted
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True


def _age_s(oldest: str | None, now_ms: int) -> int | None:
    """Seconds since a moment a terminal named; none where it is no moment."""
    try:
        then = datetime.fromisoformat(oldest or "")
        return max(0, now_ms - millis(then)) // 1000
    except (ValueError, TypeError, OverflowError):
        return None
