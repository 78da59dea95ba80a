"""The live stream: what arrived at the centre, newest first, every line with the page of its cause."""

import re
from typing import Any

from sqlalchemy import Connection, Select, func, select

from protocols.events.events import event_id
from server.store.tables import adjustments, bookings, events, terminals
from server.web.labels import KINDS, MODES, PIN_SERVICES, money, named, short, stamp, titled
from server.web.pictures import Both, Cursor, StreamLine, Tone
from server.web.terminals import LOCKED
from server.web.unbooked import unbooked

STREAM_LINES = 40
MONEY = ("settlement", "refund")
LINE_TONES: dict[str, Tone] = {"provisional": "amber", "full_cash": "amber"}

_CURSOR = re.compile(r"(\d{1,18})\.(\d{1,18})\.(\d{1,18})", re.ASCII)
_Ordered = tuple[tuple[int, int, int], StreamLine]


def write_cursor(cursor: Cursor) -> str:
    """A cursor as the id of a server-sent event."""
    return f"{cursor.booking}.{cursor.adjustment}.{cursor.quarantined_ms}"


def read_cursor(text: str) -> Cursor:
    """The cursor of an event id; `ValueError` where it is none."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise ValueError("not a cursor")
    return Cursor(*(int(part) for part in match.groups()))


def newest(connection: Connection) -> Cursor:
    """Where the stream stands now."""
    held = select(func.max(events.c.received_ms)).where(unbooked("quarantined"))
    return Cursor(
        connection.execute(select(func.max(bookings.c.id))).scalar() or 0,
        connection.execute(select(func.max(adjustments.c.id))).scalar() or 0,
        connection.execute(held).scalar() or 0,
    )


def stream_lines(
    connection: Connection,
    *,
    after: Cursor | None = None,
    terminal: str | None = None,
    limit: int = STREAM_LINES,
) -> tuple[StreamLine, ...]:
    """The newest lines, newest first; those after a cursor, of one terminal."""
    since = after or Cursor()
    found = [
        *_booked(connection, since, terminal, limit),
        *_adjusted(connection, since, terminal, limit),
        *_quarantined(connection, since, terminal, limit),
    ]
    found.sort(key=lambda pair: pair[0], reverse=True)
    return tuple(line for _, line in found[:limit])


def _booked(connection: Connection, since: Cursor, terminal: str | None, limit: int) -> list[_Ordered]:
    query = (
        select(bookings, terminals.c.fixmedins_name)
        .join(terminals, terminals.c.terminal == bookings.c.terminal)
        .where(bookings.c.id > since.booking)
        .order_by(bookings.c.id.desc())
    )
    rows = connection.execute(_of(query, bookings.c.terminal, terminal).limit(limit))
    return [((row.received_ms, row.id, 0), _booked_line(row)) for row in rows]


def _booked_line(row: Any) -> StreamLine:
    tone = LINE_TONES.get(row.mode or "", "quiet")
    words: tuple[Both, ...] = (short("psn_type", row.psn_type), short("med_type", row.med_type))
    if row.kind == "refund":
        words = (KINDS["refund"],)
    elif row.kind == "refusal":
        title = titled(row.number)
        tone = "amber" if row.number == LOCKED else "quiet"
        words = (Both(f"拒绝 {row.number} {title.zh}", f"Refused {row.number} {title.en}"),)
    elif row.kind == "pin":
        service = KINDS["pin"] if row.mode is None else named(PIN_SERVICES, row.mode)
        words = (service, titled(row.number))
    elif row.mode != "online":
        words = (named(MODES, row.mode or ""),)
    return StreamLine(
        time=stamp(row.received_ms),
        kind=row.kind,
        tone=tone,
        who=row.fixmedins_name,
        words=tuple(each for each in words if each.zh),
        amount_fen=row.medfee_fen if row.kind in MONEY else None,
        link=f"/event/{event_id(row.terminal, row.epoch, row.seq)}",
    )


def _adjusted(connection: Connection, since: Cursor, terminal: str | None, limit: int) -> list[_Ordered]:
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
        .where(adjustments.c.id > since.adjustment)
        .order_by(adjustments.c.id.desc())
    )
    rows = connection.execute(_of(query, bookings.c.terminal, terminal).limit(limit))
    return [((row.created_ms, row.booking_id, row.id), _adjusted_line(row)) for row in rows]


def _adjusted_line(row: Any) -> StreamLine:
    fund = row.big_fen + row.supp_fen
    sign = "+" if fund > 0 else ""
    return StreamLine(
        time=stamp(row.created_ms),
        kind="adjustment",
        tone="amber" if row.state == "open" else "quiet",
        who=row.fixmedins_name,
        words=(Both(f"中心调整 基金 {sign}{money(fund)}", f"Centre adjusts, fund {sign}{money(fund)}"),),
        amount_fen=fund,
        link=f"/event/{event_id(row.terminal, row.epoch, row.seq)}",
    )


def _quarantined(connection: Connection, since: Cursor, terminal: str | None, limit: int) -> list[_Ordered]:
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
        .where(unbooked("quarantined"), events.c.received_ms > since.quarantined_ms)
        .order_by(events.c.received_ms.desc())
    )
    rows = connection.execute(_of(query, events.c.terminal, terminal).limit(limit))
    return [((row.received_ms, 0, 0), _quarantined_line(row)) for row in rows]


def _quarantined_line(row: Any) -> StreamLine:
    title = titled(row.reason)
    return StreamLine(
        time=stamp(row.received_ms),
        kind="quarantine",
        tone="amber",
        who=row.fixmedins_name,
        words=(Both(f"隔离 {row.reason} {title.zh}", f"Quarantined {row.reason} {title.en}"),),
        amount_fen=None,
        link=f"/event/{event_id(row.terminal, row.epoch, row.seq)}",
    )


def _of(query: Select[Any], column: Any, terminal: str | None) -> Select[Any]:
    return query if terminal is None else query.where(column == terminal)
