"""Full disks, failing disks, damaged files, connections that would not be durable."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from host_bridge.journal.chain import Mark
from host_bridge.journal.errors import JournalBroken, JournalFull, JournalRolledBack, JournalStopped, NotEnrolled
from host_bridge.journal.journal import TAIL, Journal
from host_bridge.journal.reader import JournalReader
from host_bridge.journal.store import open_reader
from tests.host_bridge.journal.samples import PERSON, Desk, receipt_at, record_for, settlement

Patch = Callable[[Callable[[str], str | None]], None]


@pytest.fixture
def patched_sql(monkeypatch: pytest.MonkeyPatch) -> Patch:
    """Let every SQLite connection pass its statements through a function first."""

    def patch(change: Callable[[str], str | None]) -> None:
        class Changed(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                return super().execute(change(sql) or sql, *values)

        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Changed))

    return patch


def filled(desk: Desk, count: int) -> None:
    journal = desk.create()
    for number in range(count):
        journal.append(settlement(str(number)), PERSON)
    desk.close()


def append_for_ever(journal: Journal) -> None:
    while True:
        journal.append(settlement(), PERSON)


def change_file(desk: Desk, sql: str, *values: object) -> None:
    connection = sqlite3.connect(desk.path)
    with connection:
        connection.execute(sql, values)
    connection.close()


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("PRAGMA synchronous=2", "PRAGMA synchronous=1"),
        ("PRAGMA synchronous=2", "PRAGMA synchronous=0"),
        ("PRAGMA journal_mode=WAL", "PRAGMA journal_mode=DELETE"),
    ],
)
def test_a_connection_that_would_not_be_durable_is_refused(
    desk: Desk, patched_sql: Patch, asked: str, got: str
) -> None:
    filled(desk, 1)
    patched_sql(lambda sql: got if sql == asked else None)
    with pytest.raises(JournalBroken, match="not durable"):
        desk.open()


def test_synchronous_is_full_where_it_counts(desk: Desk, patched_sql: Patch) -> None:
    seen: list[str] = []
    patched_sql(seen.append)
    desk.create()
    opened = [sql for sql in seen if sql.startswith("PRAGMA synchronous")]
    assert opened == ["PRAGMA synchronous=2", "PRAGMA synchronous"] * (len(opened) // 2)
    assert not [sql for sql in seen if "synchronous" in sql.lower() and not sql.startswith("PRAGMA synchronous")]


def test_all_other_connections_cannot_write(desk: Desk) -> None:
    filled(desk, 1)
    connection = open_reader(desk.path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM event")
    connection.close()


def test_a_reader_follows_the_writer(desk: Desk) -> None:
    journal = desk.create()
    reader = JournalReader(desk.path)
    journal.append(settlement(), PERSON)
    assert reader.end == 1
    assert reader.verify().seq == 1
    reader.close()


def test_a_full_disk_stops_until_there_is_room(desk: Desk, monkeypatch: pytest.MonkeyPatch, patched_sql: Patch) -> None:
    filled(desk, 3)
    with monkeypatch.context() as full:
        connect = sqlite3.connect

        def small(*args: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*args, **options)
            connection.execute("PRAGMA max_page_count=1")
            return connection

        full.setattr(sqlite3, "connect", small)
        journal = desk.open()
        with pytest.raises(JournalFull):
            append_for_ever(journal)
        acknowledged = journal.end
        assert isinstance(journal.stopped, JournalFull)
        for write in (journal.next_mdtrt_id, lambda: journal.append(settlement("x"), PERSON)):
            with pytest.raises(JournalFull):
                write()
        with pytest.raises(JournalFull):
            journal.apply_receipt(receipt_at(Mark(1, journal.after(0, 1)[0].hash)))
        desk.close()
    journal = desk.open()
    assert journal.verify().seq == acknowledged
    assert journal.append(settlement("room again"), PERSON).seq == acknowledged + 1


_FILL = """
import resource, signal, sys
from pathlib import Path
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from host_bridge.journal.errors import JournalStopped
from host_bridge.journal.journal import Journal
from tests.host_bridge.journal.samples import PERSON, HandClock, settlement
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
key = load_pem_private_key(sys.stdin.buffer.read(), None)
journal = Journal.open(Path(sys.argv[1]), key, HandClock())
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    while True:
        print(journal.append(settlement("x"), PERSON).seq, flush=True)
except JournalStopped as stopped:
    print(type(stopped).__name__, flush=True)
try:
    journal.append(settlement("x"), PERSON)
except JournalStopped as stopped:
    print(type(stopped).__name__, flush=True)
