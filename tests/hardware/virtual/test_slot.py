"""The virtual slot, spoken to over its contact line."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, GALLERY, load_person, make_card
from hardware.virtual.slot import VirtualSlot
from protocols.iso7816.line import CHARACTER, CLK, CONTACTS, PRESENT, RUNNING, VCC, LineParser, characters, message

WITHIN_S = 10.0
IN, OUT = (PRESENT, 1), (PRESENT, 0)
SELECT_SSSE = bytes.fromhex("00A404000F 7378312E73682EC9E7BBE1B1A3D5CF")
WRONG_PIN = bytes.fromhex("0020000003 000000")
RIGHT_TRIES, WRONG_ONCE = 3, 2


class Line:
    """The reader's end of a contact line."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._parser = LineParser()
        self._found: list[tuple[int, int]] = []

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def next(self) -> tuple[int, int]:
        deadline = time.monotonic() + WITHIN_S
        while not self._found:
            assert time.monotonic() < deadline, "the slot says nothing"
            self._take(deadline - time.monotonic())
        return self._found.pop(0)

    def characters(self, count: int) -> bytes:
        found = [self.next() for _ in range(count)]
        assert {kind for kind, _ in found} <= {CHARACTER}
        return bytes(value for _, value in found)

    def silent(self, for_s: float = 0.2) -> bool:
        self._take(for_s)
        return not self._found

    def closed(self) -> bool:
        self._socket.settimeout(WITHIN_S)
        return self._socket.recv(1) == b""

    def set_contacts(self, *contacts: int) -> None:
        """Drops what comes before the slot's answer."""
        for value in contacts:
            self.send(message(CONTACTS, value))
            while self.next() != (CONTACTS, value):
                pass

    def reset(self) -> bytes:
        self.set_contacts(VCC, VCC | CLK, RUNNING)
        return self.characters(17)

    def command(self, header: bytes, data: bytes, count: int) -> bytes:
        self.send(characters(header))
        if data:
            assert self.characters(1) == header[1:2]
            self.send(characters(data))
        return self.characters(count)

    def _take(self, for_s: float) -> None:
        if select.select([self._socket], [], [], for_s)[0]:
            self._found += self._parser.feed(self._socket.recv(4096))


