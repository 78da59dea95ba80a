"""Our firmware behind stock pcscd and libccidtwin: the rung `pcsc` over `upy` (design 4, `reader.md A`)."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hardware.virtual.card import VirtualCard
from hardware.virtual.line_faults import Fault
from hardware.virtual.processes import wait_until
from host_bridge.card.commands import app as card_app
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, Reader
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from tests.host_bridge.readers.conftest import StartReader
from tests.pcscd import Pcscd, card_present

PROFILES = ("GemPCTwin", "GemPCPinPad")
SELECT_SSSE = CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))
READ_VERSION = CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=6)
VERSION = ResponseApdu(bytes.fromhex("0304322E3030"), 0x9000)


@pytest.fixture(params=PROFILES)
def name(request: pytest.FixtureRequest, daemon: Pcscd, start_reader: StartReader, link: Path) -> str:
    """What pcscd calls our reader, with a card in it."""
    start_reader()
    name = daemon.start_serial(link, request.param)
    wait_until("the card", lambda: card_present(name))
    return name


@pytest.fixture
def reader(name: str) -> Iterator[Reader]:
    opened = open_reader(f"pcsc:{name}")
    yield opened
    opened.close()


def said_by(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout + done.stderr


def test_a_card_is_selected_read_and_reset(reader: Reader, slot_folder: Path) -> None:
    atr = VirtualCard.open(slot_folder / "employee.card").reset()
    connection = reader.connect()
    assert connection.atr.to_bytes() == atr
    for _ in range(3):
        assert connection.transmit(SELECT_SSSE) == ResponseApdu(b"", 0x611E)
        assert len(connection.transmit(CommandApdu(0x00, 0xC0, 0, 0, le=0x1E)).data) == 0x1E
        assert connection.transmit(CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=256)) == ResponseApdu(b"", 0x6C06)
        assert connection.transmit(READ_VERSION) == VERSION
        assert connection.reset().to_bytes() == atr


def test_a_card_pulled_and_put_back_is_noticed_and_works(reader: Reader, name: str, slot_folder: Path) -> None:
    card = slot_folder / "employee.card"
    for _ in range(3):
        connection = reader.connect()
        assert connection.transmit(SELECT_SSSE) == ResponseApdu(b"", 0x611E)
        card.rename(slot_folder.parent / card.name)
        wait_until("no card", lambda: not card_present(name))
        with pytest.raises(CardRemoved):
            connection.transmit(SELECT_SSSE)
        with pytest.raises(NoCard):
            reader.connect()
        (slot_folder.parent / card.name).rename(card)
        wait_until("the card", lambda: card_present(name))


def test_a_card_pulled_before_pcscd_looked_is_removed(reader: Reader, slot_folder: Path) -> None:
    connection = reader.connect()
    (slot_folder / "employee.card").rename(slot_folder.parent / "employee.card")
    with pytest.raises(CardRemoved):
        connection.transmit(SELECT_SSSE)


@pytest.mark.parametrize("atr", ["3B1096", "3B90961000", "3B1013"], ids=["TA1 96", "specific mode at 96", "TA1 13"])
def test_a_card_is_used_at_its_own_speed(daemon: Pcscd, start_reader: StartReader, link: Path, atr: str) -> None:
    """The virtual card hears nothing at another speed than it told or agreed on."""
    start_reader(bytes.fromhex(atr))
    name = daemon.start_serial(link, PROFILES[0])
    wait_until("the card", lambda: card_present(name))
    reader = open_reader(f"pcsc:{name}")
    for _ in range(2):
        connection = reader.connect()
        assert connection.atr.to_bytes().hex().upper() == atr
        assert connection.transmit(READ_VERSION) == VERSION
        connection.reset()
        assert connection.transmit(READ_VERSION) == VERSION
    reader.close()


SLOW = Fault("command", "pause", ms=1000), Fault("command", "pause", 4, ms=1000)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_slow_card_has_its_time(daemon: Pcscd, start_reader: StartReader, link: Path, profile: str) -> None:
    """Time bytes keep the driver waiting, also before and within the data."""
    start_reader(None, *SLOW)
    name = daemon.start_serial(link, profile)
    wait_until("the card", lambda: card_present(name))
    reader = open_reader(f"pcsc:{name}")
    connection = reader.connect()
    for _ in range(2):
        assert connection.transmit(READ_VERSION) == VERSION
    reader.close()


QUICKLY_MUTE = bytes.fromhex("3B804001")
"""WI 1: the card has a second for each character."""
PULLED, MUTE = Fault("command", "pull", 4), Fault("command", "mute", 4, times=1)


@pytest.mark.parametrize(("fault", "error"), [(PULLED, CardRemoved), (MUTE, CardMute)], ids=["pulled", "mute"])
def test_a_card_that_fails_within_its_answer(
    daemon: Pcscd, start_reader: StartReader, link: Path, fault: Fault, error: type[Exception]
) -> None:
    process = start_reader(QUICKLY_MUTE, fault)
    name = daemon.start_serial(link, PROFILES[0])
    wait_until("the card", lambda: card_present(name))
    reader = open_reader(f"pcsc:{name}")
    connection = reader.connect()
    with pytest.raises(error):
        connection.transmit(READ_VERSION)
    if error is CardMute:
        assert reader.connect().transmit(READ_VERSION) == VERSION
    reader.close()
    assert process.running()


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
