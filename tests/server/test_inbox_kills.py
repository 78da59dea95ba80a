"""kill -9 at every durable step of the inbox: nothing lost, nothing doubled, every receipt after its commit."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from protocols.events.frames import open_receipt
from protocols.events.steps import INBOX_STEPS
from protocols.settlement.bill import Accumulators
from server.ledger.report import report
from server.people.persons import PersonYear, standing
from server.store.store import Store
from server.terminals.registry import enrolled
from tests.server.chains import NOTHING, Chain, line
from tests.server.conftest import Bench

SCRIPT = Path(__file__).with_name("dying_inbox.py")
ROOT = Path(__file__).parents[2]


def frames_of(*chains: Chain) -> list[tuple[str, str]]:
    """Two events a frame, the terminals in turn."""
    return [(chain.topic("event"), chain.frame(first, first + 1).decode()) for first in (1, 3) for chain in chains]


@pytest.mark.parametrize("occurrence", [1, 3])
@pytest.mark.parametrize("step", INBOX_STEPS)
def test_killed_at(bench: Bench, tmp_path: Path, step: str, occurrence: int) -> None:
    chains = [bench.enrol("T1"), bench.enrol("T2")]
    for chain in chains:
        for _ in range(4):
            chain.settle([line("01", "150.00")], NOTHING, 0, mode="provisional")
    bench.store.close()
    frames, log = tmp_path / "frames.json", tmp_path / "log"
    frames.write_bytes(msgspec.json.encode(frames_of(*chains)))
    key = bench.receipt_key.private_bytes_raw().hex()

    def run(doomed: str) -> int:
        arguments = [bench.url, key, str(frames), str(log), doomed, str(occurrence)]
        command = [sys.executable, str(SCRIPT), *arguments]
        process = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, timeout=60, check=False)
        check_receipts(bench, log, chains)
        return process.returncode

    first = run(step)
    once_a_batch = ("inbox.committed", "inbox.acknowledged", "inbox.receipt_sent")
    assert first == -9 or (occurrence > 1 and step in once_a_batch)
    assert run("never") == 0
    assert log.read_bytes().count(b"ack ") >= 4

    store = Store.open(bench.url)
    with store.read() as connection:
        found = report(connection)
        now = standing(connection, PersonYear(1, "310", 2026))
    store.close()
    assert sorted(event.id for event in found.events) == sorted(event.id for chain in chains for event in chain.events)
    assert {event.state for event in found.events} == {"booked"}
    assert found.balance_fen == 0
    assert found.chains == type(found.chains)(8, ())
    assert (now.version, now.amounts) == (8, Accumulators(120_000, 0))


def check_receipts(bench: Bench, log: Path, chains: list[Chain]) -> None:
    """Nothing was promised that the store does not hold after the kill."""
    if not log.exists():
        return
    store = Store.open(bench.url)
    with store.read() as connection:
        marks = {chain.terminal: enrolled(connection, chain.terminal) for chain in chains}
    store.close()
    for entry in log.read_bytes().splitlines():
        if not entry.startswith(b"receipt "):
            continue
        receipt = open_receipt(bench.receipt_key.public_key(), entry.removeprefix(b"receipt "))
        who = marks[receipt.terminal]
        chain = next(chain for chain in chains if chain.terminal == receipt.terminal)
        assert who is not None
        assert receipt.seq <= who.mark.seq
        assert receipt.hash == chain.hash(receipt.seq)