class Said(list[str]):
    """The sentences of the slot."""

    def wait(self, number: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not any(sentence.startswith(number) for sentence in self):
            assert time.monotonic() < deadline, self
            time.sleep(0.01)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card file that lies beside the slot."""
    path = tmp_path / "employee.card"
    make_card(load_person(DEFAULT_PERSON), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "slot"
    path.mkdir()
    return path


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def slot(folder: Path, said: Said) -> Iterator[VirtualSlot]:
    slot = VirtualSlot(folder, say=said.append)
    slot.start()
    yield slot
    slot.stop()


@pytest.fixture
def connect(slot: VirtualSlot) -> Iterator[Callable[[], Line]]:
    lines: list[Line] = []

    def open_line() -> Line:
        lines.append(Line(slot.address))
        return lines[-1]

    yield open_line
    for line in lines:
        line.close()


@pytest.fixture
def line(connect: Callable[[], Line]) -> Line:
    return connect()


def tries_in(path: Path) -> int:
    pin = VirtualCard.open(path).image.pin
    assert pin is not None
    return pin.tries


def test_a_file_moved_in_is_a_card_and_moved_out_none(line: Line, card: Path, folder: Path) -> None:
    assert line.next() == OUT
    for _ in range(3):
        card.rename(folder / card.name)
        assert line.next() == IN
        (folder / card.name).rename(card)
        assert line.next() == OUT


def test_hidden_and_other_files_are_no_cards(line: Line, card: Path, folder: Path) -> None:
    assert line.next() == OUT
    (folder / "notes.txt").write_text("no card")
    card.rename(folder / ".half.card")
    assert line.silent()


def test_the_chip_answers_once_power_clock_and_reset_are_on(line: Line, card: Path, folder: Path) -> None:
    atr = VirtualCard.open(card).reset()
    card.rename(folder / card.name)
    while line.next() != IN:
        pass
    line.set_contacts(VCC)
    line.set_contacts(VCC | CLK)
    assert line.silent()
    line.set_contacts(RUNNING)
    assert line.characters(len(atr)) == atr
    line.set_contacts(VCC | CLK)
    line.send(characters(SELECT_SSSE[:5]))
    assert line.silent()
    line.set_contacts(RUNNING)
    assert line.characters(len(atr)) == atr


def test_t0_with_procedure_byte_61_and_6c(line: Line, card: Path, folder: Path) -> None:
    card.rename(folder / card.name)
    while line.next() != IN:
        pass
    line.reset()
    assert line.command(SELECT_SSSE[:5], SELECT_SSSE[5:], 2) == bytes.fromhex("611E")
    assert line.command(bytes.fromhex("00C0000000"), b"", 2) == bytes.fromhex("6C1E")
    assert line.command(bytes.fromhex("00C000001E"), b"", 33)[0] == 0xC0
    assert line.command(bytes.fromhex("00B2032C06"), b"", 9) == bytes.fromhex("B20304322E30309000")
    assert line.command(bytes.fromhex("0020000000"), b"", 2) == bytes.fromhex("63C3")


def test_a_challenge_goes_out_and_a_proof_comes_in(line: Line, card: Path, folder: Path) -> None:
    card.rename(folder / card.name)
    while line.next() != IN:
        pass
    line.reset()
    challenge = line.command(bytes.fromhex("0084000008"), b"", 11)
    assert (challenge[0], challenge[9:]) == (0x84, b"\x90\x00")
    assert line.command(bytes.fromhex("0082000A10"), bytes(16), 2) == bytes.fromhex("63C2")
    assert VirtualCard.open(folder / card.name).image.keys["RKSSSE"].tries == WRONG_ONCE
    assert line.command(bytes.fromhex("0088000010"), bytes(16), 2) == bytes.fromhex("6108")
    assert line.command(bytes.fromhex("00C0000008"), b"", 11)[9:] == b"\x90\x00"


def test_a_wrong_pin_is_in_the_file_before_the_answer(line: Line, card: Path, folder: Path) -> None:
    card.rename(folder / card.name)
    while line.next() != IN:
        pass
    line.reset()
    assert line.command(WRONG_PIN[:5], WRONG_PIN[5:], 2) == bytes.fromhex("63C2")
    assert tries_in(folder / card.name) == WRONG_ONCE
    assert line.silent(), "its own writing is no other card"


def test_a_card_pulled_in_the_command_answers_nothing_and_stays_away(line: Line, card: Path, folder: Path) -> None:
    card.rename(folder / card.name)
    while line.next() != IN:
        pass
    line.reset()
    line.send(characters(WRONG_PIN[:5]))
    assert line.characters(1) == WRONG_PIN[1:2]
    (folder / card.name).rename(card)
    line.send(characters(WRONG_PIN[5:]))
    assert line.next() == OUT
    assert line.silent()
    assert tries_in(card) == RIGHT_TRIES
    assert list(folder.iterdir()) == []


def test_another_card_under_the_same_name_is_another_card(line: Line, card: Path, folder: Path) -> None:
    other = card.with_name("other.card")
    make_card(load_person(GALLERY / "retired.toml"), other)
    card.rename(folder / card.name)
    while line.next() != IN:
        pass
    first = line.reset()
    other.replace(folder / card.name)
    assert [line.next(), line.next()] == [OUT, IN]
    assert line.reset() != first


def test_a_card_put_in_under_power_hears_nothing_before_its_reset(line: Line, card: Path, folder: Path) -> None:
    card.rename(folder / card.name)
    while line.next() != IN:
        pass
    line.reset()
    (folder / card.name).rename(card)
    assert line.next() == OUT
    card.rename(folder / card.name)
    assert line.next() == IN
    line.send(characters(WRONG_PIN))
    assert line.silent()
    assert tries_in(folder / card.name) == RIGHT_TRIES
    line.set_contacts(VCC | CLK, RUNNING)
    assert len(line.characters(17)) == 17


def test_two_cards_are_none_and_it_says_so(line: Line, card: Path, folder: Path, said: Said) -> None:
    other = card.with_name("other.card")
    make_card(load_person(DEFAULT_PERSON), other)
    assert line.next() == OUT
    card.rename(folder / card.name)
    assert line.next() == IN
    other.rename(folder / other.name)
    assert line.next() == OUT
    said.wait("R-002")
    (folder / card.name).unlink()
    assert line.next() == IN


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}', b"\xff" * 100])
def test_a_file_that_makes_no_card_is_none_until_it_is_whole(
    line: Line, card: Path, folder: Path, said: Said, content: bytes
) -> None:
    assert line.next() == OUT
    (folder / card.name).write_bytes(content)
    said.wait("R-003")
    assert line.silent()
    (folder / card.name).write_bytes(card.read_bytes())
    assert line.next() == IN


def test_the_next_client_finds_the_card(connect: Callable[[], Line], card: Path, folder: Path) -> None:
    card.rename(folder / card.name)
    first = connect()
    while first.next() != IN:
        pass
    first.send(b"\x77\x00")
    assert first.closed()
    second = connect()
    assert second.next() == IN
    assert len(second.reset()) == 17


def test_a_folder_that_goes_away_is_an_empty_slot(line: Line, card: Path, folder: Path) -> None:
    card.rename(folder / card.name)
    while line.next() != IN:
        pass
    folder.rename(folder.with_name("elsewhere"))
    assert line.next() == OUT


def test_a_file_that_is_no_text_is_refused_and_the_next_card_served(
    folder: Path, card: Path, line: Line, said: Said
) -> None:
    assert line.next() == OUT
    broken = folder / "broken.card"
    broken.write_bytes(card.read_bytes().replace(b"2.00", b"2.\xff0"))
    said.wait("R-003")
    broken.unlink()
    card.rename(folder / card.name)
    assert line.next() == IN


def test_a_chip_that_fails_in_its_own_way_leaves_the_slot_alive(folder: Path, card: Path, said: Said) -> None:
    def fail(path: Path) -> VirtualCard:
        raise ZeroDivisionError

    slot = VirtualSlot(folder, fail, said.append)
    slot.start()
    try:
        card.rename(folder / card.name)
        said.wait("R-003")
        assert "ZeroDivisionError" in said[0]
        line = Line(slot.address)
        assert line.next() == OUT
        line.close()
    finally:
        slot.stop()
