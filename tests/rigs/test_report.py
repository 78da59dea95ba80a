"""What the ladder says of itself: proven, not proven, failed; and in JUnit with rig, firmware and seed."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.rigs.report import lines
from tests.rigs.rungs import RUNGS, firmware_hash

ROOT = Path(__file__).parents[2]


def verdicts(*outcomes: tuple[str, str, str, str]) -> dict[str, str]:
    return {line.split()[0]: " ".join(line.split()[1:3]) for line in lines(outcomes)}


def test_a_rung_that_did_not_run_is_not_proven() -> None:
    told = verdicts(("sim", "passed", "", ""))
    assert list(told) == list(RUNGS)
    assert told.pop("sim").startswith("proven")
    assert set(told.values()) == {"not proven"}


def test_a_rung_where_everything_was_skipped_is_not_proven_and_says_why() -> None:
    (line,) = [line for line in lines([("emu", "skipped", "", "no SSC_UF2")] * 3) if line.startswith("emu")]
    assert "not proven" in line
    assert "no SSC_UF2 (3)" in line


@pytest.mark.parametrize("outcome", ["failed", "error"])
def test_one_failure_fails_the_rung(outcome: str) -> None:
    assert verdicts(*[("upy", "passed", "", "")] * 9, ("upy", outcome, "", ""))["upy"].startswith("FAILED")


def test_a_run_without_rigs_says_nothing() -> None:
    assert lines([]) == []


def climb(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "tests/rigs", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "SSC_UF2"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_the_run_is_written_with_rig_firmware_and_seed(tmp_path: Path) -> None:
    report = tmp_path / "rigs.xml"
    chosen = ("--rig", "sim", "--rig", "emu", "--rig", "usb", "-k", "test_any_card")
    said = climb(*chosen, "--randomly-seed", "7", "--junitxml", str(report))
    told = {line.split()[0]: line for line in said.splitlines() if line.split()[:1] and line.split()[0] in RUNGS}
    assert "proven      1 passed" in told["sim"]
    assert "not proven  2 skipped; no SSC_UF2" in told["emu"]
    assert "not proven  1 skipped; no --device SERIAL" in told["usb"]
    assert "not proven  did not run" in told["upy"]
    cases = {
        frozenset((each.get("name"), each.get("value")) for each in case.iter("property"))
        for case in ElementTree.parse(report).iter("testcase")  # noqa: S314 - ours
    }
    assert cases == {
        frozenset({("rig", "sim"), ("seed", "7"), ("firmware", "")}),
        frozenset({("rig", "emu"), ("seed", "7")}),
        frozenset({("rig", "usb"), ("seed", "7")}),
    }


def test_the_firmwares_hash_tells_its_files_apart_and_no_others(tmp_path: Path) -> None:
    seen = set()
    for path, text in (("firmware/main.py", "1"), ("firmware/main.py", "2"), ("protocols/ccid/new.py", "1")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        seen.add(firmware_hash.__wrapped__(tmp_path))
    (tmp_path / "protocols/texts.py").touch()
    seen.add(firmware_hash.__wrapped__(tmp_path))
    assert len(seen) == 3
