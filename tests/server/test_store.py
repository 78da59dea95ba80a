"""The store: migrated at open, durable by its own word, one writer, readers that cannot write."""

import stat
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from server.errors import LeaseLost, StoreUnusable
from server.store import store as module
from server.store.store import Store, check_lease, millis, moment
from server.store.tables import alarms, metadata
from tests.server.conftest import NOW, Bench

ALARM = insert(alarms).values(terminal="T1", number="C-030", first_ms=1, last_ms=1, count=1)


def test_migrations_make_the_tables(bench: Bench) -> None:
    with bench.store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_open_again_changes_nothing(bench: Bench) -> None:
    with bench.store.write() as connection:
        connection.execute(ALARM)
    bench.store.close()
    again = Store.open(bench.url)
    with again.read() as connection:
        assert connection.execute(select(alarms.c.number)).scalar_one() == "C-030"
    again.close()


def test_file_is_private(bench: Bench, tmp_path: Path) -> None:
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_connection_is_durable(bench: Bench) -> None:
    for opened in (bench.store.write(), bench.store.read()):
        with opened as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == module.FULL
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_store_that_cannot_keep_its_word_is_refused() -> None:
    with pytest.raises(StoreUnusable):
        Store.open("sqlite://")


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////proc/none/centre.db", "unknown://x"])
def test_store_that_cannot_be_opened(url: str) -> None:
    with pytest.raises(StoreUnusable) as raised:
        Store.open(url)
    assert raised.value.facts["reason"]


def test_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "centre.db"
    path.write_bytes(b"SQLite format 3\0" + b"\xaa" * 8192)
    with pytest.raises(StoreUnusable):
        Store.open(f"sqlite:///{path}")


def test_readers_cannot_write(bench: Bench) -> None:
    with bench.store.read() as connection, pytest.raises(OperationalError):
        connection.execute(ALARM)


def test_failed_transaction_leaves_nothing_and_counts_no_commit(bench: Bench) -> None:
    before = bench.store.commits

    def fail() -> None:
        with bench.store.write() as connection:
            connection.execute(ALARM)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with bench.store.read() as connection:
        assert connection.execute(select(alarms)).all() == []
    assert bench.store.commits == before


def test_one_write_transaction_at_a_time(bench: Bench) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with bench.store.write():
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_write_lock_is_taken_at_begin(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 50)
    other = Store(bench.url)
    with bench.store.write(), pytest.raises(OperationalError), other.write():
        pytest.fail("two writers")
    with other.write() as connection:
        connection.execute(ALARM)
    other.close()


def test_lease_grows_over_restarts(bench: Bench) -> None:
    assert [bench.store.take_lease(), bench.store.take_lease()] == [1, 2]
    bench.store.close()
    again = Store.open(bench.url)
    assert again.take_lease() == 3
    with again.write() as connection:
        check_lease(connection, 3)
        with pytest.raises(LeaseLost):
            check_lease(connection, 2)
    again.close()


def test_times_go_both_ways() -> None:
    assert millis(NOW) == 1795226400000
    assert moment(millis(NOW)) == NOW


def test_parameters_stay_out_of_errors(bench: Bench) -> None:
    with bench.store.read() as connection, pytest.raises(OperationalError) as raised:
        connection.execute(ALARM, {"terminal": "990101198802290036"})
    assert "990101198802290036" not in str(raised.value)
