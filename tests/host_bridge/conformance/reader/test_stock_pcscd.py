"""The suite through stock pcscd: over libccidtwin and our firmware, and over vpcd."""

from pathlib import Path

from hardware.virtual.processes import wait_until
from host_bridge.conformance.reader.bench import Bench, Effort
from host_bridge.conformance.reader.hands import STAYS_FOR_PCSCD_S, FolderHand
from host_bridge.conformance.reader.suite import CASES, run_cases
from host_bridge.readers.addresses import open_reader
from tests.host_bridge.conformance.reader.conftest import StartReader
from tests.pcscd import READERS, CardInReader, Pcscd, card_present

EFFORT = Effort(resets=3, selects=100, moves=1, storm=10)


def test_pcscd_and_our_firmware_pass_what_needs_no_ccid(
    daemon: Pcscd, start_reader: StartReader, slot_folder: Path, tmp_path: Path
) -> None:
    start_reader("micropython")
    name = daemon.start_serial(tmp_path / "reader", "GemPCTwin")
    wait_until("the card", lambda: card_present(name))
    reader = open_reader(f"pcsc:{name}")
    bench = Bench(reader, hand=FolderHand(slot_folder, STAYS_FOR_PCSCD_S), effort=EFFORT)
    bench.survey()
    results = list(run_cases(bench, CASES, seed=3))
    reader.close()
    assert [result for result in results if result.outcome == "failed"] == []
    assert {result.reason.missing for result in results if result.reason} == {"CCID"}


def test_vpcd_carries_whole_apdus_and_passes_what_needs_no_contact_line(daemon: Pcscd, slot_folder: Path) -> None:
    daemon.start()
    with CardInReader(slot_folder / "card.test", daemon.ports[0]):
        wait_until("the card", card_present)
        reader = open_reader(f"pcsc:{READERS[0]}")
        bench = Bench(reader, effort=EFFORT)
        bench.survey()
        results = list(run_cases(bench, CASES, seed=3))
        reader.close()
    assert [result for result in results if result.outcome == "failed"] == []
    assert {result.reason.missing for result in results if result.reason} == {"contact line", "CCID", "hand"}
    assert "T0.more_data" in {result.case.id for result in results if result.outcome == "passed"}
