"""Opening the store, reading from it, and one write transaction at a time."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, Engine, create_engine, event, insert, make_url, select, update
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)

from protocols.events.clock import SHANGHAI
from server.errors import LeaseLost, StoreUnusable
from server.store import tables

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 5000
LEASE = "inbox"
FAULTS = (IntegrityError, DataError, ProgrammingError, NotSupportedError)
"""Database errors that a retry does not cure."""
FULL = 2
"""`PRAGMA synchronous` as SQLite reads it back."""

_lease = select(tables.lease.c.number).where(tables.lease.c.name == LEASE)
_HELD = select(tables.lease.c.number).where(tables.lease.c.name == LEASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def millis(moment: datetime) -> int:
    """Milliseconds since 1970 UTC of an aware moment."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment(ms: int) -> datetime:
    """The moment of `millis`, in Shanghai."""
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(SHANGHAI)


class Store:
    """The centre's database; `StoreUnusable` where it cannot give the durability it must."""

    def __init__(self, url: str) -> None:
        try:
            self._writer = create_engine(url, hide_parameters=True)
            self._reader = create_engine(url, hide_parameters=True)
        except ArgumentError as error:
            raise StoreUnusable("store_unusable", reason="URL") from error
        if self._writer.dialect.name == "sqlite":
            _prepare_sqlite(self._writer, "BEGIN IMMEDIATE", read_only=False)
            _prepare_sqlite(self._reader, "BEGIN", read_only=True)
        self._lock = threading.Lock()
        self.failing = False
        """The last write transaction ended in an error that is not about what was written."""
        self.commits = 0
        """Grows with every transaction written through this object; pages look here before they ask again."""

    @classmethod
    def open(cls, url: str) -> "Store":
        """The store at its newest revision; made when missing, then readable by its owner only."""
        store = cls(url)
        file = make_url(url)
        try:
            if file.get_backend_name() == "sqlite" and file.database:
                Path(file.database).touch(0o600)
            with store.write() as connection:
                config = AlembicConfig()
                config.set_main_option("script_location", str(MIGRATIONS))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnusable("store_unusable", reason=reason_of(error)) from error
        return store

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: committed at the end, rolled back on any exception.

        After a database error the connection is thrown away: the next transaction starts on a fresh one.
        """
        with self._lock:
            try:
                with self._writer.begin() as connection:
                    yield connection
            except DBAPIError as error:
                self.failing = not isinstance(error, FAULTS)
                self._writer.dispose()
                raise
            self.failing = False
            self.commits += 1

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view; writing through it is refused."""
        with self._reader.connect() as connection:
            yield connection

    def take_lease(self) -> int:
        """A new number, larger than every one before; it ends the work of an older server on this store."""
        lease = tables.lease
        with self.write() as connection:
            held = connection.execute(_HELD).scalar()
            if held is None:
                connection.execute(insert(lease).values(name=LEASE, number=1))
            else:
                connection.execute(update(lease).where(lease.c.name == LEASE).values(number=held + 1))
        return 1 if held is None else held + 1

    def close(self) -> None:
        """Give every connection back."""
        self._writer.dispose()
        self._reader.dispose()


def check_lease(connection: Connection, number: int) -> None:
    """`LeaseLost` unless this is still the newest lease; called inside the transaction that writes."""
    if connection.execute(_HELD).scalar() != number:
        raise LeaseLost("lease_lost")


def _renew_log(cursor: Any, path: Path) -> None:
    """Write SQLite's log over itself and sync it.

    What a failed sync left there can be read, but no later sync would bring it to the disk.
    """
    cursor.execute("BEGIN IMMEDIATE")
    try:
        descriptor = os.open(path.with_name(f"{path.name}-wal"), os.O_RDWR | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, os.pread(descriptor, os.fstat(descriptor).st_size, 0), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise sqlite3.OperationalError("the log cannot be renewed") from error
    finally:
        cursor.execute("ROLLBACK")


def _prepare_sqlite(engine: Engine, begin: str, *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        synchronous = cursor.execute("PRAGMA synchronous").fetchone()[0]
        if (mode, synchronous) != ("wal", FULL):
            raise StoreUnusable("store_unusable", reason=f"journal_mode {mode}, synchronous {synchronous}")
        if not read_only:
            _renew_log(cursor, Path(engine.url.database or ""))
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def reason_of(error: Exception) -> str:
    """What the database or the system said, without the statement's parameters."""
    return str(getattr(error, "orig", None) or getattr(error, "strerror", None) or type(error).__name__)
