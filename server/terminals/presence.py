"""Birth and death of terminals; a death counts only for the incarnation that is alive (messaging.md A1)."""

import msgspec
from sqlalchemy import Connection, insert, select, update

from protocols.events.frames import Presence
from server.store.tables import presence as table

_DECODER = msgspec.json.Decoder(Presence)


def read_presence(payload: bytes) -> Presence:
    """A presence message; `UNREADABLE` errors where it is none."""
    return _DECODER.decode(payload)


def note_presence(connection: Connection, terminal: str, presence: Presence, now_ms: int) -> None:
    """Keep the newest birth, or let it die."""
    known = connection.execute(select(table).where(table.c.terminal == terminal)).one_or_none()
    if presence.state == "death":
        if known is not None and known.incarnation == presence.incarnation and known.state == "birth":
            died = {"state": "death", "since_ms": now_ms, "seen_ms": now_ms}
            connection.execute(update(table).where(table.c.terminal == terminal).values(**died))
        return
    values = {
        "incarnation": presence.incarnation,
        "state": "birth",
        "end_seq": presence.end,
        "oldest": presence.oldest,
        "software": presence.software,
        "profile": presence.profile,
        "catalogue": presence.catalogue,
        "reader": presence.reader,
        "counter": presence.counter,
        "seen_ms": now_ms,
    }
    if known is None:
        connection.execute(insert(table).values(terminal=terminal, since_ms=now_ms, **values))
        return
    if (known.incarnation, known.state) != (presence.incarnation, "birth"):
        values["since_ms"] = now_ms
    connection.execute(update(table).where(table.c.terminal == terminal).values(**values))
