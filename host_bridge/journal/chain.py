"""The chain: every event names the hash of the one before, the first that of the enrolment record."""

import hashlib
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from host_bridge.journal.errors import JournalBroken
from protocols.events.events import Event, Refund, Settlement, decode_event, event_hash, event_id
from protocols.events.frames import EnrolmentRecord, Person, event_signature_holds


class Mark(msgspec.Struct, frozen=True):
    """A place in the chain: `seq` 0 is the enrolment record."""

    seq: int
    hash: str


class Stored(msgspec.Struct, frozen=True):
    """One event as it lies in the journal: `data` are the bytes that are hashed, signed and sent."""

    seq: int
    id: str
    hash: str
    data: bytes
    signature: str
    person: Person | None
    event: Event


class Row(NamedTuple):
    """The columns of table `event` that repeat or prove what is in `data`."""

    seq: int
    id: str
    kind: str
    time: str
    original: str | None
    hash: str
    prev: str
    signature: str
    data: bytes


def event_row(seq: int, event: Event, data: bytes, digest: str, signature: str) -> Row:
    """The row of an event."""
    original = event.data.original if isinstance(event.data, Refund) else None
    kind = event.type.removeprefix("ssc.")
    return Row(seq, event.id, kind, event.time, original, digest, event.prev, signature, data)


def money(event: Event) -> int:
    """|medfee_sumamt| in fen; what is neither bill nor refund moves none."""
    return abs(event.data.split.medfee_sumamt) if isinstance(event.data, Settlement | Refund) else 0


def record_hash(record: bytes) -> str:
    """SHA-256 of the enrolment record's bytes, hex: `prev` of seq 1."""
    return hashlib.sha256(record).hexdigest()


class Chain:
    """Checks events one after the other, from `at` on; `JournalBroken` at the first that does not fit."""

    def __init__(self, record: EnrolmentRecord, at: Mark) -> None:
        self._record = record
        self._key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(record.public_key))
        self.at = at

    def follow(self, row: Row, *, signature: bool) -> Event:
        """The event of the next row, the chain moved on to it."""
        seq = row.seq
        if seq != self.at.seq + 1:
            raise JournalBroken("events are missing", self.at.seq + 1)
        if event_hash(row.data) != row.hash:
            raise JournalBroken("bytes do not have their hash", seq)
        try:
            event = decode_event(row.data)
        except msgspec.MsgspecError as error:
            raise JournalBroken("bytes are no event", seq) from error
        if row.prev != self.at.hash or event.prev != row.prev:
            raise JournalBroken("does not follow the event before", seq)
        if row.id != event_id(self._record.terminal, self._record.epoch, seq) or event.id != row.id:
            raise JournalBroken("has another event's id", seq)
        if row != event_row(seq, event, row.data, row.hash, row.signature):
            raise JournalBroken("columns differ from the bytes", seq)
        if signature and not event_signature_holds(self._key, row.hash, row.signature):
            raise JournalBroken("signature does not hold", seq)
        self.at = Mark(seq, row.hash)
        return event
