"""What agency terminals ask to do with a card, an operator's approval, and the book of every use."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Row, RowMapping, insert, select, update

from protocols.events.keys import AuthenticationStep, KeyStep
from protocols.sscard.security import card_factor
from server.errors import CentreError
from server.store.tables import key_requests, key_uses

APPROVED_MS = 15 * 60_000
"""How long an approval can be used."""
WAITING_MS = 24 * 3_600_000
"""How long a request can be approved."""
MOST_WAITING = 20
"""Requests of one terminal that wait; more are not noted."""
REFUSED_MS = 60_000
COUNTED_MS = 3_600_000
"""How long the same answered step of a terminal, one that needs no approval, is counted on one line."""
MOST_REFUSED = 20
"""Refusals of one terminal in the book within `REFUSED_MS`, each once; more are not written."""


class Waiting(msgspec.Struct, frozen=True):
    """A request in a list; `card` are the last eight of the chip's historical bytes."""

    id: int
    terminal: str
    use: str
    key: str
    card: str
    region: str
    algorithm: int
    requested_ms: int
    approved_ms: int | None


class Used(msgspec.Struct, frozen=True):
    """A line of the audit: `refusal` is a catalogue number, null where the step was answered.

    `count` such steps from `at_ms` to `last_ms`, which is null where there was one.
    """

    id: int
    at_ms: int
    terminal: str
    step: str
    use: str
    key: str
    algorithm: int
    version: int
    request_id: int | None
    refusal: str | None
    count: int
    last_ms: int | None


class _Wanted(NamedTuple):
    """What an approval is bound to; the card is chip, region and algorithm together."""

    terminal: str
    use: str
    key: str
    card: str
    region: str
    algorithm: int


def approved(connection: Connection, terminal: str, step: KeyStep, now_ms: int) -> int | None:
    """The request that allows this step now, None where there is none."""
    for row in _requests(connection, terminal, step):
        if row.approved_ms is not None and now_ms - row.approved_ms < APPROVED_MS and _open(row, step):
            return int(row.id)
    return None


def note(connection: Connection, terminal: str, step: KeyStep, now_ms: int) -> int | None:
    """The request that waits for an operator, made where there is none; None where too many of the terminal wait."""
    table, wanted = key_requests, _wanted(terminal, step)
    fresh = (
        select(table)
        .where(table.c.terminal == terminal, table.c.approved_ms.is_(None))
        .where(table.c.requested_ms > now_ms - WAITING_MS)
    )
    rows = connection.execute(fresh).all()
    for row in rows:
        if tuple(getattr(row, name) for name in _Wanted._fields) == wanted:
            return int(row.id)
    if len(rows) >= MOST_WAITING:
        return None
    made = insert(table).values(requested_ms=now_ms, **wanted._asdict()).returning(table.c.id)
    return int(connection.execute(made).scalar_one())


def use_up(connection: Connection, request: int, step: KeyStep, now_ms: int) -> bool:
    """Spend this step of an approved request; False where it has been spent."""
    column = key_requests.c.authenticated_ms if isinstance(step, AuthenticationStep) else key_requests.c.computed_ms
    spend = update(key_requests).where(key_requests.c.id == request, column.is_(None)).values({column.name: now_ms})
    return connection.execute(spend).rowcount == 1


def approve(connection: Connection, request: int, now_ms: int) -> None:
    """An operator allows it, once; `CentreError` where no such request waits."""
    table = key_requests
    allow = (
        update(table)
        .where(table.c.id == request, table.c.approved_ms.is_(None), table.c.requested_ms > now_ms - WAITING_MS)
        .values(approved_ms=now_ms)
    )
    if connection.execute(allow).rowcount == 0:
        raise CentreError("key_request_unknown", request=str(request))


def list_requests(connection: Connection, now_ms: int) -> tuple[Waiting, ...]:
    """Requests of the last 24 hours, oldest first."""
    table = key_requests
    rows = connection.execute(select(table).where(table.c.requested_ms > now_ms - WAITING_MS).order_by(table.c.id))
    return tuple(Waiting(**{name: getattr(row, name) for name in Waiting.__struct_fields__}) for row in rows)


def record_use(
    connection: Connection, terminal: str, step: KeyStep, now_ms: int, *, request: int | None, refusal: str | None
) -> None:
    """Write a use, or a refusal by its catalogue number, into the book; a flood of either does not fill it."""
    values = {"use": step.use, "key": step.card_key.key, "request_id": request, "refusal": refusal}
    if refusal is not None:
        recent = _refused(connection, terminal, now_ms)
        if len(recent) >= MOST_REFUSED or values in map(dict, recent):
            return
    line = {
        "terminal": terminal,
        "step": step.__struct_config__.tag,
        "algorithm": step.card_key.algorithm,
        "version": step.card_key.version,
        **values,
    }
    if refusal is not None or request is not None or not _counted(connection, line, now_ms):
        connection.execute(insert(key_uses).values(at_ms=now_ms, **line))


def audit(connection: Connection) -> tuple[Used, ...]:
    """What the book says, in order."""
    rows = connection.execute(select(key_uses).order_by(key_uses.c.id))
    return tuple(Used(**row._mapping) for row in rows)


def _wanted(terminal: str, step: KeyStep) -> _Wanted:
    """The steps of one PIN reset or unblock belong together, whatever keys they name."""
    key = step.card_key.key if step.use == "update" else ""
    card = card_factor(bytes.fromhex(step.card_key.historical_bytes)).hex()
    return _Wanted(terminal, step.use, key, card, step.card_key.region, step.card_key.algorithm)


def _counted(connection: Connection, line: Mapping[str, object], now_ms: int) -> bool:
    """Whether the same was answered shortly before, and is counted there."""
    table = key_uses
    same = (table.c[name].is_not_distinct_from(value) for name, value in line.items())
    since = table.c.at_ms > now_ms - COUNTED_MS, table.c.at_ms <= now_ms
    found = connection.execute(select(table.c.id).where(*same, *since).order_by(table.c.id.desc()).limit(1)).scalar()
    if found is None:
        return False
    connection.execute(update(table).where(table.c.id == found).values(count=table.c.count + 1, last_ms=now_ms))
    return True


def _refused(connection: Connection, terminal: str, now_ms: int) -> Sequence[RowMapping]:
    table = key_uses
    recent = (
        select(table.c.use, table.c.key, table.c.request_id, table.c.refusal)
        .where(table.c.terminal == terminal, table.c.at_ms > now_ms - REFUSED_MS, table.c.at_ms <= now_ms)
        .where(table.c.refusal.is_not(None))
    )
    return connection.execute(recent).mappings().all()


def _requests(connection: Connection, terminal: str, step: KeyStep) -> list[Row[tuple[object, ...]]]:
    table, wanted = key_requests, _wanted(terminal, step)
    same = (getattr(table.c, name) == value for name, value in wanted._asdict().items())
    return list(connection.execute(select(table).where(*same).order_by(table.c.id)).all())


def _open(row: Row[tuple[object, ...]], step: KeyStep) -> bool:
    """Whether this step is the request's next one."""
    if isinstance(step, AuthenticationStep):
        return row.authenticated_ms is None
    return row.authenticated_ms is not None and row.computed_ms is None
