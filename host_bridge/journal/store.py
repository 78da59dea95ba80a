"""The journal file: SQLite tables, how connections are opened, and who may write.

Tables, for readers with nothing but `sqlite3`:

- `enrolment(id, record)`: one row; `record` BLOB, the exact bytes both sides keep.
- `event(seq, id, kind, time, fen_through, original, hash, prev, signature, data)`: `seq` INTEGER PRIMARY KEY,
  from 1 without gaps; `id` TEXT `terminal/epoch/seq`; `kind` TEXT settlement, refund, refusal or pin; `time` TEXT
  RFC 3339 +08:00; `fen_through` INTEGER, total of |medfee_sumamt| up to and with this event; `original` TEXT,
  the id a refund takes back; `hash`, `prev`, `signature` TEXT hex; `data` BLOB, the bytes that are sent.
- `person(seq, certno, card_no, salt)`: the deletable part of an event; not part of the chain.
- `state(id, mark_seq, mark_hash, newest_time, mdtrt_serial, rolled_back, secret)`: one row; the centre's
  mark, the newest time seen, the last visit number, the receipt that proved a roll-back (JSON
  `[epoch, seq, end]`), the local secret behind `remembered.person`.
- `refused(seq, reason)`: events the centre put into quarantine, with the catalogue number.
- `remembered(person, answer, time, pending, pending_seq)`: last known answers of the centre, see `people.py`.
"""

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

import msgspec
from sqlite_utils import Database, Migrations

from host_bridge.journal.errors import JournalBroken, JournalFull, JournalInUse

FULL = 2
"""`PRAGMA synchronous`: every commit is on the disk when it returns."""
BUSY_MS = 5000
FAILURES = (sqlite3.Error, OSError, ValueError, TypeError, msgspec.MsgspecError)
"""What a failing disk or a damaged file makes of reading: SQLite finds most damage, the rest is wrong values."""

migrations = Migrations("journal")


@migrations()
def first_tables(db: Database) -> None:
    """The tables of the module's text."""
    db.table("enrolment").create({"id": int, "record": bytes}, pk="id", not_null={"record"})
    db.table("event").create(
        {
            "seq": int,
            "id": str,
            "kind": str,
            "time": str,
            "fen_through": int,
            "original": str,
            "hash": str,
            "prev": str,
            "signature": str,
            "data": bytes,
        },
        pk="seq",
        not_null={"id", "kind", "time", "fen_through", "hash", "prev", "signature", "data"},
    )
    db.execute("CREATE UNIQUE INDEX event_original ON event(original) WHERE original IS NOT NULL")
    db.table("person").create(
        {"seq": int, "certno": str, "card_no": str, "salt": str},
        pk="seq",
        not_null={"certno", "card_no", "salt"},
    )
    db.table("state").create(
        {
            "id": int,
            "mark_seq": int,
            "mark_hash": str,
            "newest_time": str,
            "mdtrt_serial": int,
            "rolled_back": str,
            "secret": bytes,
        },
        pk="id",
        not_null={"mark_seq", "mark_hash", "newest_time", "mdtrt_serial", "secret"},
    )
    db.table("refused").create({"seq": int, "reason": str}, pk="seq", not_null={"reason"})
    db.table("remembered").create(
        {"person": str, "answer": bytes, "time": str, "pending": bytes, "pending_seq": int},
        pk="person",
        not_null={"answer", "time", "pending_seq"},
    )


def journal_error(error: Exception) -> JournalFull | JournalBroken:
    """What one of `FAILURES` means for the journal; `reason` is the name SQLite or the system has for it."""
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", type(error).__name__)
    elif isinstance(error, OSError):
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    else:
        name = "damaged values"
    return JournalFull() if name in ("SQLITE_FULL", "ENOSPC") else JournalBroken(name)


def open_writer(path: Path) -> Database:
    """The one connection that writes and checkpoints, its durability read back, the tables up to date."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        _durable(connection)
        _renew_log(connection, path)
        connection.execute("PRAGMA journal_size_limit=16777216")
        db = Database(connection, recursive_triggers=False, execute_plugins=False)
        known = {migration.name for migration in migrations.pending(Database(memory=True))}
        if not known.issuperset(migration.name for migration in migrations.applied(db)):
            raise JournalBroken("made by a newer version")
        migrations.apply(db)
    except BaseException:
        connection.close()
        raise
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        _durable(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def take_lock(path: Path) -> int:
    """Hold the lock file until the descriptor is closed; `JournalInUse` where another process does."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.read(descriptor, 20).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise JournalInUse(pid or "?") from error
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def _renew_log(connection: sqlite3.Connection, path: Path) -> None:
    """Write SQLite's log over itself and sync it; `OSError`.

    What a failed sync left there can be read, but no later sync would bring it to the disk.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        descriptor = os.open(path.with_name(f"{path.name}-wal"), os.O_RDWR | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, os.pread(descriptor, os.fstat(descriptor).st_size, 0), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        connection.execute("ROLLBACK")


def _durable(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    connection.execute(f"PRAGMA synchronous={FULL}")
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != FULL:
        raise JournalBroken(f"not durable: journal_mode={mode} synchronous={synchronous}")
