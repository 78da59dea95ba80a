"""The serial driver in front of the real firmware, under MicroPython and CPython."""

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.processes import wait_until
from host_bridge.readers.reader import CardConnection, ReaderUnavailable
from host_bridge.readers.serial import SerialReader
from host_bridge.readers.serial_link import Port, open_port
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.status import SW_AUTHENTICATION_BLOCKED, SW_SUCCESS
from tests.host_bridge.readers.conftest import READ_VERSION, VERSION, WRONG_PIN, StartReader, pin_of

SELECT_SSSE = CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))
FCI = bytes.fromhex("6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860103")
"""Selection reply of `ssc-card.md 3.1`; its last byte is the card's algorithm."""


def converse(connection: CardConnection) -> None:
    """SELECT, GET RESPONSE, wrong Le, READ RECORD: each with the one right answer."""
    assert connection.transmit(SELECT_SSSE) == ResponseApdu(b"", 0x611E)
    fci = connection.transmit(CommandApdu(0x00, 0xC0, 0, 0, le=0x1E))
    assert (fci.data[:-1], fci.sw) == (FCI[:-1], SW_SUCCESS)
    assert connection.transmit(CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=256)) == ResponseApdu(b"", 0x6C06)
    assert connection.transmit(READ_VERSION) == VERSION


@pytest.fixture
def reader(start_reader: StartReader, link: Path) -> SerialReader:
    start_reader()
    return SerialReader(str(link), silence_s=3.0)


def test_a_card_through_the_whole_reader(reader: SerialReader, slot_folder: Path) -> None:
    atr = VirtualCard.open(slot_folder / "employee.card").reset()
    assert reader.card_present()
    connection = reader.connect()
    assert connection.atr.to_bytes() == atr
    converse(connection)
    assert connection.transmit(WRONG_PIN).sw == 0x63C2
    assert connection.reset().to_bytes() == atr
    converse(connection)
    connection.disconnect()
    connection.disconnect()
    reader.close()
    reader.close()
    assert reader.card_present()
    reader.close()


def test_a_slot_the_reader_does_not_have(start_reader: StartReader, link: Path) -> None:
    start_reader()
    reader = SerialReader(str(link), 1)
    for call in (reader.card_present, reader.connect):
        with pytest.raises(ReaderUnavailable):
            call()
    reader.close()


def test_no_reader_at_the_path(link: Path) -> None:
    reader = SerialReader(str(link))
    with pytest.raises(ReaderUnavailable):
        reader.card_present()


def test_a_killed_firmware_is_unavailable_within_the_limits(start_reader: StartReader, link: Path) -> None:
    process = start_reader()
    reader = SerialReader(str(link), silence_s=0.2)
    assert reader.card_present()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ReaderUnavailable):
        reader.card_present()
    reader.close()


def test_a_stopped_firmware_is_unavailable_and_late_answers_are_dropped(start_reader: StartReader, link: Path) -> None:
    process = start_reader()
    reader = SerialReader(str(link), silence_s=0.2)
    connection = reader.connect()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(ReaderUnavailable):
        connection.transmit(SELECT_SSSE)
    os.kill(process.pid, signal.SIGCONT)

    def back() -> bool:
        try:
            return reader.card_present()
        except ReaderUnavailable:
            return False

    wait_until("the reader", back)
    converse(reader.connect())
    reader.close()


def test_threads_share_one_reader(reader: SerialReader) -> None:
    connection = reader.connect()
    connection.transmit(SELECT_SSSE)
    wrong: list[object] = []

    def work(number: int) -> None:
        for _ in range(20):
            try:
                if number % 2:
                    assert reader.card_present()
                else:
                    read = connection.transmit(READ_VERSION)
                    assert read == VERSION
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    reader.close()


class Hostility(NamedTuple):
    """Per byte: chance to be lost, to be changed, to be preceded by noise; and how many bytes come at once."""

    lost: float = 0.0
    changed: float = 0.0
    noise: float = 0.0
    at_once: int = 4096
    delay_s: float = 0.0


class HostilePort:
    """A port between driver and firmware that does to both directions what a bad line does."""

    def __init__(self, port: Port, hostility: Hostility, chance: random.Random) -> None:
        self._port, self._hostility, self._chance = port, hostility, chance
        self._waiting = bytearray()

    @property
    def in_waiting(self) -> int:
        return min(len(self._waiting) + self._port.in_waiting, self._hostility.at_once)

    def read(self, size: int = 1) -> bytes:
        size = min(size, self._hostility.at_once)
        if not self._waiting:
            self._waiting += self._worsen(self._port.read(size))
            time.sleep(self._hostility.delay_s)
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken

    def write(self, data: bytes, /) -> int:
        worse = self._worsen(data)
        for at in range(0, len(worse), self._hostility.at_once):
            self._port.write(worse[at : at + self._hostility.at_once])
            time.sleep(self._hostility.delay_s)
        return len(data)

    def reset_input_buffer(self) -> None:
        self._waiting.clear()
        self._port.reset_input_buffer()

    def close(self) -> None:
        self._port.close()

    def _worsen(self, data: bytes) -> bytes:
        found = bytearray()
        for byte in data:
            if self._chance.random() < self._hostility.noise:
                found += self._chance.randbytes(self._chance.randint(1, 12))
            if self._chance.random() < self._hostility.lost:
                continue
            changes = self._chance.random() < self._hostility.changed
            found.append(byte ^ self._chance.randint(1, 255) if changes else byte)
        return bytes(found)


HOSTILITIES = {
    "one byte at a time": Hostility(at_once=1),
    "delayed": Hostility(at_once=7, delay_s=0.004),
    "lossy": Hostility(lost=0.004),
    "corrupted": Hostility(changed=0.004),
    "noisy": Hostility(noise=0.01),
    "all of it": Hostility(lost=0.001, changed=0.001, noise=0.002, at_once=5, delay_s=0.001),
}


@pytest.mark.parametrize("name", HOSTILITIES)
def test_a_bad_line_gives_right_answers_or_none_and_uses_no_try_twice(
    start_reader: StartReader, link: Path, slot_folder: Path, name: str
) -> None:
    start_reader()
    chance = random.Random(20260101)
    reader = SerialReader(
        str(link), silence_s=0.6, open_port=lambda path: HostilePort(open_port(path), HOSTILITIES[name], chance)
    )
    card = slot_folder / "employee.card"
    asked = answered = conversations = 0
    while conversations < 3 or answered < 2:
        assert conversations < 60, "the line is too bad to be a test"
        conversations += 1
        try:
            connection = reader.connect()
            converse(connection)
            before = pin_of(card).tries
            if before == 0:
                break
            asked += 1
            response = connection.transmit(WRONG_PIN)
        except ReaderUnavailable:
            continue
        answered += 1
        assert response.sw == 0x63C0 | before - 1
        assert pin_of(card).tries == before - 1
    assert 3 - asked <= pin_of(card).tries <= 3 - answered
    reader.close()


def test_a_locked_card_says_so_through_the_reader(reader: SerialReader, slot_folder: Path) -> None:
    connection = reader.connect()
    answers = [connection.transmit(WRONG_PIN).sw for _ in range(4)]
    assert answers == [0x63C2, 0x63C1, 0x63C0, SW_AUTHENTICATION_BLOCKED]
    make_card(load_person(DEFAULT_PERSON), slot_folder / "employee.card")
    reader.close()