"""


def test_writes_that_fail_stop_the_journal_and_lose_nothing(desk: Desk) -> None:
    filled(desk, 1)
    done = subprocess.run(
        [sys.executable, "-c", _FILL, str(desk.path), str(200_000)],
        input=pem_of(desk.key),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[3],
        timeout=60,
    )
    *acknowledged, first, second = done.stdout.decode().split()
    assert (first, second) == ("JournalBroken", "JournalBroken")
    assert [int(seq) for seq in acknowledged] == list(range(2, len(acknowledged) + 2))
    journal = desk.open()
    assert journal.verify().seq >= int(acknowledged[-1])
    journal.append(settlement("goes on"), PERSON)


def pem_of(key: Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_missing_journal_is_said(desk: Desk) -> None:
    with pytest.raises(NotEnrolled):
        desk.open()
    with pytest.raises(NotEnrolled):
        JournalReader(desk.path)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 500])
def test_a_file_that_is_no_journal_is_broken(desk: Desk, content: bytes) -> None:
    filled(desk, 1)
    desk.path.write_bytes(content)
    with pytest.raises(JournalBroken):
        desk.open()
    assert desk.path.read_bytes() == content or not content


def test_a_truncated_file_is_broken(desk: Desk) -> None:
    filled(desk, 20)
    data = desk.path.read_bytes()
    desk.path.write_bytes(data[: len(data) // 2])
    with pytest.raises(JournalStopped):
        desk.open()


_DAMAGE = {
    "bytes changed": ("UPDATE event SET data = replace(data, '100.00', '900.00') WHERE seq = 2", ()),
    "hash changed": ("UPDATE event SET hash = ? WHERE seq = 2", ("00" * 32,)),
    "prev changed": ("UPDATE event SET prev = ? WHERE seq = 2", ("00" * 32,)),
    "signature changed": ("UPDATE event SET signature = ? WHERE seq = 2", ("00" * 64,)),
    "time changed": ("UPDATE event SET time = '2020-01-01T00:00:00.000+08:00' WHERE seq = 2", ()),
    "kind changed": ("UPDATE event SET kind = 'refusal' WHERE seq = 2", ()),
    "one missing": ("DELETE FROM event WHERE seq = 2", ()),
    "record changed": ("UPDATE enrolment SET record = record || ' '", ()),
    "record missing": ("DELETE FROM enrolment", ()),
    "record malformed": ("UPDATE enrolment SET record = '{}'", ()),
    "mark of another": ("UPDATE state SET mark_seq = 1, mark_hash = ?", ("00" * 32,)),
    "mark beyond": ("UPDATE state SET mark_seq = 9", ()),
    "state missing": ("DELETE FROM state", ()),
    "newer": ("INSERT INTO _sqlite_migrations(migration_set, name, applied_at) VALUES ('journal', 'later', '')", ()),
}


@pytest.mark.parametrize("damage", _DAMAGE)
def test_damage_is_found_when_opening_and_is_left_as_it_is(desk: Desk, damage: str) -> None:
    filled(desk, 3)
    sql, values = _DAMAGE[damage]
    change_file(desk, sql, *values)
    before = desk.path.read_bytes()
    with pytest.raises(JournalBroken):
        desk.open()
    assert desk.path.read_bytes() == before


def test_a_last_event_cut_off_behind_the_mark_is_found(desk: Desk) -> None:
    filled(desk, 3)
    journal = desk.open()
    journal.apply_receipt(receipt_at(Mark(3, journal.after(2, 1)[0].hash)))
    desk.close()
    change_file(desk, "DELETE FROM event WHERE seq = 3")
    with pytest.raises(JournalBroken):
        desk.open()


def test_old_damage_is_found_by_verify_and_never_sent(desk: Desk) -> None:
    filled(desk, TAIL + 10)
    change_file(desk, "UPDATE event SET data = replace(data, '100.00', '900.00') WHERE seq = 5")
    journal = desk.open()
    with pytest.raises(JournalBroken) as caught:
        journal.verify()
    assert caught.value.seq == 5
    with pytest.raises(JournalBroken):
        journal.after(3, 20)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_changed_byte_of_an_event_passes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    desk = Desk(tmp_path_factory.mktemp("flip"))
    filled(desk, 1)
    connection = sqlite3.connect(desk.path)
    (stored,) = connection.execute("SELECT data FROM event").fetchone()
    place = data.draw(st.integers(0, len(stored) - 1))
    changed = bytearray(stored)
    changed[place] ^= data.draw(st.integers(1, 255))
    with connection:
        connection.execute("UPDATE event SET data = ?", (bytes(changed),))
    connection.close()
    reader = JournalReader(desk.path)
    with pytest.raises(JournalBroken):
        reader.verify()
    reader.close()


def test_another_key_does_not_open(desk: Desk) -> None:
    filled(desk, 1)
    desk.key = Ed25519PrivateKey.generate()
    with pytest.raises(JournalBroken, match="key"):
        desk.open()


def test_an_existing_journal_is_not_made_anew(desk: Desk) -> None:
    filled(desk, 1)
    with pytest.raises(FileExistsError):
        Journal.create(desk.path, record_for(desk.key, desk.key), desk.key, desk.clock, secret=b"")


def test_a_restored_old_copy_stops_at_the_first_receipt(desk: Desk, tmp_path: Path) -> None:
    filled(desk, 2)
    copy = tmp_path / "copy.db"
    shutil.copy(desk.path, copy)
    journal = desk.open()
    newest = journal.append(settlement("after the copy"), PERSON)
    receipt = receipt_at(Mark(3, newest.hash))
    journal.apply_receipt(receipt)
    desk.close()
    shutil.copy(copy, desk.path)
    journal = desk.open()
    with pytest.raises(JournalRolledBack):
        journal.apply_receipt(receipt)
    desk.close()
    shutil.copy(copy, desk.path)
    journal = desk.open()
    journal.append(settlement("a second third event"), PERSON)
    with pytest.raises(JournalRolledBack):
        journal.apply_receipt(receipt)
