"""A virtual card at the far end of vpcd's wire (reader.md C.4)."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, load_person, make_card
from hardware.virtual.processes import SSC, free_port
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import sam_image
from hardware.virtual.vpcd import VpcdError, VpcdSlot
from protocols.iso7816.apdu import CommandApdu, ResponseApdu

OFF, ON, RESET, ATR = b"\0", b"\1", b"\2", b"\4"
SELECT_SSSE = bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF")
READ_VERSION = bytes.fromhex("00B2032C06")
READ_CURRENT = bytes.fromhex("00B2030406")
WRONG_PIN = bytes.fromhex("0020000003000000")


class Driver:
    """What vpcd does: waits for a card, then asks."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(20)
        self.port: int = self._listener.getsockname()[1]
        self.card = socket.socket()

    def take_card(self) -> None:
        self.card, _ = self._listener.accept()
        self.card.settimeout(20)

    def send(self, message: bytes) -> None:
        self.card.sendall(len(message).to_bytes(2, "big") + message)

    def receive(self) -> bytes:
        return self._exactly(int.from_bytes(self._exactly(2), "big"))

    def ask(self, message: bytes) -> bytes:
        self.send(message)
        return self.receive()

    def close(self) -> None:
        self.card.close()
        self._listener.close()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.card.recv(size - len(data))
            assert more
            data += more
        return data


@pytest.fixture
def card_file(tmp_path: Path) -> Path:
    path = tmp_path / "employee.card"
    make_card(load_person(DEFAULT_PERSON), path)
    return path


@pytest.fixture
def driver() -> Iterator[Driver]:
    opened = Driver()
    yield opened
    opened.close()


@pytest.fixture
def inserted(driver: Driver, card_file: Path) -> Iterator[Driver]:
    """The driver with the card in it."""
    with VpcdSlot(VirtualCard.open(card_file), "127.0.0.1", driver.port) as slot:
        thread = threading.Thread(target=slot.run)
        thread.start()
        driver.take_card()
        yield driver
        slot.close()
        thread.join()


def test_only_the_atr_and_apdus_are_answered(inserted: Driver, card_file: Path) -> None:
    atr = VirtualCard.open(card_file).reset()
    for message in (OFF, ON, RESET):
        inserted.send(message)
    assert inserted.ask(ATR) == atr
    assert inserted.ask(SELECT_SSSE) == bytes.fromhex("611E")
    assert inserted.ask(READ_VERSION) == bytes.fromhex("0304322E30309000")


@pytest.mark.parametrize("message", [ON, RESET])
def test_power_and_reset_forget_what_was_selected_and_the_question_for_the_atr_does_not(
    inserted: Driver, message: bytes
) -> None:
    inserted.ask(READ_VERSION)
    inserted.ask(ATR)
    assert inserted.ask(READ_CURRENT) == bytes.fromhex("0304322E30309000")
    inserted.send(message)
    assert inserted.ask(READ_CURRENT) == bytes.fromhex("6986")


def test_le_beside_data_is_not_the_cards_business(inserted: Driver) -> None:
    """Case 4: the answer is announced and fetched, with Le and without."""
    assert inserted.ask(SELECT_SSSE + b"\0") == inserted.ask(SELECT_SSSE) == bytes.fromhex("611E")
    assert len(inserted.ask(bytes.fromhex("00C000001E"))) == 0x1E + 2


def test_a_message_may_come_in_pieces(inserted: Driver) -> None:
    for byte in len(SELECT_SSSE).to_bytes(2, "big") + SELECT_SSSE:
        inserted.card.sendall(bytes([byte]))
    assert inserted.receive() == bytes.fromhex("611E")


def test_the_try_counter_is_in_the_file_before_the_answer_is_here(inserted: Driver, card_file: Path) -> None:
    assert inserted.ask(WRONG_PIN) == bytes.fromhex("63C2")
    pin = VirtualCard.open(card_file).image.pin
    assert pin is not None
    assert pin.tries == 2


class Echo:
    """A chip that notes what reaches it."""

    def __init__(self) -> None:
        self.commands: list[CommandApdu] = []

    def reset(self) -> bytes:
        return b"\x3b\x00"

    def takes_data(self, ins: int) -> bool:
        return False

    def command(self, command: CommandApdu) -> ResponseApdu:
        self.commands.append(command)
        return ResponseApdu(b"", 0x9000)


@given(st.binary(min_size=2, max_size=300))
def test_whatever_comes_is_answered_and_only_commands_reach_the_chip(apdu: bytes) -> None:
    driver, chip = Driver(), Echo()
    with VpcdSlot(chip, "127.0.0.1", driver.port) as slot:
        thread = threading.Thread(target=slot.run)
        thread.start()
        driver.take_card()
        answer = driver.ask(apdu)
        driver.close()
        thread.join()
    if answer == bytes.fromhex("6700"):
        assert chip.commands == []
    else:
        (command,) = chip.commands
        assert answer == bytes.fromhex("9000")
        assert apdu.startswith(command.to_tpdu()[:4])
        assert not (command.data and command.le)


def test_no_reader_there_is_said(card_file: Path) -> None:
    with pytest.raises(VpcdError):
        VpcdSlot(VirtualCard.open(card_file), "127.0.0.1", free_port())


def run(card_file: Path, address: str) -> subprocess.Popen[str]:
    command = [SSC, "virtual", "card", "run", str(card_file), "--vpcd", address]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_puts_the_card_in_and_its_end_takes_it_out(driver: Driver, card_file: Path) -> None:
    process = run(card_file, f"127.0.0.1:{driver.port}")
    driver.take_card()
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"ready": True, "vpcd": f"127.0.0.1:{driver.port}"}
    assert driver.ask(SELECT_SSSE) == bytes.fromhex("611E")
    process.send_signal(signal.SIGTERM)
    assert driver.card.recv(1) == b""
    assert process.communicate()[1] == ""
    assert process.returncode == 0


def test_a_security_module_is_put_in_too(driver: Driver, tmp_path: Path) -> None:
    module = VirtualSam.create(tmp_path / "counter.sam", sam_image("990100", 3, "counter"))
    command = [SSC, "virtual", "sam", "run", str(module.path), "--vpcd", f"127.0.0.1:{driver.port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    driver.take_card()
    assert driver.ask(ATR).hex().upper() == module.image.atr
    assert driver.ask(SELECT_SSSE)[0] == 0x61
    process.send_signal(signal.SIGTERM)
    assert process.communicate()[1] == ""
    assert process.returncode == 0


def test_the_command_says_why_the_card_is_in_no_reader(driver: Driver, card_file: Path) -> None:
    alone = run(card_file, f"127.0.0.1:{free_port()}")
    assert "R-006" in alone.communicate()[1]
    assert alone.returncode == 1
    left = run(card_file, f"127.0.0.1:{driver.port}")
    driver.take_card()
    driver.card.close()
    assert "R-006" in left.communicate()[1]
    assert left.returncode == 1
    wrong = run(card_file, "somewhere")
    assert "HOST:PORT" in wrong.communicate()[1]
    assert wrong.returncode == 2


def test_a_card_file_that_is_gone_is_a_card_that_is_out(driver: Driver, card_file: Path) -> None:
    process = run(card_file, f"127.0.0.1:{driver.port}")
    driver.take_card()
    driver.send(SELECT_SSSE)
    assert driver.receive() == bytes.fromhex("611E")
    card_file.unlink()
    driver.send(WRONG_PIN)
    assert driver.card.recv(1) == b""
    assert "R-003" in process.communicate()[1]
    assert process.returncode == 1
