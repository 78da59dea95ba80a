"""What the centre last said about people, for bills without it: keyed by a hash with a local secret.

`pending` are the accumulators after this terminal's own bills since that answer; they hold until the centre
has receipted those bills and has answered anew. Nothing here is evidence: it may be deleted at any time.
"""

import hashlib
import sqlite3
from datetime import datetime

import msgspec

from protocols.events.clock import rfc3339
from protocols.events.frames import PersonAnswer
from protocols.settlement.bill import Accumulators, Split

Row = tuple[bytes, str, bytes | None, int]


class Pending(msgspec.Struct, frozen=True):
    """Accumulators and account balance after own bills; `balc` is absent where there is no account."""

    accumulators: Accumulators
    balc: int | None


class Remembered(msgspec.Struct, frozen=True):
    """An answer and when it came; `answer.year` is the year of all accumulators here."""

    answer: PersonAnswer
    time: datetime
    pending: Pending | None


def person_key(secret: bytes, certno: str) -> str:
    """SHA-256(secret ‖ citizen number), hex."""
    return hashlib.sha256(secret + certno.encode()).hexdigest()


def recall(row: Row | None) -> Remembered | None:
    """Read a row (answer, time, pending, pending_seq); None where this version cannot."""
    if row is None:
        return None
    answer, time, pending, _ = row
    try:
        return Remembered(
            msgspec.json.decode(answer, type=PersonAnswer),
            datetime.fromisoformat(time),
            None if pending is None else msgspec.json.decode(pending, type=Pending),
        )
    except (msgspec.MsgspecError, ValueError):
        return None


class People:
    """Writes the table `remembered`; the caller holds the transaction."""

    def __init__(self, connection: sqlite3.Connection, secret: bytes) -> None:
        self._connection = connection
        self._secret = secret

    def key(self, certno: str) -> str:
        return person_key(self._secret, certno)

    def remember(self, certno: str, answer: PersonAnswer, time: datetime, mark_seq: int) -> None:
        """A newer answer; own bills that the centre has not receipted stay pending within the same year."""
        pending, pending_seq = None, 0
        row = self._row(certno)
        known = recall(row)
        if row is not None and known is not None and row[3] > mark_seq and known.answer.year == answer.year:
            pending, pending_seq = row[2], row[3]
        self._connection.execute(
            "INSERT OR REPLACE INTO remembered(person, answer, time, pending, pending_seq) VALUES (?, ?, ?, ?, ?)",
            (self.key(certno), msgspec.json.encode(answer), rfc3339(time), pending, pending_seq),
        )

    def advance(self, certno: str, year: int, split: Split, seq: int) -> None:
        """Own bill `seq` of a remembered person: its after-values are pending from now on."""
        known = recall(self._row(certno))
        if known is None or known.answer.year != year:
            return
        balc = known.pending.balc if known.pending else known.answer.balc
        pending = Pending(
            Accumulators(split.after_inscope, split.after_big),
            None if balc is None else balc - split.acct_pay,
        )
        self._connection.execute(
            "UPDATE remembered SET pending = ?, pending_seq = ? WHERE person = ?",
            (msgspec.json.encode(pending), seq, self.key(certno)),
        )

    def renew_pin(self, certno: str) -> None:
        """The PIN of a remembered person is a default one no longer."""
        known = recall(self._row(certno))
        if known is not None and known.answer.default_pin:
            answer = msgspec.json.encode(msgspec.structs.replace(known.answer, default_pin=False))
            self._connection.execute("UPDATE remembered SET answer = ? WHERE person = ?", (answer, self.key(certno)))

    def _row(self, certno: str) -> Row | None:
        row: Row | None = self._connection.execute(
            "SELECT answer, time, pending, pending_seq FROM remembered WHERE person = ?", (self.key(certno),)
        ).fetchone()
        return row
