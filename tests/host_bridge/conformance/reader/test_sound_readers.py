"""A sound reader passes everything; what cannot be checked is skipped and says why."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.reader import CPYTHON
from hardware.virtual.test_card import TestCard
from host_bridge.commands import reader as app
from host_bridge.conformance.case import Result
from host_bridge.conformance.reader.bench import Bench, Effort
from host_bridge.conformance.reader.ccid_port import open_ccid_port
from host_bridge.conformance.reader.hands import FolderHand, PersonHand
from host_bridge.conformance.reader.suite import CASES, SUITE, run_cases
from host_bridge.readers.serial import SerialReader
from tests.host_bridge.conformance.reader.conftest import StartReader

runner = CliRunner()
FIRMWARE = "ssc-terminal reader "
EFFORT = Effort(resets=5, selects=50, statuses=10, moves=1, storm=10)


def conformance(address: str, *options: str, code: int = 0) -> dict[str, Any]:
    ran = runner.invoke(app, ["conformance", "--reader", address, "--json", *options])
    assert ran.exit_code == code, ran.output
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def ids(found: dict[str, Any], outcome: str) -> set[str]:
    return {result["id"] for result in found["results"] if result["outcome"] == outcome}


def missing(found: dict[str, Any]) -> dict[str, str]:
    return {result["id"]: result["reason"]["missing"] for result in found["results"] if result["outcome"] == "skipped"}


def run(path: str, slot_folder: Path) -> list[Result]:
    reader = SerialReader(path)
    bench = Bench(reader, lambda: open_ccid_port(path), FolderHand(slot_folder), EFFORT)
    bench.survey()
    results = list(run_cases(bench, CASES, seed=7))
    reader.close()
    return results


def test_our_firmware_passes_everything(start_reader: StartReader, interpreter: str, slot_folder: Path) -> None:
    results = run(start_reader(interpreter).path, slot_folder)
    assert [result for result in results if result.outcome != "passed"] == []
    assert {result.case.group for result in results} == set(SUITE.groups)


def test_another_card_is_only_reset_and_selected(start_reader: StartReader, slot_folder: Path) -> None:
    (slot_folder / "card.test").unlink()
    card = make_card(load_person(DEFAULT_PERSON), slot_folder / "employee.card")
    before = card.path.read_bytes()
    results = run(start_reader(CPYTHON).path, slot_folder)
    assert [result for result in results if result.outcome == "failed"] == []
    assert {result.reason.missing for result in results if result.reason} == {"test card"}
    assert {result.case.group for result in results if result.outcome == "passed"} == set(SUITE.groups) - {"T0", "CHAR"}
    assert card.path.read_bytes() == before


def test_a_test_card_without_contact_line_does_no_wrong(tmp_path: Path) -> None:
    TestCard.create(tmp_path / "card.test")
    found = conformance(f"virtual:{tmp_path / 'card.test'}")
    assert ids(found, "failed") == set()
    assert {"T0.case_1", "T0.case_4", "T0.wrong_length", "T0.any_status", "RESET.cold"} <= ids(found, "passed")
    lacks = missing(found)
    assert (lacks["T0.null"], lacks["CCID.status"], lacks["MOVE.seen"]) == ("contact line", "CCID", "hand")


def test_a_hundred_resets_and_a_thousand_selects(start_reader: StartReader, interpreter: str, tmp_path: Path) -> None:
    """As the command does them, with all its reports."""
    start_reader(interpreter)
    html, junit = tmp_path / "report.html", tmp_path / "report.xml"
    options = ("--group", "RESET", "--group", "SPEED", "--seed", "5", "--html", str(html), "--junit", str(junit))
    found = conformance(f"serial:{tmp_path / 'reader'}", *options)
    assert (found["passed"], found["seed"]) == (found["cases"], "5")
    assert found["firmware"].startswith(FIRMWARE)
    measured = {result["id"]: result.get("measured", "") for result in found["results"]}
    assert re.fullmatch(r"100 × \d+\.\d ms", measured["RESET.warm"])
    assert re.fullmatch(r"1000 × \d+\.\d\d ms, TA1 96", measured["SPEED.thousand"])
    assert (measured["SPEED.refused"], measured["SPEED.altered"]) == ("TA1 11", "TA1 95")
    root = ET.parse(junit).getroot()  # noqa: S314 - our own file
    assert root.get("name") == "ssc reader conformance"
    assert {each.get("value") for each in root.iter("property")} >= {"5", found["firmware"]}
    page = html.read_text()
    assert "读卡器一致性检查" in page
    assert found["firmware"] in page
    assert "TA1 96" in page


def test_a_reader_that_goes_away_has_failed_and_ends_nothing(start_reader: StartReader) -> None:
    process = start_reader(CPYTHON)
    reader = SerialReader(process.path)
    bench = Bench(reader, lambda: open_ccid_port(process.path), effort=EFFORT)
    bench.survey()
    process.stop()
    results = list(run_cases(bench, CASES, seed=7))
    reader.close()
    assert {result.outcome for result in results if "hand" not in result.case.needs} == {"failed"}
    assert all(result.finding for result in results if result.outcome == "failed")


def test_a_person_moves_the_card_when_asked(start_reader: StartReader, slot_folder: Path) -> None:
    path = start_reader(CPYTHON).path
    hands, asked = FolderHand(slot_folder), list[str]()

    def say(what: str) -> None:
        asked.append(what)
        hands.remove_after(0.05)

    def confirm(what: str) -> None:
        asked.append(what)
        hands.insert() if what.startswith("请插入") else hands.remove()
        hands.stay()

    reader = SerialReader(path)
    bench = Bench(reader, hand=PersonHand(say, confirm), effort=EFFORT)
    bench.survey()
    results = list(run_cases(bench, [case for case in CASES if case.group == "MOVE"], seed=7))
    reader.close()
    assert [result.outcome for result in results] == ["passed"] * 4
    assert len(set(asked)) == 3


def test_nobody_at_the_terminal_ends_the_run(start_reader: StartReader, tmp_path: Path) -> None:
    start_reader(CPYTHON)
    command = ["conformance", "--reader", f"serial:{tmp_path / 'reader'}", "--by-hand", "--group", "MOVE"]
    ran = runner.invoke(app, command, input="")
    assert (ran.exit_code, "nobody moves the card" in ran.output) == (2, True)


@pytest.mark.parametrize(
    "options",
    [
        ["--reader", "nonsense"],
        ["--reader", "virtual:/nowhere/none.card"],
        ["--reader", "serial:/nowhere/none"],
        ["--reader", "virtual:2.00", "--group", "PIN"],
        ["--reader", "virtual:2.00", "--slot-folder", "/nowhere"],
    ],
)
def test_what_cannot_begin_exits_with_2(options: list[str]) -> None:
    assert runner.invoke(app, ["conformance", *options]).exit_code == 2
