"""Reading a journal: any process may, at any time, without disturbing the one that writes."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from host_bridge.journal.chain import Chain, Mark, Row, Stored, record_hash
from host_bridge.journal.errors import JournalBroken, JournalRolledBack, NotEnrolled
from host_bridge.journal.store import FAILURES, journal_error, open_reader
from protocols.events.events import Event, decode_event, event_key
from protocols.events.frames import EnrolmentRecord, Person, Refused

_STORED = (
    "SELECT event.seq, id, kind, time, original, hash, prev, signature, CAST(data AS BLOB), certno, card_no, salt"
    " FROM event LEFT JOIN person ON person.seq = event.seq"
)
_LAST_BEFORE = "coalesce((SELECT seq FROM event WHERE time < ? ORDER BY seq DESC LIMIT 1), 0)"
"""The last event before a day: times never go back, so this reads from the end."""
_BATCH = 500


class Backlog(msgspec.Struct, frozen=True):
    """What the centre has not receipted: events, sum of |medfee_sumamt| in fen, and the oldest one's time."""

    count: int
    fen: int
    oldest_time: datetime | None


class JournalReader:
    """A read-only view of a journal file; every call may raise `JournalBroken`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise NotEnrolled
        self._reading = Lock()
        try:
            self._reads = open_reader(path)
        except FAILURES as error:
            raise journal_error(error) from error
        try:
            self.record_bytes: bytes = self._row("SELECT CAST(record AS BLOB) FROM enrolment")[0]
            self.record = msgspec.json.decode(self.record_bytes, type=EnrolmentRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._reads.close()
            raise JournalBroken("enrolment record is malformed") from error
        except JournalBroken:
            self._reads.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        with self._reading:
            self._reads.close()

    @property
    def end(self) -> int:
        """The last event's seq, 0 where there is none."""
        return self.tail.seq

    @property
    def tail(self) -> Mark:
        """The last event, or the enrolment record."""
        rows = self._rows("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1")
        return Mark(*rows[0]) if rows else Mark(0, record_hash(self.record_bytes))

    @property
    def mark(self) -> Mark:
        """Up to where the centre has everything."""
        return Mark(*self._row("SELECT mark_seq, mark_hash FROM state"))

    @property
    def rolled_back(self) -> JournalRolledBack | None:
        """The proof that this journal is an old copy or a clone, where there is one."""
        proof = self._row("SELECT rolled_back FROM state")[0]
        return None if proof is None else JournalRolledBack(*msgspec.json.decode(proof, type=tuple[int, int, int]))

    def refused(self) -> tuple[Refused, ...]:
        """Events in quarantine at the centre, in order."""
        return tuple(Refused(*row) for row in self._rows("SELECT seq, reason FROM refused ORDER BY seq"))

    def after(self, seq: int, limit: int) -> list[Stored]:
        """Up to `limit` events behind `seq`, in order, their hashes and links checked."""
        return self._checked(Chain(self.record, self._mark_at(seq)), limit, signature=False)

    def backlog(self) -> Backlog:
        """Constant time, however large the backlog is."""
        mark_seq, fen = self._row(
            "SELECT mark_seq, coalesce((SELECT fen_through FROM event WHERE seq = mark_seq), 0) FROM state"
        )
        rows = self._rows("SELECT seq, fen_through FROM event ORDER BY seq DESC LIMIT 1")
        if not rows or rows[0][0] <= mark_seq:
            return Backlog(0, 0, None)
        oldest = self._row("SELECT time FROM event WHERE seq = ?", mark_seq + 1)[0]
        return Backlog(rows[0][0] - mark_seq, rows[0][1] - fen, datetime.fromisoformat(oldest))

    def settlements(self, day: str) -> list[Stored]:
        """Settlements and refunds of a business day such as `2026-11-21`, in order."""
        next_day = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
        return [
            _stored(row)
            for row in self._rows(
                f"{_STORED} WHERE event.seq > {_LAST_BEFORE} AND event.seq <= {_LAST_BEFORE}"
                " AND kind IN ('settlement', 'refund') ORDER BY event.seq",
                day,
                next_day,
            )
        ]

    def find(self, event_id: str) -> Stored | None:
        """The event with this id; None where it is not in this journal."""
        try:
            terminal, epoch, seq = event_key(event_id)
        except ValueError:
            return None
        if (terminal, epoch) != (self.record.terminal, self.record.epoch):
            return None
        rows = self._rows(f"{_STORED} WHERE event.seq = ?", seq)
        return _stored(rows[0]) if rows else None

    def refund_of(self, event_id: str) -> Stored | None:
        """The refund that took back this settlement."""
        rows = self._rows(f"{_STORED} WHERE original = ?", event_id)
        return _stored(rows[0]) if rows else None

    def check_log(self) -> None:
        """`JournalBroken` where SQLite's log breaks off before events that others follow; nothing has changed.

        SQLite reads the log up to the first frame that is not whole and takes what follows for a commit that was cut
        off, which holds one event at most.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        name = re.escape(f"{self.record.terminal}/{self.record.epoch}/".encode())
        found = re.findall(name + rb"(\d+)(?:settlement|refund|refusal|pin)", log.read_bytes() if log.exists() else b"")
        if max(map(int, found), default=0) > self.end + 1:
            raise JournalBroken("the log is damaged", self.end + 1)

    def verify(self) -> Mark:
        """Check the whole file: pages, chain, signatures, mark. The end of the chain; `JournalBroken`."""
        found = self._rows("PRAGMA integrity_check(1)")
        if found != [("ok",)]:
            raise JournalBroken("damaged pages")
        chain = Chain(self.record, self._mark_at(0))
        while self._checked(chain, _BATCH, signature=True):
            pass
        self._check_mark()
        return chain.at

    def _checked(self, chain: Chain, limit: int, *, signature: bool) -> list[Stored]:
        rows = self._rows(f"{_STORED} WHERE event.seq > ? ORDER BY event.seq LIMIT ?", chain.at.seq, limit)
        try:
            return [_stored(row, chain.follow(Row(*row[:9]), signature=signature)) for row in rows]
        except FAILURES as error:
            raise JournalBroken("damaged values", chain.at.seq + 1) from error

    def _check_mark(self) -> None:
        mark = self.mark
        if self._mark_at(mark.seq) != mark:
            raise JournalBroken("the centre's mark is not in the chain", mark.seq)

    def _mark_at(self, seq: int) -> Mark:
        if seq == 0:
            return Mark(0, record_hash(self.record_bytes))
        rows = self._rows("SELECT hash FROM event WHERE seq = ?", seq)
        if not rows:
            raise JournalBroken("events are missing", seq)
        return Mark(seq, rows[0][0])

    def _row(self, sql: str, *values: object) -> tuple[Any, ...]:
        rows = self._rows(sql, *values)
        if not rows:
            raise JournalBroken("a row is missing")
        return rows[0]

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._reading:
            try:
                return self._reads.execute(sql, values).fetchall()
            except FAILURES as error:
                raise journal_error(error) from error


def _stored(row: tuple[Any, ...], event: Event | None = None) -> Stored:
    fields, (certno, card_no, salt) = Row(*row[:9]), row[9:]
    person = None if certno is None else Person(certno, card_no, salt)
    event = event or _decode(fields.seq, fields.data)
    return Stored(fields.seq, fields.id, fields.hash, fields.data, fields.signature, person, event)


def _decode(seq: int, data: bytes) -> Event:
    try:
        return decode_event(data)
    except FAILURES as error:
        raise JournalBroken("bytes are no event", seq) from error
