"""What the centre owes a terminal after a commit: its mark, what was refused, what is missing."""

from sqlalchemy import Connection, select

from protocols.events.clock import rfc3339
from protocols.events.frames import Receipt, Refused
from server.store.store import moment
from server.store.tables import events
from server.terminals.registry import Enrolled

MAX_REFUSED = 100
"""Newest first; a receipt may be lost, so each one names them again."""
MAX_RANGES = 16


def receipt_of(connection: Connection, enrolled: Enrolled, now_ms: int) -> Receipt:
    """The receipt for the mark as it is in this transaction."""
    mine = (events.c.terminal == enrolled.terminal) & (events.c.epoch == enrolled.epoch)
    quarantined = connection.execute(
        select(events.c.seq, events.c.reason)
        .where(mine, events.c.state == "quarantined")
        .order_by(events.c.seq.desc())
        .limit(MAX_REFUSED)
    )
    waiting = connection.execute(select(events.c.seq).where(mine, events.c.state == "waiting").order_by(events.c.seq))
    return Receipt(
        terminal=enrolled.terminal,
        epoch=enrolled.epoch,
        seq=enrolled.mark.seq,
        hash=enrolled.mark.hash,
        refused=tuple(Refused(row.seq, row.reason) for row in quarantined),
        missing=_gaps(enrolled.mark.seq, [row.seq for row in waiting]),
        time=rfc3339(moment(now_ms)),
    )


def _gaps(mark: int, waiting: list[int]) -> tuple[tuple[int, int], ...]:
    """First and last of each hole before the stored ones; the first holes where there are very many."""
    gaps: list[tuple[int, int]] = []
    for seq in waiting:
        if seq > mark + 1:
            gaps.append((mark + 1, seq - 1))
        mark = seq
    return tuple(gaps[:MAX_RANGES])
