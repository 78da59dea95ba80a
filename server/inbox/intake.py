"""Taking one message inside a transaction: store, book, move the mark; or evidence (design 3.2)."""

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from protocols.events.frames import Person
from protocols.events.steps import OnStep
from server.errors import UNREADABLE, number
from server.inbox.evidence import note_evidence, raise_alarm
from server.inbox.frames import FrameRefused, Link, open_frame, prev_of, sender
from server.inbox.message import Message
from server.ledger.booking import Unacceptable, book
from server.ledger.entries import Arrived
from server.store.tables import event_persons, events
from server.terminals.presence import note_presence, read_presence
from server.terminals.registry import Enrolled, Mark, enrolled, move_mark

CHUNK = 100

_SAME_EVENT = and_(
    events.c.terminal == event_persons.c.terminal,
    events.c.epoch == event_persons.c.epoch,
    events.c.seq == event_persons.c.seq,
)


def take_message(connection: Connection, message: Message, now_ms: int, on_step: OnStep) -> str | None:
    """Take a frame or a presence; the terminal that is owed a receipt, if any."""
    known = ""
    try:
        terminal = sender(message.topic)
        who = enrolled(connection, terminal)
        if who is None:
            raise FrameRefused("frame_terminal_unknown")
        known = terminal
        if message.topic.endswith("/presence"):
            return terminal if _take_presence(connection, who, message, now_ms) else None
        on_step("inbox.frame_arrived")
        _take_frame(connection, who, message.payload, now_ms, on_step)
    except FrameRefused as refused:
        note_evidence(connection, known, refused.number, topic=message.topic, payload=message.payload, now_ms=now_ms)
        return None
    return terminal


def _take_frame(connection: Connection, who: Enrolled, payload: bytes, now_ms: int, on_step: OnStep) -> None:
    links, signature = open_frame(payload, who)
    new = _new_links(connection, who, links)
    if new:
        _store(connection, who, new, signature if new[-1] is links[-1] else None, now_ms)
    on_step("inbox.events_written")
    mark = who.mark
    if links[0].seq <= mark.seq + 1:
        mark = _book_from(connection, who, now_ms)
    on_step("inbox.ledger_written")
    if mark != who.mark:
        move_mark(connection, who.terminal, who.epoch, mark, now_ms)
    on_step("inbox.mark_written")


def _mine(who: Enrolled) -> ColumnElement[bool]:
    return and_(events.c.terminal == who.terminal, events.c.epoch == who.epoch)


def _new_links(connection: Connection, who: Enrolled, links: tuple[Link, ...]) -> list[Link]:
    """The events not yet stored; `FrameRefused` where one contradicts what is stored."""
    first, last = links[0].seq, links[-1].seq
    rows = connection.execute(
        select(events.c.seq, events.c.hash).where(_mine(who), events.c.seq >= first - 1, events.c.seq <= last)
    )
    stored = {row.seq: row.hash for row in rows}
    stored.setdefault(who.mark.seq, who.mark.hash)
    conflict = stored.get(first - 1, links[0].prev) != links[0].prev or any(
        stored.get(link.seq, link.hash) != link.hash for link in links
    )
    follower = connection.execute(select(events.c.data).where(_mine(who), events.c.seq == last + 1)).scalar()
    if conflict or (follower is not None and prev_of(follower) != links[-1].hash):
        raise FrameRefused("event_conflict")
    return [link for link in links if link.seq not in stored]


def _store(connection: Connection, who: Enrolled, links: list[Link], signature: str | None, now_ms: int) -> None:
    keys = [{"terminal": who.terminal, "epoch": who.epoch, "seq": link.seq} for link in links]
    connection.execute(
        insert(events),
        [
            {
                **key,
                "hash": link.hash,
                "data": link.data,
                "signature": signature if link is links[-1] else None,
                "state": "waiting",
                "received_ms": now_ms,
            }
            for key, link in zip(keys, links, strict=True)
        ],
    )
    persons = [
        {**key, **msgspec.structs.asdict(link.person)}
        for key, link in zip(keys, links, strict=True)
        if link.person is not None
    ]
    if persons:
        connection.execute(insert(event_persons), persons)


def _book_from(connection: Connection, who: Enrolled, now_ms: int) -> Mark:
    """Book what follows the mark without a gap, this frame's events and those that waited; the new mark."""
    mark = who.mark
    while True:
        rows = connection.execute(
            select(events, event_persons.c.certno, event_persons.c.card_no, event_persons.c.salt)
            .outerjoin(event_persons, _SAME_EVENT)
            .where(_mine(who), events.c.seq > mark.seq)
            .order_by(events.c.seq)
            .limit(CHUNK)
        ).all()
        begin = mark.seq
        for row in rows:
            if row.seq != mark.seq + 1:
                break
            person = None if row.certno is None else Person(row.certno, row.card_no, row.salt)
            arrived = Arrived(who.terminal, who.epoch, row.seq, row.data, person, who.fixmedins_code, now_ms)
            _book_one(connection, arrived)
            mark = Mark(row.seq, row.hash)
        if mark.seq < begin + CHUNK:
            return mark


def _book_one(connection: Connection, arrived: Arrived) -> None:
    outcome: dict[str, str | None] = {"state": "booked"}
    try:
        book(connection, arrived)
    except Unacceptable as refusal:
        outcome = {"state": "quarantined", "reason": refusal.number}
    connection.execute(
        update(events)
        .where(
            events.c.terminal == arrived.terminal,
            events.c.epoch == arrived.epoch,
            events.c.seq == arrived.seq,
        )
        .values(**outcome)
    )


def _take_presence(connection: Connection, who: Enrolled, message: Message, now_ms: int) -> bool:
    """Note a birth or death; whether it was a birth, which is owed a receipt.

    A retained one may be older than the enrolment and the mark: it proves neither clone nor lost journal.
    """
    if not message.payload:
        return False
    try:
        presence = read_presence(message.payload)
    except UNREADABLE as error:
        raise FrameRefused("frame_malformed") from error
    if presence.epoch != who.epoch:
        if not message.retained:
            raise_alarm(connection, who.terminal, number("frame_epoch"), now_ms)
        return presence.state == "birth"
    if presence.state == "birth" and presence.end < who.mark.seq and not message.retained:
        raise_alarm(connection, who.terminal, number("journal_rolled_back"), now_ms)
    if presence.state == "birth" and presence.mark > who.mark.seq:
        raise_alarm(connection, who.terminal, number("store_rolled_back"), now_ms)
    note_presence(connection, who.terminal, presence, now_ms)
    return presence.state == "birth"
