"""Every faulty reader fails its own check and no other; every check has a reader that fails it."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from hardware.virtual.chips import chip_at
from hardware.virtual.faulty_reader import FaultyReader, ReaderFault
from hardware.virtual.reader import ReaderProcess
from hardware.virtual.reader_faults import FAULTS
from hardware.virtual.slot import VirtualSlot
from hardware.virtual.test_card import TestCard
from host_bridge.conformance.case import Result
from host_bridge.conformance.reader.bench import Bench, Effort
from host_bridge.conformance.reader.ccid_port import open_ccid_port
from host_bridge.conformance.reader.hands import FolderHand
from host_bridge.conformance.reader.suite import CASES, run_cases
from host_bridge.readers.serial import SerialReader
from tests.host_bridge.conformance.reader.conftest import PATIENT

EFFORT = Effort(resets=2, selects=15, statuses=10, moves=1, storm=10, recovers_s=2.0)
AT_ONCE = 8
"""Most of a run is waiting."""

Runs = dict[str, Future[list[Result]]]


def run(fault: ReaderFault) -> list[Result]:
    """Everything, on a reader with this fault."""
    with tempfile.TemporaryDirectory() as folder:
        slot = Path(folder)
        TestCard.create(slot / "card.test")
        faulty = FaultyReader(ReaderProcess(VirtualSlot(slot, chip_at), limits=PATIENT), fault)
        faulty.start()
        reader = SerialReader(faulty.path)
        try:
            bench = Bench(reader, lambda: open_ccid_port(faulty.path), FolderHand(slot, patience_s=2.0), EFFORT)
            bench.survey()
            return list(run_cases(bench, CASES, seed=1))
        finally:
            reader.close()
            faulty.stop()


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Of the faults whose tests were selected, several at a time."""
    selected = {item.name for item in request.session.items}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {fault.name: pool.submit(run, fault) for fault in FAULTS if any(f"[{fault.name}]" in n for n in selected)}


def test_every_check_has_its_fault() -> None:
    assert [fault.fails for fault in FAULTS] == [case.id for case in CASES]
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_a_fault_makes_its_own_check_fail_and_no_other(runs: Runs, name: str) -> None:
    own = {fault.name: fault.fails for fault in FAULTS}[name]
    results = runs[name].result()
    found = {result.case.id: result.finding for result in results if result.outcome == "failed"}
    assert set(found) == {own}, found
    assert [result for result in results if result.outcome == "skipped"] == []
