import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.card_file import Pin
from hardware.virtual.card_side import Chip
from hardware.virtual.keypad import VirtualKeypad
from hardware.virtual.line_faults import Fault
from hardware.virtual.people import DEFAULT_PERSON, GALLERY, load_person, make_card
from hardware.virtual.reader import ReaderProcess
from hardware.virtual.slot import VirtualSlot
from host_bridge.card.pin_entry import PinPad, pad_of
from host_bridge.card.session import CardSession
from host_bridge.readers.reader import Reader
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from tests.firmware.rig import ChipWithAtr

StartReader = Callable[..., ReaderProcess]

READ_VERSION = CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=6)
VERSION = ResponseApdu(bytes.fromhex("0304322E3030"), 0x9000)
"""Of EF05 of a 2.00 card's SSSE."""
WRONG_PIN = CommandApdu(0x00, 0x20, 0, 0, b"\x00\x00\x00")


@pytest.fixture
def slot_folder(tmp_path: Path) -> Path:
    """The folder that is the slot, with a card in it."""
    folder = tmp_path / "slot"
    folder.mkdir()
    make_card(load_person(DEFAULT_PERSON), folder / "employee.card")
    return folder


@pytest.fixture
def card(slot_folder: Path) -> Path:
    """The file that is the card in the slot."""
    return slot_folder / "employee.card"


@pytest.fixture
def sam_folder(tmp_path: Path) -> Path:
    """The folder that is the second slot."""
    folder = tmp_path / "sam folder"
    folder.mkdir()
    make_card(load_person(GALLERY / "retired.toml"), folder / "retired.card")
    return folder


def opened(reader: Reader) -> tuple[CardSession, PinPad]:
    """The card in a reader with keys, and these."""
    session = CardSession(reader.connect())
    pad = pad_of(reader)
    assert pad is not None
    return session, pad


def pin_of(card: Path) -> Pin:
    """As the card file has it now."""
    pin = VirtualCard.open(card).image.pin
    assert pin is not None
    return pin


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """Where every reader of a test can be opened."""
    return tmp_path / "reader"


@pytest.fixture
def start_reader(interpreter: str, slot_folder: Path, link: Path) -> Iterator[StartReader]:
    with contextlib.ExitStack() as stack:

        def start(
            atr: bytes | None = None, *faults: Fault, chip: Chip | None = None, keypad: VirtualKeypad | None = None
        ) -> ReaderProcess:
            slot = VirtualSlot(slot_folder, lambda path: chip or ChipWithAtr(path, atr), faults=faults)
            process = ReaderProcess(slot, keypad=keypad, link=link, interpreter=interpreter)
            process.start()
            stack.callback(process.stop)
            return process

        yield start
