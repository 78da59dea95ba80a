"""The checker finds what it is there to find: every tampered record of a played site is noticed."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hardware.virtual.demo import check
from hardware.virtual.morning import Player, load_morning
from hardware.virtual.site import Site

pytestmark = pytest.mark.timeout(300)

PLAYED = ("employee, D2", "retired, D4", "refund of D2, D9")
TERMINAL = "110102-0012"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stopped site where two bills were settled and one was refunded."""
    morning = load_morning()
    site = Site(tmp_path_factory.mktemp("played") / "site", morning.counter[:1])
    try:
        site.start()
        Player(site, lambda _: None).play([visit for visit in morning.visit if visit.name in PLAYED])
    finally:
        site.stop()
    return site.folder


def journal(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / TERMINAL / "state" / "journal.db")) as db, db:
        assert db.execute(sql).rowcount > 0


def centre(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "centre" / "centre.db")) as db, db:
        assert db.execute(sql).rowcount > 0


def paper(folder: Path, old: str, new: str) -> None:
    slip = folder / TERMINAL / "paper" / "receipt-0001.txt"
    text = slip.read_text()
    assert old in text
    slip.write_text(text.replace(old, new))


TAMPERED: dict[str, Callable[[Path], object]] = {
    "a cent less in a ledger line": lambda folder: centre(
        folder, "UPDATE ledger SET amount_fen = amount_fen - 1 WHERE account = 'cash' AND amount_fen > 0"
    ),
    "a cent moved between payers": lambda folder: centre(
        folder,
        "UPDATE ledger SET amount_fen = amount_fen + CASE account WHEN 'cash' THEN 1 ELSE -1 END"
        " WHERE account IN ('cash', 'big') AND booking_id = 1",
    ),
    "a booking gone": lambda folder: centre(folder, "DELETE FROM bookings WHERE kind = 'refund'"),
    "other bytes at the centre": lambda folder: centre(
        folder, "UPDATE events SET data = CAST(replace(data, '41667', '41668') AS BLOB) WHERE seq = 1"
    ),
    "another hash at the centre": lambda folder: centre(
        folder, "UPDATE events SET hash = replace(hash, substr(hash, 1, 4), '0000') WHERE seq = 2"
    ),
    "an event quarantined": lambda folder: centre(folder, "UPDATE events SET state = 'quarantined' WHERE seq = 2"),
    "an event gone from the journal": lambda folder: journal(folder, "DELETE FROM event WHERE seq = 2"),
    "the journal's newest event gone": lambda folder: journal(folder, "DELETE FROM event WHERE seq = 3"),
    "another amount in the journal": lambda folder: journal(
        folder, "UPDATE event SET data = CAST(replace(data, '17525', '17526') AS BLOB) WHERE seq = 1"
    ),
    "a mark the centre never gave": lambda folder: journal(folder, "UPDATE state SET mark_seq = 2"),
    "a receipt never printed": lambda folder: (folder / TERMINAL / "paper" / "receipt-0001.txt").unlink(),
    "another total on paper": lambda folder: paper(folder, " 41667 ", " 41666 "),
    "a receipt of an unknown event": lambda folder: paper(folder, f"#{TERMINAL}/1/1 ", f"#{TERMINAL}/1/9 "),
    "a receipt printed twice": lambda folder: (
        shutil.copy(folder / TERMINAL / "paper" / "receipt-0001.txt", folder / TERMINAL / "paper" / "receipt-0009.txt")
        and None
    ),
}


def test_true_records_agree(played: Path) -> None:
    result = check(played, len(PLAYED))
    assert result["problems"] == []
    assert (result["settled"], result["refunded"], result["refused"]) == (2, 1, 0)
    assert (result["lost"], result["duplicates"], result["adjusted"], result["offline"]) == (0, 0, 0, 0)
    # D2 175.25 + D4 70.99 - D2 175.25, and 241.42 + 17.89 - 241.42 (settlement.md C.4)
    assert (result["fund_fen"], result["cash_fen"]) == (7099, 1789)


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_record_is_noticed(played: Path, tmp_path: Path, tamper: Callable[[Path], object]) -> None:
    copy = shutil.copytree(played, tmp_path / "site", symlinks=True, ignore=lambda _, names: {"reader"} & set(names))
    tamper(copy)
    assert check(copy, len(PLAYED))["problems"] != []


def test_a_visit_that_left_no_record_is_noticed(played: Path) -> None:
    assert check(played, len(PLAYED) + 1)["problems"] != []


def test_the_records_hold_no_names(played: Path) -> None:
    names = [b"\xe6\x9d\x8e\xe5\xbb\xba\xe5\x8d\x8e", b"\xe7\x8e\x8b\xe7\xa4\xba\xe8\x8c\x83"]
    with closing(sqlite3.connect(played / TERMINAL / "state" / "journal.db")) as db:
        events = [data for (data,) in db.execute("SELECT data FROM event")]
    assert events
    for event in events:
        assert not any(name in event for name in names)
        assert b"9901011" not in event
        assert json.loads(event)["data"]["person_hash"]
    logs = [path for path in played.rglob("*.log") if path.stat().st_size]
    for log in logs:
        assert b"9901011" not in log.read_bytes()
        assert not any(name in log.read_bytes() for name in names)
