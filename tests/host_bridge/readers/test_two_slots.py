"""A reader with a slot for the card and one for a SAM: `serial:PATH` and `serial:PATH#1`."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.chips import chip_at
from hardware.virtual.people import GALLERY, load_person, make_card
from hardware.virtual.reader import ReaderProcess
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import sam_image
from hardware.virtual.slot import VirtualSlot
from host_bridge.card.sam_module import SamModule
from host_bridge.card.session import CardSession
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import CardConnection, CardRemoved, NoCard, Reader, ReaderInUse, ReaderUnavailable
from host_bridge.readers.serial import SerialReader
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from tests.host_bridge.readers.conftest import READ_VERSION, VERSION, WRONG_PIN, pin_of

SELECT_SSSE = CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))


@pytest.fixture
def process(interpreter: str, slot_folder: Path, sam_folder: Path, link: Path) -> Iterator[ReaderProcess]:
    process = ReaderProcess(VirtualSlot(slot_folder), VirtualSlot(sam_folder), link=link, interpreter=interpreter)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def readers(process: ReaderProcess, link: Path) -> Iterator[tuple[Reader, Reader]]:
    first, second = open_reader(f"serial:{link}"), open_reader(f"serial:{link}#1")
    yield first, second
    first.close()
    second.close()


def test_each_slot_has_its_own_card(readers: tuple[Reader, Reader], slot_folder: Path, sam_folder: Path) -> None:
    atrs = [VirtualCard.open(path).reset() for path in (slot_folder / "employee.card", sam_folder / "retired.card")]
    assert atrs[0] != atrs[1]
    card, sam = (reader.connect() for reader in readers)
    assert [card.atr.to_bytes(), sam.atr.to_bytes()] == atrs
    for _ in range(3):
        assert card.transmit(SELECT_SSSE) == ResponseApdu(b"", 0x611E)
        assert sam.transmit(READ_VERSION) == VERSION
    assert sam.transmit(WRONG_PIN).sw == 0x63C2
    assert pin_of(slot_folder / "employee.card").tries == 3
    assert pin_of(sam_folder / "retired.card").tries == 2
    card.disconnect()
    assert sam.transmit(READ_VERSION) == VERSION


def test_a_card_that_leaves_one_slot_leaves_the_other_alone(readers: tuple[Reader, Reader], slot_folder: Path) -> None:
    card, sam = (reader.connect() for reader in readers)
    (slot_folder / "employee.card").rename(slot_folder.parent / "employee.card")
    with pytest.raises(CardRemoved):
        card.transmit(SELECT_SSSE)
    assert [reader.card_present() for reader in readers] == [False, True]
    with pytest.raises(NoCard):
        readers[0].connect()
    assert sam.transmit(READ_VERSION) == VERSION


def test_the_port_is_held_until_no_slot_needs_it(readers: tuple[Reader, Reader], link: Path) -> None:
    first, second = readers
    sam = second.connect()
    assert first.card_present()
    first.close()
    assert sam.transmit(READ_VERSION) == VERSION
    with contextlib.closing(SerialReader(str(link))) as stranger:
        with pytest.raises(ReaderInUse):
            stranger.card_present()
        second.close()
        assert stranger.card_present()


def test_there_is_no_third_slot(readers: tuple[Reader, Reader], link: Path) -> None:
    third = open_reader(f"serial:{link}#2")
    for call in (third.card_present, third.connect):
        with pytest.raises(ReaderUnavailable, match="no such slot"):
            call()
    third.close()


def test_a_lost_port_ends_the_connections_of_both(process: ReaderProcess, readers: tuple[Reader, Reader]) -> None:
    connections = [reader.connect() for reader in readers]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    for connection in (*connections, *connections):
        with pytest.raises(ReaderUnavailable):
            connection.transmit(READ_VERSION)


def test_two_threads_use_a_slot_each(readers: tuple[Reader, Reader]) -> None:
    wrong: list[Exception] = []

    def work(connection: CardConnection) -> None:
        try:
            for _ in range(30):
                assert connection.transmit(READ_VERSION) == VERSION
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(reader.connect(),)) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_3_00_card_is_read_through_a_module_in_the_second_slot(
    interpreter: str, slot_folder: Path, tmp_path: Path, link: Path
) -> None:
    """ssc-card.md 9.2 and 6.5, both over the reader's firmware."""
    for card in slot_folder.iterdir():
        card.unlink()
    make_card(load_person(GALLERY / "version_3.toml"), slot_folder / "version_3.card")
    modules = tmp_path / "modules"
    modules.mkdir()
    VirtualSam.create(
        modules / "level_1.sam", sam_image(load_person(GALLERY / "version_3.toml").card.region, 1, "counter")
    )
    slots = VirtualSlot(slot_folder, chip_at), VirtualSlot(modules, chip_at)
    process = ReaderProcess(*slots, link=link, interpreter=interpreter)
    process.start()
    try:
        reader, module = open_reader(f"serial:{link}"), SamModule(open_reader(f"serial:{link}#1"))
        holder = CardSession(reader.connect(), module).read_holder()
        assert holder.certno.startswith("99")
        module.close()
        reader.close()
    finally:
        process.stop()
