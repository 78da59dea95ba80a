"""Cards that speak T=1 behind our firmware: stock pcscd and libccidtwin do the blocks (`reader.md A.5`, `B.5`)."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from hardware.virtual.card import VirtualCard
from hardware.virtual.card_commands import app as virtual_app
from hardware.virtual.line_faults import Fault
from hardware.virtual.people import DEFAULT_PERSON
from hardware.virtual.processes import wait_until
from host_bridge.card.commands import app as card_app
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import CardMute, Reader
from host_bridge.readers.serial import SerialReader
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from tests.host_bridge.readers.conftest import READ_VERSION, VERSION, StartReader
from tests.pcscd import Pcscd, card_present

SELECT_SSSE = CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))

IFSC_20 = bytes.fromhex("3B808131141531")
"""IFSC 20, BWI 1, CWI 5; 80 xor 81 xor 31 xor 14 xor 15 = 31."""
IFSC_20_CRC = bytes.fromhex("3B80817114150170")
LONG = CommandApdu(0x80, 0x10, 0, 0, bytes(range(200)))
LONG_ANSWER = ResponseApdu(bytes(range(255, -1, -1)), 0x9000)
LAST_ACKNOWLEDGED, ANSWER, CHAINED = 11, 12, 13
"""Blocks of the card, after its S(IFS) of two resets: ten of 20 bytes acknowledged, 254 bytes, the other four."""


class LongChip:
    """Takes 200 bytes and answers 256."""

    def __init__(self, atr: bytes) -> None:
        self._atr = atr

    def reset(self) -> bytes:
        return self._atr

    def takes_data(self, ins: int) -> bool:
        raise NotImplementedError("T=1 does not ask")

    def command(self, command: CommandApdu) -> ResponseApdu:
        return LONG_ANSWER if command == LONG else ResponseApdu(b"", 0x6F00)


Open = Callable[..., Reader]


@pytest.fixture
def open_long(daemon: Pcscd, start_reader: StartReader, link: Path) -> Iterator[Open]:
    """A reader of pcscd with a `LongChip` in it."""
    opened: list[Reader] = []

    def start(atr: bytes, *faults: Fault) -> Reader:
        start_reader(None, *faults, chip=LongChip(atr))
        name = daemon.start_serial(link, "GemPCTwin")
        wait_until("the card", lambda: card_present(name))
        opened.append(open_reader(f"pcsc:{name}"))
        return opened[-1]

    yield start
    for reader in opened:
        reader.close()


def test_a_card_reads_the_same_in_t1(daemon: Pcscd, start_reader: StartReader, link: Path, slot_folder: Path) -> None:
    card = slot_folder / "employee.card"
    plain = slot_folder.parent / card.name
    card.rename(plain)
    runner = CliRunner()
    assert runner.invoke(virtual_app, ["make", str(DEFAULT_PERSON), "-o", str(card), "--protocol", "1"]).exit_code == 0
    start_reader()
    name = daemon.start_serial(link, "GemPCTwin")
    wait_until("the card", lambda: card_present(name))
    with closing(open_reader(f"pcsc:{name}")) as reader:
        connection = reader.connect()
        for _ in range(2):
            assert connection.atr.to_bytes() == VirtualCard.open(card).reset()
            assert connection.transmit(SELECT_SSSE) == ResponseApdu(b"", 0x611E)
            assert connection.transmit(READ_VERSION) == VERSION
            connection.reset()
    readers = (f"pcsc:{name}", f"virtual:{plain}")
    read = [runner.invoke(card_app, ["read", "--reader", where, "--json"]) for where in readers]
    assert [result.exit_code for result in read] == [0, 0]
    assert read[0].stdout == read[1].stdout


class Noted(Fault, frozen=True):
    """Tells when it held."""

    held: ClassVar[list[int]] = []

    def holds(self, phases: int, speed: int, icc_class: int) -> bool:
        found = super().holds(phases, speed, icc_class)
        self.held.extend([phases] if found else [])
        return found


def block(does: str, number: int, **rest: object) -> Fault:
    """In one block of the card."""
    return Noted("block", does, spared=number, times=1, **rest)  # type: ignore[arg-type]


EXTENDED = Fault("command", "extend", count=10), block("pause", ANSWER + 1, ms=900)
"""Longer than the block waiting time of 0.18 s and what the board allows besides."""
HARMLESS = {
    "LRC": (IFSC_20, ()),
    "CRC": (IFSC_20_CRC, ()),
    "asks for time": (IFSC_20, EXTENDED),
    "an acknowledgement with a wrong LRC": (IFSC_20, (block("replace", LAST_ACKNOWLEDGED, at=3, characters="00"),)),
    "an answer with a wrong CRC": (IFSC_20_CRC, (block("replace", ANSWER, at=100, characters="55"),)),
    "a damaged character": (IFSC_20, (block("damage", ANSWER, at=100),)),
    "a lost character": (IFSC_20, (block("replace", ANSWER, at=100),)),
    "a damaged end of the chain": (IFSC_20, (block("damage", CHAINED, at=2),)),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_long_commands_and_answers_arrive_whole(open_long: Open, name: str) -> None:
    atr, faults = HARMLESS[name]
    Noted.held.clear()
    connection = open_long(atr, *faults).connect()
    assert connection.atr.to_bytes() == atr
    assert connection.transmit(LONG) == LONG_ANSWER
    assert Noted.held == [fault.spared for fault in faults if isinstance(fault, Noted)]
    assert connection.transmit(LONG) == LONG_ANSWER


def test_a_card_that_takes_long_without_asking_is_mute_and_works_anew(open_long: Open) -> None:
    reader = open_long(IFSC_20, block("pause", ANSWER, ms=900))
    with pytest.raises(CardMute):
        reader.connect().transmit(LONG)
    assert reader.connect().transmit(LONG) == LONG_ANSWER


def test_our_own_driver_says_that_it_speaks_t0(start_reader: StartReader) -> None:
    process = start_reader(None, chip=LongChip(IFSC_20))
    with closing(SerialReader(process.path)) as reader, pytest.raises(CardMute, match="T=0"):
        reader.connect()
