"""Evidence and alarms: what came and must not be booked, kept within bounds (design 3.2)."""

import hashlib

from sqlalchemy import Connection, func, insert, select, update

from server.store.tables import alarms, evidence

MAX_PAYLOAD = 64 * 1024
MAX_PER_TERMINAL = 100
"""The first ones are kept; of the rest only the alarm's count remains."""


def note_evidence(
    connection: Connection, terminal: str, number: str, *, topic: str, payload: bytes, now_ms: int
) -> None:
    """Keep a message that is not booked, once, and raise its alarm; `terminal` empty: not one of ours."""
    raise_alarm(connection, terminal, number, now_ms)
    digest = hashlib.sha256(payload).hexdigest()
    same = (evidence.c.terminal == terminal) & (evidence.c.number == number) & (evidence.c.payload_hash == digest)
    again = update(evidence).where(same).values(count=evidence.c.count + 1, last_ms=now_ms)
    if connection.execute(again).rowcount:
        return
    held = select(func.count()).select_from(evidence).where(evidence.c.terminal == terminal)
    if connection.execute(held).scalar_one() >= MAX_PER_TERMINAL:
        return
    connection.execute(
        insert(evidence).values(
            terminal=terminal,
            number=number,
            topic=topic[:200],
            payload_hash=digest,
            size=len(payload),
            payload=payload[:MAX_PAYLOAD],
            first_ms=now_ms,
            last_ms=now_ms,
            count=1,
        )
    )


def raise_alarm(connection: Connection, terminal: str, number: str, now_ms: int) -> None:
    """One alarm per cause: a second time only counts."""
    same = (alarms.c.terminal == terminal) & (alarms.c.number == number)
    again = update(alarms).where(same).values(count=alarms.c.count + 1, last_ms=now_ms)
    if connection.execute(again).rowcount == 0:
        connection.execute(
            insert(alarms).values(terminal=terminal, number=number, first_ms=now_ms, last_ms=now_ms, count=1)
        )
