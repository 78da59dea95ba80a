"""The suite through the reader's firmware: the same cards, the same results."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hardware.virtual.chips import MARK, chip_at
from hardware.virtual.reader import ReaderProcess
from hardware.virtual.slot import VirtualSlot
from host_bridge.commands import card as app
from tests.host_bridge.conformance.conftest import PIN, Make

runner = CliRunner()


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    folder = tmp_path / "slot"
    folder.mkdir()
    return folder


@pytest.fixture
def reader(tmp_path: Path, slot: Path) -> Iterator[str]:
    """The address of a running reader; the card goes into its slot before."""
    link = tmp_path / "reader"
    process = ReaderProcess(VirtualSlot(slot, chip_at), link=link)
    process.start()
    yield f"serial:{link}"
    process.stop()


def conformance(reader: str, *options: str) -> dict[str, object]:
    command = ["conformance", "--reader", reader, "--keys", "simulated", "--destructive", "--json", *options]
    ran = runner.invoke(app, command, input=f"{PIN.decode()}\n")
    found = json.loads(ran.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.fixture
def right_card(make: Make, slot: Path) -> None:
    shutil.move(make(version="3.00"), slot / "right.card")


@pytest.fixture
def faulty_card(make: Make, slot: Path) -> None:
    shutil.move(make(), slot / f"faulty{MARK}challenge_twice.card")


@pytest.mark.usefixtures("right_card")
def test_a_right_card_passes_everything(reader: str) -> None:
    found = conformance(reader)
    assert (found["passed"], found["failed"], found["skipped"]) == (found["cases"], 0, 0)


@pytest.mark.usefixtures("faulty_card")
def test_a_faulty_card_fails_its_check(reader: str) -> None:
    results = conformance(reader, "--group", "CHALLENGE", "--group", "PARAM")["results"]
    assert isinstance(results, list)
    assert [result["id"] for result in results if result["outcome"] != "passed"] == ["CHALLENGE.once"]
