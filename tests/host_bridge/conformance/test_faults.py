"""Every fault makes its own check fail and no other; every check that is not about a file alone has a fault."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.chips import MARK
from hardware.virtual.faults import FAULTS
from host_bridge.conformance.case import Result
from host_bridge.conformance.suite import all_cases
from protocols.sscard.files import card_files
from tests.host_bridge.conformance.conftest import Make, Run, Socket

VERSION = "2.00"
OWN = {
    "atr_tb1": "ATR.form",
    "atr_short": "ATR.historical_bytes",
    "atr_region": "ATR.region",
    "missing_record": "RECORD.DF03_EF06",
    "wrong_tag": "RECORD.DF02_EF05",
    "short_record": "RECORD.DF04_EF05",
    "odd_record": "RECORD.DF02_EF07",
    "short_file": "RECORD.SSSE_EF07",
    "free_read": "SAFETY.DF01_EF06.closed",
    "pin_does_not_open": "SAFETY.DF01_EF06.PIN",
    "key_does_not_open": "SAFETY.DF02_EF06.RK1DF02",
    "key_is_enough": "SAFETY.DF04_EF06.PIN+RK1DF04",
    "free_update": "SAFETY.DF04_EF08.update",
    "closed_update": "SAFETY.DF02_EF05.update",
    "space_padding": "RECORD.SSSE_EF06",
    "tag_not_found": "RECORD.by_tag",
    "no_sfi": "RECORD.by_sfi",
    "no_range": "RECORD.to_last",
    "range_forwards": "RECORD.from_last",
    "end_is_file": "RECORD.behind_the_end",
    "tag_is_key": "RECORD.unknown_tag",
    "no_true_length": "RECORD.true_length",
    "next_is_first": "RECORD.pointer",
    "pin_outlasts_reset": "SAFETY.pin_ends_at_reset",
    "key_outlasts_reset": "SAFETY.key_ends_at_reset",
    "status_uses_try": "PIN.status",
    "right_pin_refused": "PIN.right",
    "counter_stays": "PIN.wrong",
    "counter_not_restored": "PIN.counter_restored",
    "long_pin_compared": "PIN.length",
    "change_ignored": "PIN.change",
    "change_with_any": "PIN.change_with_wrong",
    "change_to_short": "PIN.change_to_short",
    "change_length": "PIN.change_length",
    "puk_not_counted": "PIN.wrong_puk",
    "unblock_without_right": "PIN.unblock_without_right",
    "unblock_with_any_mac": "PIN.unblock_with_wrong_mac",
    "locked_pin_verifies": "PIN.lock",
    "unblock_ignored": "PIN.unblock",
    "reset_ignored": "PIN.reset",
    "no_long_challenge": "CHALLENGE.lengths",
    "any_challenge": "CHALLENGE.other_lengths",
    "same_challenge": "CHALLENGE.fresh",
    "wrong_proof": "CHALLENGE.internal",
    "no_challenge_needed": "CHALLENGE.absent",
    "challenge_twice": "CHALLENGE.once",
    "old_challenge": "CHALLENGE.latest",
    "key_refused": "KEY_VER.DF02",
    "version_1_missing": "KEY_VER.1",
    "version_2_missing": "KEY_VER.2",
    "version_3_missing": "KEY_VER.3",
    "any_version": "KEY_VER.unknown_external",
    "any_version_internal": "KEY_VER.unknown_internal",
    "unknown_key_counted": "KEY_VER.unknown_key",
    "class_as_instruction": "PARAM.class_unknown",
    "instruction_as_class": "PARAM.instruction_unknown",
    "p1_p2_not_supported": "PARAM.p1_p2",
    "lc_as_data": "PARAM.lc",
    "sfi_as_current": "PARAM.sfi_missing",
    "file_as_record": "PARAM.file_missing",
    "any_application": "PARAM.application_missing",
    "no_file_as_missing": "PARAM.no_current_file",
    "structure_as_right": "PARAM.structure",
    "offset_as_length": "PARAM.offset",
    "other_name": "PARAM.fci",
    "file_with_data": "PARAM.select_ef",
    "response_as_length": "PARAM.nothing_waiting",
    "key_of_another": "FIREWALL.key_of_other",
    "state_kept": "FIREWALL.left",
    "pin_lost": "FIREWALL.pin_stays",
    "challenge_of_another": "FIREWALL.challenge",
    "block_without_right": "BLOCK.application_without_right",
    "block_with_any_mac": "BLOCK.application_with_wrong_mac",
    "card_block_without_right": "BLOCK.card_without_right",
    "block_ignored": "BLOCK.application",
    "block_ends_at_reset": "BLOCK.application_stays",
    "card_block_ignored": "BLOCK.card",
}
"""Fault and the check that it is for."""
PER_FILE = ("RECORD.", "SAFETY.", "KEY_VER.")
RunFault = Callable[..., dict[str, Result]]


@pytest.fixture
def run_fault(make: Make, run: Run) -> RunFault:
    def ran(fault: str, version: str = VERSION, groups: str = "", file: str = "") -> dict[str, Result]:
        path = make(f"card{MARK}{fault}", version=version)
        return {result.case.id: result for result in run(path, groups, file=file, reader=Socket)}

    return ran


def failed(results: dict[str, Result]) -> list[str]:
    return [name for name, result in results.items() if result.outcome == "failed"]


def test_every_fault_has_its_check_and_every_check_its_fault() -> None:
    assert list(OWN) == [fault.name for fault in FAULTS]
    cases = {case.id for case in all_cases(card_files(VERSION))}
    of_one_file = {
        name for name in cases if name.startswith(PER_FILE) and ("_EF" in name or "DF" in name or "SSSE" in name)
    }
    assert set(OWN.values()) - of_one_file == cases - of_one_file


@pytest.mark.parametrize("fault", OWN)
def test_a_fault_makes_its_own_check_fail_and_no_other(run_fault: RunFault, fault: str) -> None:
    assert failed(run_fault(fault)) == [OWN[fault]]


@pytest.mark.parametrize("version", ["1.00", "3.00"])
@pytest.mark.parametrize("fault", OWN)
def test_in_every_version(run_fault: RunFault, fault: str, version: str) -> None:
    expected = [OWN[fault]] if OWN[fault] in {case.id for case in all_cases(card_files(version))} else []
    assert failed(run_fault(fault, version)) == expected


def files(kind: str) -> list[str]:
    """Every file that a fault may be about; a record of variable length may be shorter."""
    structures = {"odd_record": ("cyclic",), "short_file": ("transparent",)}.get(kind, ("linear", "fixed"))
    return [
        name
        for name, file in ALL_FILES.items()
        if file.structure in structures and not (kind == "short_record" and file.records[0].variable)
    ]


@pytest.mark.parametrize("kind", ["missing_record", "wrong_tag", "short_record", "odd_record", "short_file"])
def test_content_of_every_file(run_fault: RunFault, kind: str) -> None:
    for file in files(kind):
        assert failed(run_fault(f"{kind}@{file}", groups="RECORD", file=file)) == [f"RECORD.{file}"]


ALL_FILES = {
    f"{directory.name}_{file.ef}": file for directory, file in card_files(VERSION).all_files() if not file.absent
}
CLOSED = [name for name, file in ALL_FILES.items() if file.read != "free"]


def test_update_of_every_file(run_fault: RunFault) -> None:
    for file in ALL_FILES:
        found = failed(run_fault(f"free_update@{file}", groups="SAFETY", file=file))
        assert found == [f"SAFETY.{file}.update"]


def test_reading_of_every_file(run_fault: RunFault) -> None:
    for file in CLOSED:
        found = failed(run_fault(f"free_read@{file}", groups="RECORD SAFETY FIREWALL", file=file))
        assert found == [f"SAFETY.{file}.closed"]


@pytest.mark.parametrize(("kind", "right"), [("pin_does_not_open", "PIN"), ("key_does_not_open", "RK")])
def test_every_way_into_every_file(run_fault: RunFault, kind: str, right: str) -> None:
    cases = {case.id for case in all_cases(card_files(VERSION))}
    ways = {file: {name for name in cases if name.startswith(f"SAFETY.{file}.{right}")} for file in CLOSED}
    assert sum(map(len, ways.values())) > 20
    for file, own in ways.items():
        found = failed(run_fault(f"{kind}@{file}", groups="RECORD SAFETY FIREWALL", file=file))
        assert set(found) == {name for name in own if "+" not in name}


def test_a_fault_that_is_not_there_is_no_card(make: Make, run: Run) -> None:
    for name in ("gone", "missing_record@DF09_EF05", "missing_record@DF01_EF99", "atr_tb1@DF01_EF05"):
        with pytest.raises(Exception, match="no fault"):
            run(make(f"card{MARK}{name}"))


def test_the_card_below_keeps_the_rule(make: Make) -> None:
    path: Path = make(f"card{MARK}atr_tb1")
    assert VirtualCard.open(path).reset()[2] == 0x00
