"""The journal on a disk that is full, fails or has damaged files: a process of its own, under strace."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host_bridge.journal.errors import JournalBroken
from host_bridge.journal.journal import Journal
from tests.chaos.disk_fault import FULL, SYNCS_FAIL, WRITES_FAIL, disk_fault
from tests.chaos.terminal_power import key_of, prepare
from tests.chaos.trace import ROOT, strace_trouble
from tests.host_bridge.journal.samples import PERSON, HandClock, settlement
from tests.needs import need

Again = Callable[["Driver"], None]


class Driver:
    """`journal_driver` as a process; `acknowledged` are the hashes it has given."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.acknowledged: list[str] = []
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.chaos.journal_driver", str(self.work)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._answer() == {}

    def ask(self, command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        answer = self._answer()
        if command == "append" and "hash" in answer:
            self.acknowledged.append(answer["hash"])
        return answer

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))


def reopened(driver: Driver) -> None:
    driver.ask("close")


def restarted(driver: Driver) -> None:
    driver.kill()
    driver.start()


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    prepare(tmp_path, "short")
    driver = Driver(tmp_path)
    yield driver
    driver.kill()


def files(work: Path) -> tuple[Path, Path]:
    return work / "store" / "journal.db", work / "store" / "journal.db-wal"


@pytest.mark.parametrize("again", [reopened, restarted])
@pytest.mark.parametrize(("fault", "number"), [(FULL, "J-001"), (WRITES_FAIL, "J-002"), (SYNCS_FAIL, "J-002")])
def test_a_failing_disk_stops_the_journal_until_it_is_opened_again(
    driver: Driver, fault: str, number: str, again: Again
) -> None:
    need(strace_trouble())
    driver.ask("open")
    for _ in range(3):
        driver.ask("append")
    with disk_fault(driver.process.pid, fault, files(driver.work), driver.work / "faults"):
        assert driver.ask("append")["refused"] == number
        assert driver.ask("append")["refused"] == number
        assert driver.ask("look")["hashes"] == driver.acknowledged
    assert driver.ask("append")["refused"] == number
    again(driver)
    found = driver.ask("open")["end"]
    assert found in (3, 4)
    assert driver.ask("append")["seq"] == found + 1
    hashes = driver.ask("look")["hashes"]
    assert hashes[:3] == driver.acknowledged[:3]
    assert hashes[found] == driver.acknowledged[3]


@pytest.mark.parametrize("again", [reopened, restarted])
@pytest.mark.parametrize(("fault", "number"), [(FULL, "J-001"), (WRITES_FAIL, "J-002"), (SYNCS_FAIL, "J-002")])
def test_a_disk_that_still_fails_takes_nothing(driver: Driver, fault: str, number: str, again: Again) -> None:
    """What a failed sync left readable in the log is not opened as if it were safe."""
    need(strace_trouble())
    driver.ask("open")
    driver.ask("append")
    with disk_fault(driver.process.pid, fault, files(driver.work), driver.work / "faults"):
        assert driver.ask("append")["refused"] == number
    again(driver)
    with disk_fault(driver.process.pid, fault, files(driver.work), driver.work / "faults"):
        opened = driver.ask("open")
        if fault == SYNCS_FAIL and again is restarted:
            assert opened["refused"] == number
        assert opened.get("refused") == number or driver.ask("append")["refused"] == number
    again(driver)
    found = driver.ask("open")["end"]
    assert driver.ask("append")["seq"] == found + 1
    assert driver.ask("look")["hashes"][0] == driver.acknowledged[0]


def killed_with_a_log(work: Path, events: int) -> list[str]:
    """Leave a journal whose events are all in SQLite's log; their hashes."""
    prepare(work, "short")
    driver = Driver(work)
    driver.ask("open")
    for _ in range(events):
        driver.ask("append")
    driver.kill()
    return driver.acknowledged


def opened(work: Path) -> list[str]:
    """The hashes of every event; `JournalBroken`."""
    journal = Journal.open(work / "store" / "journal.db", key_of(work), HandClock())
    try:
        journal.verify()
        return [each.hash for each in journal.after(0, 1000)]
    finally:
        journal.close()


def damaged(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def look(work: Path, kept: dict[Path, bytes], damage: tuple[Path, bytes]) -> list[str] | None:
    """What is found with one file damaged; None where it is refused, and then nothing has been changed."""
    for path, data in (*kept.items(), damage):
        path.write_bytes(data)
    try:
        return opened(work)
    except JournalBroken:
        assert damage[0].read_bytes() == damage[1]
        return None
    finally:
        files(work)[1].unlink(missing_ok=True)
        files(work)[1].with_name("journal.db-shm").unlink(missing_ok=True)


def last_commit(log: bytes) -> int:
    """Where the last transaction begins in SQLite's log (sqlite.org/fileformat2.html 4.1)."""
    frames = range(32, len(log), 24 + 4096)
    commits = [frame for frame in frames if int.from_bytes(log[frame + 4 : frame + 8])]
    return commits[-2] + 24 + 4096


def test_a_damaged_log_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """But for its last commit, which is the same as one that was never finished."""
    hashes = killed_with_a_log(tmp_path, 12)
    kept = {path: path.read_bytes() for path in files(tmp_path)}
    db, log = files(tmp_path)
    end, chance = last_commit(kept[log]), random.Random(1)
    for place in (*range(32), *(chance.randrange(end) for _ in range(60))):
        assert look(tmp_path, kept, (log, damaged(kept[log], place))) is None, place
    assert look(tmp_path, kept, (log, damaged(kept[log], end + 24 + 100))) == hashes[:-1]
    assert look(tmp_path, kept, (db, kept[db])) == hashes


def test_a_damaged_file_never_shows_other_events(tmp_path: Path) -> None:
    hashes = killed_with_a_log(tmp_path, 12)
    opened(tmp_path)
    db, _ = files(tmp_path)
    data, refused, chance = db.read_bytes(), 0, random.Random(1)
    for place in (*range(0, 100, 9), *(chance.randrange(len(data)) for _ in range(90))):
        found = look(tmp_path, {}, (db, damaged(data, place)))
        assert found in (None, hashes), place
        refused += found is None
    assert refused > 10
    db.write_bytes(data)
    journal = Journal.open(db, key_of(tmp_path), HandClock())
    assert journal.append(settlement("goes on"), PERSON).seq == 13
    journal.close()
