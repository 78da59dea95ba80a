"""The last line: what the two databases themselves refuse, and how they sync, whatever the code above them does."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Table, insert, select
from sqlalchemy.exc import IntegrityError

from host_bridge.journal.store import open_reader, open_writer
from server.store.tables import bookings, events
from tests.host_bridge.journal.samples import PERSON, Desk, refund, settlement
from tests.server.chains import NOTHING, line
from tests.server.conftest import Bench

FULL = 2
"""`PRAGMA synchronous`: 0 OFF, 1 NORMAL, 2 FULL, 3 EXTRA (sqlite.org/pragma.html)."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(f"sqlite:///{tmp_path}/centre.db")
    yield bench
    bench.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.mark.parametrize("table", [events, bookings], ids=["events", "bookings"])
def test_the_ledger_takes_a_number_once(bench: Bench, table: Table) -> None:
    chain = bench.enrol("T1")
    chain.settle([line("01", "150.00")], NOTHING, 0, mode="full_cash", reason="S-001")
    bench.take(chain.topic("event"), chain.frame())
    with bench.store.read() as connection:
        row = dict(connection.execute(select(table)).mappings().one())
    again = {name: value for name, value in row.items() if name != "id"}
    with pytest.raises(IntegrityError, match="UNIQUE"), bench.store.write() as connection:
        connection.execute(insert(table).values(again))


AGAIN = {
    "number": "INSERT INTO event SELECT * FROM event WHERE seq = 2",
    "refund": "INSERT INTO event SELECT 3, id, kind, time, fen_through, original, hash, prev, signature, data"
    " FROM event WHERE seq = 2",
}


@pytest.mark.parametrize("what", AGAIN)
def test_the_journal_takes_a_number_and_a_refund_once(desk: Desk, what: str) -> None:
    journal = desk.create()
    journal.append(refund(journal.append(settlement(), PERSON)), PERSON)
    desk.close()
    with closing(sqlite3.connect(desk.path)) as file, pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        file.execute(AGAIN[what])


def test_every_commit_of_the_journal_is_synced(desk: Desk) -> None:
    desk.create()
    desk.close()
    with closing(open_writer(desk.path).conn) as writer, closing(open_reader(desk.path)) as reader:
        for connection in (writer, reader):
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (FULL,)


def test_every_commit_of_the_ledger_is_synced(bench: Bench) -> None:
    for opened in (bench.store.write(), bench.store.read()):
        with opened as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == FULL
