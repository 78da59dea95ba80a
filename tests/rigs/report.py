"""What the ladder adds to pytest: `--rig`, and which rungs are proven, on the terminal and in JUnit."""

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.rigs.rungs import EVERY_COMMIT, RUNGS, Rig, firmware_hash

RIG, FIRMWARE, SEED = "rig", "firmware", "seed"
"""Names of the JUnit properties of each test."""
RIG_TYPE = "rig_type"
"""The fixture that is the rig of a test."""
RUNG_OF_FOLDER = {"tests/firmware/pio": "pio", "tests/rigs/emulated": "emu"}
"""All tests below are on this rung, without a rig."""
OUTCOMES = ("passed", "failed", "error", "skipped")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ladder")
    group.addoption("--rig", action="append", choices=RUNGS, help="rung of the ladder; may be given several times")
    group.addoption("--device", metavar="SERIAL", help="serial number of the reader for --rig usb")
    group.addoption("--relay", metavar="PORT", help="serial port of the relay harness beside it")


def rungs_of(config: pytest.Config) -> tuple[str, ...]:
    """Those asked for, in the ladder's order."""
    asked = config.getoption("rig") or EVERY_COMMIT
    return tuple(rung for rung in RUNGS if rung in asked)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        rung = _rung_of(item)
        if rung:
            item.user_properties += [(RIG, rung), (SEED, config.getoption("randomly_seed", None))]
        if _folder_rung(item):
            item.user_properties.append((FIRMWARE, firmware_hash()))


def _folder_rung(item: pytest.Item) -> str:
    return next((rung for folder, rung in RUNG_OF_FOLDER.items() if item.nodeid.startswith(f"{folder}/")), "")


def _rung_of(item: pytest.Item) -> str:
    """ "" for a test that is on none."""
    rung = _folder_rung(item)
    if rung:
        return rung
    rig_type = getattr(item, "callspec", None) and item.callspec.params.get(RIG_TYPE)  # type: ignore[attr-defined]
    return rig_type.rung if isinstance(rig_type, type) and issubclass(rig_type, Rig) else ""


def lines(outcomes: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """One per rung, of (rung, outcome, firmware, reason of a skip) of every test; none where no test has a rung."""
    counts: dict[str, Counter[str]] = {rung: Counter() for rung in RUNGS}
    firmware: dict[str, set[str]] = {rung: set() for rung in RUNGS}
    reasons: dict[str, Counter[str]] = {rung: Counter() for rung in RUNGS}
    for rung, outcome, ran, reason in outcomes:
        counts[rung][outcome] += 1
        firmware[rung] |= {ran} - {""}
        if outcome == "skipped":
            reasons[rung][reason] += 1
    if not any(counts.values()):
        return []
    return [_line(rung, counts[rung], firmware[rung], reasons[rung]) for rung in RUNGS]


def _line(rung: str, counts: Counter[str], firmware: set[str], reasons: Counter[str]) -> str:
    bad = counts["failed"] or counts["error"]
    verdict = "FAILED" if bad else "proven" if counts["passed"] else "not proven"
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]) or "did not run"
    facts = [told, *(f"firmware {each}" for each in sorted(firmware)), *(f"{why} ({n})" for why, n in reasons.items())]
    return f"{rung:5} {verdict:11} {'; '.join(facts)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = []
    for outcome in OUTCOMES:
        for report in terminalreporter.stats.get(outcome, []):
            told = dict(getattr(report, "user_properties", ()))
            if RIG in told:
                why = report.longrepr[2] if outcome == "skipped" and isinstance(report.longrepr, tuple) else ""
                found.append((told[RIG], outcome, told.get(FIRMWARE, ""), why.removeprefix("Skipped: ")))
    told_lines = lines(found)
    if told_lines:
        terminalreporter.section("ladder")
        for line in told_lines:
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"seed  {config.getoption('randomly_seed', None)}")
