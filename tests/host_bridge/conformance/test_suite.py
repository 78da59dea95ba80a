"""The suite on right cards: what it passes, what it skips and why, and what it leaves as it was."""

from pathlib import Path

import msgspec
import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.faulty_card import Fault, FaultyCard
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.conformance.case import DESTRUCTIVE, Result
from host_bridge.conformance.suite import SUITE, all_cases
from host_bridge.readers.virtual import VirtualReader
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard.files import card_files, versions
from tests.host_bridge.conformance.conftest import Make, Run


def ids(results: list[Result], outcome: str) -> set[str]:
    return {result.case.id for result in results if result.outcome == outcome}


@pytest.mark.parametrize("version", versions())
def test_a_right_card_passes_everything(make: Make, run: Run, version: str) -> None:
    results = run(make(version=version))
    assert [result for result in results if result.outcome != "passed"] == []
    assert {result.case.group for result in results} == set(SUITE.groups)


@pytest.mark.parametrize("version", versions())
def test_every_file_of_the_table_has_its_checks(version: str) -> None:
    cases = {case.id for case in all_cases(card_files(version))}
    assert len(cases) == len(all_cases(card_files(version)))
    for directory, file in card_files(version).all_files():
        if not file.absent:
            name = f"{directory.name}_{file.ef}"
            assert {f"RECORD.{name}", f"SAFETY.{name}.update"} <= cases
            assert f"SAFETY.{name}.{'free' if file.read == 'free' else 'closed'}" in cases


@pytest.mark.parametrize("version", versions())
def test_without_leave_to_destroy_the_card_stays_as_it_was(make: Make, run: Run, version: str) -> None:
    path = make(version=version)
    before = path.read_bytes()
    results = run(path, destructive=False)
    assert path.read_bytes() == before
    assert ids(results, "failed") == set()
    skipped = [result for result in results if result.outcome == "skipped"]
    assert {result.case.id for result in skipped} == {
        result.case.id for result in results if DESTRUCTIVE in result.case.needs
    }
    assert {result.reason and result.reason.missing for result in skipped} == {DESTRUCTIVE}


def test_the_pin_is_the_same_after_all_that_was_done_to_it(make: Make, run: Run) -> None:
    path = make()
    pin = VirtualCard.open(path).image.pin
    assert len(ids(run(path, "PIN"), "passed")) == 15
    assert VirtualCard.open(path).image.pin == pin


def test_who_knows_nothing_skips_and_fails_nothing(make: Make, run: Run) -> None:
    path = make()
    before = path.read_bytes()
    results = run(path, pin=None, roots={}, destructive=False)
    assert ids(results, "failed") == set()
    assert path.read_bytes() == before
    assert ids(results, "passed") >= {"ATR.region", "RECORD.SSSE_EF06", "SAFETY.DF04_EF05.closed", "PARAM.fci"}
    reasons = {result.case.id: result.reason.missing for result in results if result.reason is not None}
    assert reasons["RECORD.DF04_EF05"] == "PIN or RK1DF04"
    assert reasons["SAFETY.DF04_EF06.PIN+RK1DF04"] == "PIN and RK1DF04"
    assert reasons["CHALLENGE.internal"] == "IRK"
    assert reasons["BLOCK.card"] == DESTRUCTIVE


@pytest.mark.parametrize("tries", [0, 1, 2])
def test_the_last_try_is_never_used(make: Make, run: Run, tries: int) -> None:
    path = make(pin_tries=tries)
    before = VirtualCard.open(path).image.pin
    results = run(path, "SAFETY PIN FIREWALL", pin=b"135791")
    after = VirtualCard.open(path).image.pin
    assert before is not None
    assert after is not None
    assert after.tries == min(tries, 1)
    assert ids(results, "skipped") >= {"PIN.wrong", "PIN.counter_restored", "PIN.lock"}


def test_a_card_without_pin_is_not_judged_by_it(make: Make, run: Run) -> None:
    results = run(make(pin=None))
    assert ids(results, "failed") == set()
    assert ids(results, "skipped") >= {"PIN.wrong", "PIN.lock", "SAFETY.DF04_EF05.closed", "SAFETY.pin_ends_at_reset"}


def test_a_key_that_the_card_refuses_is_tried_once(make: Make, run: Run) -> None:
    path = make()
    tables = card_files("2.00")
    wrong = {key.name: (bytes(key.length(tables.algorithm)),) for key in tables.keys.rows}
    results = run(path, roots=wrong, destructive=False)
    assert {key.tries for key in VirtualCard.open(path).image.keys.values()} == {2, 3}
    assert ids(results, "failed") >= {"CHALLENGE.internal", "KEY_VER.DF07"}
    refused = [result.reason for result in results if result.case.id == "SAFETY.SSSE_EF07.RKSSSE"]
    assert "RKSSSE" in str(refused)


def test_files_that_a_card_lacks_are_skipped(make: Make, run: Run) -> None:
    path = make()
    image = VirtualCard.open(path).image
    files = {name: records for name, records in image.files.items() if not name.startswith(("DF07", "DF01 EF0A"))}
    VirtualCard.create(path, msgspec.structs.replace(image, files=files))
    results = run(path)
    assert ids(results, "failed") == set()
    assert ids(results, "skipped") >= {"RECORD.DF07_EF05", "RECORD.DF01_EF0A", "SAFETY.DF07_EF06.closed"}


def test_the_blocks_are_for_ever(make: Make, run: Run) -> None:
    path = make()
    run(path, "BLOCK")
    card = VirtualCard.open(path)
    assert (card.image.blocked, card.image.card_blocked) == (("DF04", "DF03"), True)


def test_a_wrong_pin_is_tried_once(make: Make, run: Run) -> None:
    path = make()
    results = run(path, pin=b"135791", destructive=False)
    pin = VirtualCard.open(path).image.pin
    assert pin is not None
    assert pin.tries == 2
    assert ids(results, "failed") == {"PIN.right"}


def test_a_check_that_cannot_restore_still_fails(make: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def mute_after_wrong(card: FaultyCard, command: CommandApdu) -> ResponseApdu:
        if any(step.answer.sw == 0x63C3 and step.command.data for step in card.since_reset):
            return ResponseApdu(b"", 0x6F00)
        answer = card.perform(command)
        wrong = command.ins == 0x20 and command.data and answer.sw != 0x9000
        return ResponseApdu(b"", 0x63C3) if wrong else answer

    def opened(path: Path) -> FaultyCard:
        card = VirtualCard.open(path)
        return FaultyCard(card, card.tables, Fault("mute", "", "", mute_after_wrong))

    monkeypatch.setattr("host_bridge.readers.virtual.chip_at", opened)
    results = {result.case.id: result for result in run(make(), "PIN", destructive=False)}
    assert results["PIN.wrong"].finding == ("VERIFY 0020000003", "63C2", "63C3")


class FollowingReader(VirtualReader):
    """A reader that fetches what `61xx` announces and repeats with the length of `6Cxx`, as some drivers do."""

    def connect(self) -> T0FollowUp:  # type: ignore[override]
        return T0FollowUp(super().connect())


def test_a_reader_that_follows_up_by_itself(make: Make, run: Run) -> None:
    results = run(make(), reader=FollowingReader)
    assert ids(results, "failed") == set()
    assert ids(results, "skipped") == {"RECORD.true_length", "PARAM.nothing_waiting"}
