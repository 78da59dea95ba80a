"""A soak, and a checker that sees whatever is changed in its records afterwards.

In CI 200 kills over 2,000 settlements, elsewhere one kill at every step.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocols.events.steps import INBOX_STEPS, TERMINAL_STEPS
from tests.chaos.plan import LEAST_KILLS
from tests.chaos.soak import WRONG, check, failed

pytestmark = pytest.mark.timeout(900)

SEED = 7
KILLS, SETTLEMENTS = (200, 2000) if os.environ.get("CI") == "true" else (LEAST_KILLS + 1, 100)
TERMINAL = "110102-0000"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The result of a short run by the command, and the records it kept."""
    folder = tmp_path_factory.mktemp("soak") / "run"
    given = ["--kills", KILLS, "--settlements", SETTLEMENTS, "--seed", SEED, "--json", "--keep", folder]
    command = [sys.executable, "-m", "tests.chaos.soak", *map(str, given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result, folder


@pytest.fixture
def copy(ran: tuple[dict[str, Any], Path], tmp_path: Path) -> Path:
    """A copy of the records, to be changed."""
    return shutil.copytree(ran[1], tmp_path / "run")


def test_nothing_is_lost_or_doubled(ran: tuple[dict[str, Any], Path]) -> None:
    result, _ = ran
    assert {name: result[name] for name in WRONG} == dict.fromkeys(WRONG, 0)
    assert result["problems"] == []
    assert result["kills"] == KILLS
    assert result["settlements"] >= SETTLEMENTS
    assert set(result["steps"]) == {*TERMINAL_STEPS, *INBOX_STEPS}
    assert all(result["steps"].values())
    assert result["receipts"] > 0


def test_a_step_that_was_never_hit_fails_the_run(ran: tuple[dict[str, Any], Path]) -> None:
    result, _ = ran
    assert not failed(result)
    assert failed(result | {"steps": result["steps"] | {"inbox.committed": 0}})
    assert all(failed(result | {name: 1}) for name in WRONG)
    assert failed(result | {"problems": ["another hash"]})


def journal(folder: Path, sql: str) -> None:
    with sqlite3.connect(folder / TERMINAL / "state" / "journal.db") as db:
        assert db.execute(sql).rowcount > 0


def centre(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "centre" / "centre.db") as db:
        for sql in statements:
            assert db.execute(sql).rowcount > 0


def early_commit(folder: Path) -> None:
    """The tap saw a receipt pass before its commit."""
    tap = folder / "receipts.jsonl"
    tap.write_text(tap.read_text().replace('"booked": true', '"booked": false', 1))


def ghost(folder: Path, record: str, seq: int) -> None:
    """A result of an event that was never journalled."""
    path = folder / TERMINAL / record
    path.write_text((path.read_text() if path.exists() else "") + f"#{TERMINAL}/1/{seq} 100 60 0 40 {'ab' * 8}\n")


NO_BOOKING = "DELETE FROM bookings WHERE seq = (SELECT mark_seq FROM enrolments e WHERE e.terminal = bookings.terminal)"
NO_EVENT = "DELETE FROM events WHERE seq = (SELECT mark_seq FROM enrolments e WHERE e.terminal = events.terminal)"
WAITING = """UPDATE events SET state = 'waiting'
             WHERE seq = (SELECT mark_seq FROM enrolments e WHERE e.terminal = events.terminal)"""

TAMPERED: dict[str, tuple[str | None, Callable[[Path], object]]] = {
    "a shown result that is not durable": ("lost", lambda folder: ghost(folder, "shown.txt", 9999)),
    "a printed result that is not durable": ("lost", lambda folder: ghost(folder, "paper/9999.txt", 9999)),
    "another amount on the screen": (None, lambda folder: ghost(folder, "shown.txt", 1)),
    "a booking gone": ("lost", lambda folder: centre(folder, NO_BOOKING)),
    "the newest event gone at the centre": (
        "early_receipts",
        lambda folder: centre(folder, NO_BOOKING, NO_EVENT),
    ),
    "an event waits behind a gap": (
        "early_receipts",
        lambda folder: centre(folder, WAITING),
    ),
    "a receipt before its commit": ("early_receipts", early_commit),
    "a mark that no receipt gave": (None, lambda folder: (folder / "receipts.jsonl").write_text("")),
    "a visit settled twice": (
        "doubled",
        lambda folder: centre(
            folder,
            "UPDATE bookings SET mdtrt_id = (SELECT max(mdtrt_id) FROM bookings WHERE kind = 'settlement')"
            " WHERE kind = 'settlement' AND id = (SELECT min(id) FROM bookings WHERE kind = 'settlement')",
        ),
    ),
    "a cent less in a ledger line": (
        "unbalanced",
        lambda folder: centre(folder, "UPDATE ledger SET amount_fen = amount_fen - 1 WHERE id = 1"),
    ),
    "a cent more in an accumulator": (
        "unbalanced",
        lambda folder: centre(folder, "UPDATE accumulators SET inscope_fen = inscope_fen + 1 WHERE person_id = 1"),
    ),
    "an accumulator that missed a booking": (
        "unbalanced",
        lambda folder: centre(folder, "UPDATE accumulators SET version = version + 1 WHERE person_id = 2"),
    ),
    "a cent more in an account": (
        "unbalanced",
        lambda folder: centre(folder, "UPDATE accounts SET balc_fen = balc_fen + 1 WHERE person_id = 5"),
    ),
    "a cent moved between payers": (
        "unbalanced",
        lambda folder: centre(
            folder,
            "UPDATE ledger SET amount_fen = amount_fen + CASE account WHEN 'institution' THEN -1 ELSE 1 END"
            " WHERE booking_id = (SELECT min(booking_id) FROM ledger) AND account IN ('institution', 'cash')",
        ),
    ),
    "an event gone from the journal": (None, lambda folder: journal(folder, "DELETE FROM event WHERE seq = 2")),
}


def test_true_records_agree(copy: Path) -> None:
    assert check(copy)["problems"] == []


@pytest.mark.parametrize(("counted", "tamper"), TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_record_is_noticed(copy: Path, counted: str | None, tamper: Callable[[Path], object]) -> None:
    tamper(copy)
    found = check(copy)
    assert found["problems"] != []
    if counted is not None:
        assert found[{"doubled": "duplicates"}.get(counted, counted)] > 0
