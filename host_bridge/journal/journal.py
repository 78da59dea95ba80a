"""The journal: durable before any result leaves the core, gapless, chained, signed (design 3.1)."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlite_utils import Database

from host_bridge.journal.chain import Chain, Mark, Stored, event_row, money, record_hash
from host_bridge.journal.errors import (
    AlreadyRefunded,
    JournalBroken,
    JournalRolledBack,
    JournalStopped,
    NotEnrolled,
)
from host_bridge.journal.people import People, Remembered, person_key, recall
from host_bridge.journal.reader import JournalReader
from host_bridge.journal.store import FAILURES, journal_error, open_writer, take_lock
from protocols.events.clock import Clock, rfc3339
from protocols.events.events import (
    Event,
    EventData,
    PinService,
    Refund,
    Refusal,
    Settlement,
    Stamp,
    decode_event,
    encode_event,
    event_hash,
    event_id,
    person_hash,
)
from protocols.events.frames import EnrolmentRecord, Person, PersonAnswer, Receipt, sign_event
from protocols.events.steps import OnStep, pass_by

TAIL = 64
"""Events at the end that are checked on opening; the others are when they are sent, or by `verify`."""
NEWEST_STEP = timedelta(hours=1)
"""A newer time is written by itself only when this far ahead of what the file proves."""

_TYPES: dict[type[EventData], Literal["ssc.settlement", "ssc.refund", "ssc.refusal", "ssc.pin"]] = {
    Settlement: "ssc.settlement",
    Refund: "ssc.refund",
    Refusal: "ssc.refusal",
    PinService: "ssc.pin",
}

_INSERT_EVENT = (
    "INSERT INTO event(seq, id, kind, time, original, hash, prev, signature, data, fen_through)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_PERSON = "INSERT INTO person(seq, certno, card_no, salt) VALUES (?, ?, ?, ?)"


class Journal(JournalReader):
    """The one writer of a journal file; every method may be called from any thread.

    After a `JournalStopped` every write raises it again until the journal is opened anew; reading goes on.
    """

    def __init__(
        self,
        path: Path,
        key: Ed25519PrivateKey,
        clock: Clock,
        on_step: OnStep,
        *,
        lock: int,
        writes: Database,
    ) -> None:
        """Use `open` or `create`."""
        super().__init__(path)
        self._key = key
        self._clock = clock
        self._on_step = on_step
        self._lock = lock
        self._db = writes
        self._writes = writes.conn
        self._writing = RLock()
        self._stopped: JournalStopped | None = self.rolled_back
        self._secret: bytes = self._row("SELECT secret FROM state")[0]
        self._people = People(self._writes, self._secret)
        self._tail = self.tail
        self._fen = self._fen_through()
        self._newest = self._proven_time()
        self._receipted: datetime | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        record: bytes,
        key: Ed25519PrivateKey,
        clock: Clock,
        *,
        secret: bytes,
        on_step: OnStep = pass_by,
    ) -> "Journal":
        """A new journal for an enrolment record's exact bytes; `FileExistsError` where there is one.

        `secret`: 32 random bytes that stay in this file.
        """
        enrolment = msgspec.json.decode(record, type=EnrolmentRecord)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        writes = open_writer(path)
        with writes.atomic():
            writes.table("enrolment").insert({"id": 1, "record": record})
            writes.table("state").insert(
                {
                    "id": 1,
                    "mark_seq": 0,
                    "mark_hash": record_hash(record),
                    "newest_time": rfc3339(_moment(enrolment.time)),
                    "mdtrt_serial": 0,
                    "rolled_back": None,
                    "secret": secret,
                }
            )
        writes.close()
        return cls.open(path, key, clock, on_step)

    @classmethod
    def open(cls, path: Path, key: Ed25519PrivateKey, clock: Clock, on_step: OnStep = pass_by) -> "Journal":
        """Open and check; `NotEnrolled`, `JournalInUse` or `JournalBroken` (nothing is ever repaired).

        A rolled-back journal opens, and refuses to write.
        """
        if not path.exists():
            raise NotEnrolled
        lock = take_lock(path)
        with ExitStack() as undo:
            undo.callback(os.close, lock)
            try:
                with closing(JournalReader(path)) as reader:
                    reader.check_log()
                writes = undo.enter_context(closing(open_writer(path)))
                journal = cls(path, key, clock, on_step, lock=lock, writes=writes)
                undo.callback(journal._reads.close)
                journal._check()
            except FAILURES as error:
                raise journal_error(error) from error
            undo.pop_all()
        return journal

    def close(self) -> None:
        """Close the file; harmless when already closed."""
        with self._writing:
            super().close()
            if self._lock >= 0:
                self._writes.close()
                os.close(self._lock)
                self._lock = -1

    @property
    def stopped(self) -> JournalStopped | None:
        """Why nothing is written any more."""
        return self._stopped

    def append(self, data: EventData, person: Person | None = None) -> Stored:
        """Write an event; it is on the disk when this returns.

        The bill's after-values become the pending ones of a remembered person in the same commit.
        `AlreadyRefunded`; `ValueError` where the event could not be read back; `JournalStopped`: the event may or
        may not be there after opening again.
        """
        with self._writing:
            self._refuse_if_stopped()
            if person is not None and (data.person_hash != person_hash(person.certno, person.salt)):
                raise ValueError("person_hash is not that of this person")
            if isinstance(data, Refund) and (refund := self.refund_of(data.original)):
                raise AlreadyRefunded(data.original, refund.id)
            event = self._event(data)
            stored = self._sealed(event, person)
            fen = self._fen + money(event)
            self._on_step("terminal.before_event")
            with self._transaction():
                row = event_row(stored.seq, event, stored.data, stored.hash, stored.signature)
                self._writes.execute(_INSERT_EVENT, (*row, fen))
                if person is not None:
                    self._writes.execute(_INSERT_PERSON, (stored.seq, person.certno, person.card_no, person.salt))
                    self._advance(data, person.certno, stored.seq)
                self._on_step("terminal.event_written")
            self._tail, self._fen = Mark(stored.seq, stored.hash), fen
            self._on_step("terminal.event_committed")
            return stored

    def apply_receipt(self, receipt: Receipt) -> tuple[tuple[int, int], ...]:
        """Move the mark forward; the ranges the centre misses, for sending again.

        A receipt behind the mark, not older than any before it: the centre has lost what is between.
        Receipts of another terminal or an earlier epoch change nothing. `JournalRolledBack` where the receipt's
        place is not in this journal; `ValueError` where its time is none.
        """
        if receipt.terminal != self.record.terminal or receipt.epoch < self.record.epoch:
            return ()
        time = _moment(receipt.time)
        with self._writing:
            self._refuse_if_stopped()
            end = self._tail.seq
            if receipt.epoch > self.record.epoch or not 0 <= receipt.seq <= end or not self._holds(receipt):
                raise self._roll_back(receipt)
            known = {each.seq for each in self.refused()}
            refused = {each.seq: each.reason for each in receipt.refused if 1 <= each.seq <= receipt.seq}
            new = [item for item in refused.items() if item[0] not in known]
            if new or receipt.seq > self.mark.seq:
                with self._transaction():
                    self._writes.execute(
                        "UPDATE state SET mark_seq = ?, mark_hash = ? WHERE mark_seq < ?",
                        (receipt.seq, receipt.hash, receipt.seq),
                    )
                    self._writes.executemany("INSERT INTO refused(seq, reason) VALUES (?, ?)", new)
                    self._on_step("terminal.mark_written")
                self._on_step("terminal.mark_committed")
            self._see(time)
            mark = has = self.mark.seq
            if self._receipted is None or time >= self._receipted:
                self._receipted, has = time, receipt.seq
            lost = ((has + 1, mark),) if has < mark else ()
            return (*lost, *((first, min(last, end)) for first, last in receipt.missing if has < first <= last))

    def now(self) -> datetime:
        """The wall clock, but never before the newest time seen."""
        return max(self._clock.wall(), self._newest)

    def see_time(self, time: str) -> None:
        """A time the centre vouches for (profile, list, receipt), RFC 3339; `ValueError` where it is none."""
        moment = _moment(time)
        with self._writing:
            self._see(moment)

    def remember_person(self, certno: str, answer: PersonAnswer) -> None:
        """Keep the centre's answer for bills without it; of a PIN that was renewed here it may not have heard yet."""
        with self._writing:
            self._refuse_if_stopped()
            if answer.default_pin and self._renewed_pin(certno):
                answer = msgspec.structs.replace(answer, default_pin=False)
            with self._transaction():
                self._people.remember(certno, answer, self.now(), self.mark.seq)

    def recall_person(self, certno: str) -> Remembered | None:
        """The last answer about this person."""
        rows = self._rows(
            "SELECT answer, time, pending, pending_seq FROM remembered WHERE person = ?",
            person_key(self._secret, certno),
        )
        return recall(rows[0] if rows else None)

    def next_mdtrt_id(self) -> str:
        """A visit number that was never given before, at most 30 characters (`mdtrt_id` C30).

        Institution (12), station (8, from terminal and epoch), serial (8), as in settlement.md B.9.
        """
        with self._writing:
            self._refuse_if_stopped()
            with self._transaction():
                self._writes.execute("UPDATE state SET mdtrt_serial = mdtrt_serial + 1")
            serial: int = self._row("SELECT mdtrt_serial FROM state")[0]
        station = hashlib.sha256(f"{self.record.terminal}/{self.record.epoch}".encode()).hexdigest()[:8].upper()
        return f"{self.record.fixmedins_code[-12:]}{station}{serial:08d}"

    def _check(self) -> None:
        if self._key.public_key().public_bytes_raw().hex() != self.record.public_key:
            raise JournalBroken("the key is not the enrolled one")
        end = self._tail.seq
        if end > TAIL:
            self._checked(Chain(self.record, self._mark_at(0)), 1, signature=True)
        chain = Chain(self.record, self._mark_at(max(0, end - TAIL)))
        self._checked(chain, TAIL, signature=True)
        if chain.at != self._tail:
            raise JournalBroken("events are missing", chain.at.seq + 1)
        self._check_mark()

    def _event(self, data: EventData) -> Event:
        record, clock = self.record, self._clock
        self._newest = now = self.now()
        return Event(
            id=event_id(record.terminal, record.epoch, self._tail.seq + 1),
            source=record.terminal,
            type=_TYPES[type(data)],
            time=rfc3339(now),
            prev=self._tail.hash,
            clock=Stamp(clock.monotonic_ms(), clock.boot_id(), clock.trusted()),
            data=data,
        )

    def _sealed(self, event: Event, person: Person | None) -> Stored:
        data = encode_event(event)
        try:
            decode_event(data)
        except msgspec.MsgspecError as error:
            raise ValueError("an event that cannot be read back") from error
        digest = event_hash(data)
        return Stored(self._tail.seq + 1, event.id, digest, data, sign_event(self._key, digest), person, event)

    def _renewed_pin(self, certno: str) -> bool:
        """Whether an event that the centre has not receipted renewed this person's PIN."""
        rows = self._rows(
            "SELECT CAST(data AS BLOB) FROM event JOIN person ON person.seq = event.seq"
            " WHERE event.seq > (SELECT mark_seq FROM state) AND kind = 'pin' AND certno = ?",
            certno,
        )
        found = (decode_event(data).data for (data,) in rows)
        return any(isinstance(each, PinService) and each.renewed for each in found)

    def _advance(self, data: EventData, certno: str, seq: int) -> None:
        if isinstance(data, PinService):
            if data.renewed:
                self._people.renew_pin(certno)
        elif isinstance(data, Settlement) and data.mode != "full_cash":
            self._people.advance(certno, data.year, data.split, seq)
        elif isinstance(data, Refund) and (original := self.find(data.original)):
            settled = original.event.data
            if isinstance(settled, Settlement) and settled.mode != "full_cash":
                self._people.advance(certno, settled.year, data.split, seq)

    def _holds(self, receipt: Receipt) -> bool:
        return self._mark_at(receipt.seq).hash == receipt.hash

    def _roll_back(self, receipt: Receipt) -> JournalRolledBack:
        self._stopped = JournalRolledBack(receipt.epoch, receipt.seq, self._tail.seq)
        proof = msgspec.json.encode((receipt.epoch, receipt.seq, self._tail.seq)).decode()
        with self._transaction():
            self._writes.execute("UPDATE state SET rolled_back = ?", (proof,))
        return self._stopped

    def _see(self, time: datetime) -> None:
        self._newest = max(self._newest, time)
        if self._stopped is None and self._newest - self._proven_time() > NEWEST_STEP:
            with self._transaction():
                self._writes.execute("UPDATE state SET newest_time = ?", (rfc3339(self._newest),))

    def _proven_time(self) -> datetime:
        last = self._rows("SELECT time FROM event ORDER BY seq DESC LIMIT 1")
        seen = self._rows("SELECT newest_time FROM state")
        return max(_moment(time) for (time,) in last + seen)

    def _fen_through(self) -> int:
        rows = self._rows("SELECT fen_through FROM event ORDER BY seq DESC LIMIT 1")
        return int(rows[0][0]) if rows else 0

    def _refuse_if_stopped(self) -> None:
        if self._stopped is not None:
            raise self._stopped.with_traceback(None)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One commit; a failing one stops the journal, for a failed sync cannot be retried into safety."""
        try:
            with self._db.atomic():
                yield
        except sqlite3.Error as error:
            stop = journal_error(error)
            self._stopped = self._stopped or stop
            raise stop from error
        except BaseException:
            # an interrupt may arrive behind the commit
            self._tail, self._fen = self.tail, self._fen_through()
            raise


def _moment(time: str) -> datetime:
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment
