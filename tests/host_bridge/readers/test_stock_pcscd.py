"""Our firmware behind stock pcscd and libccidtwin: foreign tools, our commands. What cards do there: `tests/rigs`."""

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hardware.virtual.card import VirtualCard
from hardware.virtual.processes import wait_until
from host_bridge.card.commands import app as card_app
from tests.host_bridge.readers.conftest import StartReader
from tests.pcscd import Pcscd, card_present

PROFILES = ("GemPCTwin", "GemPCPinPad")


@pytest.fixture(params=PROFILES)
def name(request: pytest.FixtureRequest, daemon: Pcscd, start_reader: StartReader, link: Path) -> str:
    """What pcscd calls our reader, with a card in it."""
    start_reader()
    name = daemon.start_serial(link, request.param)
    wait_until("the card", lambda: card_present(name))
    return name


def said_by(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout + done.stderr


def test_the_technicians_tools_see_reader_and_card(name: str, slot_folder: Path) -> None:
    atr = VirtualCard.open(slot_folder / "employee.card").reset()
    assert name in said_by("opensc-tool", "--list-readers")
    assert atr.hex(":") in said_by("opensc-tool", "--reader", name, "--atr").lower()
    sent = said_by("opensc-tool", "--reader", name, "--send-apdu", "00A404000F7378312E73682EC9E7BBE1B1A3D5CF")
    assert "SW1=0x61, SW2=0x1E" in sent or "SW1=0x90, SW2=0x00" in sent
    assert name in said_by("pcsc_scan", "-r")


def test_ssc_card_read_goes_through_pcscd(name: str) -> None:
    result = CliRunner().invoke(card_app, ["read", "--reader", f"pcsc:{name}", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["issuer"]["version"] == "2.00"
