"""A PIN from the reader's own keys to the chip, and nothing of it on the serial line."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.virtual import reader as reader_module
from hardware.virtual.keypad import VirtualKeypad
from hardware.virtual.processes import wait_until
from hardware.virtual.reader import MICROPYTHON
from host_bridge.card.errors import PinCancelled, PinForbidden, PinMismatch, PinWrong
from host_bridge.card.pin_entry import PinRules, change_at_pad, pad_of, verify_at_pad
from host_bridge.readers.reader import CardRemoved
from host_bridge.readers.serial import SerialReader
from host_bridge.readers.serial_link import Port, SerialLink, open_port
from host_bridge.readers.service import ReaderService, SerialEscapes
from host_bridge.readers.trace_command import exchanges_in
from protocols.ccid.keypad import GREEN
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.pad import SW_CANCELLED, PadLimits
from tests.host_bridge.readers.conftest import StartReader, opened, pin_of

ROOT = Path(__file__).parents[3]
NEW_PIN = "9753186"
RULES = PinRules(min_digits=6, forbidden=("000000", "888888"))


class Tap:
    """A port, and every byte that goes through it."""

    def __init__(self, path: str) -> None:
        self._port = open_port(path)
        self.sent, self.received = bytearray(), bytearray()

    @property
    def in_waiting(self) -> int:
        return self._port.in_waiting

    def read(self, size: int = 1) -> bytes:
        data = self._port.read(size)
        self.received += data
        return data

    def write(self, data: bytes, /) -> int | None:
        self.sent += data
        return self._port.write(data)

    def reset_input_buffer(self) -> None:
        self.received += self._port.read(self._port.in_waiting)

    def close(self) -> None:
        self._port.close()


class Line:
    """The host's reader with a tap on its serial line."""

    def __init__(self, path: str) -> None:
        self.taps: list[Tap] = []
        self.reader = SerialReader(path, silence_s=3.0, open_port=self._open)

    def _open(self, path: str) -> Port:
        self.taps.append(Tap(path))
        return self.taps[-1]

    def heard(self, pin: str) -> list[str]:
        """The codings in which four digits of this PIN, in a row, crossed the line in either direction."""
        found = []
        for data in [data for tap in self.taps for data in (tap.sent, tap.received)]:
            for i in range(len(pin) - 3):
                part = pin[i : i + 4]
                codings = {
                    "packed": part,
                    "reversed nibbles": part[1] + part[0] + part[3] + part[2],
                    "binary": "".join(f"0{digit}" for digit in part),
                    "ASCII": part.encode().hex(),
                    "ASCII of ASCII": part.encode().hex().encode().hex(),
                }
                codings |= {f"{name}, backwards": coded[::-1] for name, coded in codings.items()}
                found += [name for name, coded in codings.items() if coded in data.hex()]
        return found


@pytest.fixture
def keypad() -> VirtualKeypad:
    return VirtualKeypad(hold_s=0.006, gap_s=0.006, bounces=1)


@pytest.fixture
def line(start_reader: StartReader, link: Path, keypad: VirtualKeypad) -> Iterator[Line]:
    start_reader(keypad=keypad)
    found = Line(str(link))
    yield found
    found.reader.close()


def waits(keypad: VirtualKeypad) -> bool:
    return bool(keypad.lamps & GREEN)


def test_no_digit_crosses_the_line_while_a_pin_is_verified_and_changed(
    line: Line, keypad: VirtualKeypad, card: Path
) -> None:
    old = pin_of(card).digits
    session, pad = opened(line.reader)
    keypad.press(old, "ok")
    assert verify_at_pad(session, pad, RULES) is False
    assert session.read_file("DF04", "EF05")
    keypad.press(old, "ok", NEW_PIN, "ok", NEW_PIN, "ok")
    change_at_pad(session, pad, RULES)
    assert pin_of(card).digits == NEW_PIN
    keypad.press(old, "ok")
    with pytest.raises(PinWrong):
        verify_at_pad(session, pad, RULES)
    assert line.heard(old) == line.heard(NEW_PIN) == []
    assert len(line.taps) == 1
    assert line.heard("000000"), "the list of forbidden PINs crosses it, so the tap hears"


LEAKS = {
    "packed": "bytes(self._buffer[5:size])",
    "ASCII": "bytes([0x30 | digit for digit in digits])",
    "binary": "bytes(digits)",
    "reversed nibbles": "bytes([byte >> 4 | byte << 4 & 0xF0 for byte in self._buffer[5:size]])",
}


@pytest.fixture(params=LEAKS)
def leak(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The firmware of this test answers with the PIN before the status word, so coded."""
    coding: str = request.param
    for room in ("firmware", "protocols"):
        shutil.copytree(ROOT / room, tmp_path / "mutant" / room)
    file = tmp_path / "mutant/firmware/pin_pad.py"
    sound = file.read_text()
    fills, answers = "        size = request.fill(", "        answer = exchange("
    mutant = sound.replace(fills, f"        digits = list(pins[_NEW])\n{fills}")
    mutant = mutant.replace(answers, f"        answer = {LEAKS[coding]} + exchange(")
    assert mutant.count("digits = list") == mutant.count("+ exchange(") == 1
    file.write_text(mutant)
    monkeypatch.setattr(reader_module, "ROOT", tmp_path / "mutant")
    return coding


@pytest.mark.parametrize("interpreter", [MICROPYTHON], indirect=True)
def test_a_firmware_that_echoes_digits_is_heard(leak: str, line: Line, keypad: VirtualKeypad, card: Path) -> None:
    session, pad = opened(line.reader)
    keypad.press(pin_of(card).digits, "ok")
    verify_at_pad(session, pad, PinRules())
    assert leak in line.heard(pin_of(card).digits)


def test_a_trace_taken_meanwhile_has_the_command_but_neither_the_pin_nor_its_length(
    start_reader: StartReader, link: Path, keypad: VirtualKeypad, card: Path
) -> None:
    start_reader(keypad=keypad)
    shared = SerialLink(str(link), silence_s=3.0)
    reader, service = SerialReader(str(link), link=shared), ReaderService(SerialEscapes(shared))
    session, pad = opened(reader)
    service.start_trace(60)
    keypad.press(pin_of(card).digits, "ok")
    verify_at_pad(session, pad, RULES)
    (verify,) = [each for each in exchanges_in(service.trace()[1]) if each.has_pin]
    assert (verify.header, verify.masked, verify.sw.hex()) == ("00 20 00 00 **", True, "9000")
    assert verify.data_sent == bytes(1), "of any PIN"
    assert pin_of(card).digits not in repr(service.events())
    reader.close()


def test_what_the_holder_does_has_the_names_of_every_pad(line: Line, keypad: VirtualKeypad, card: Path) -> None:
    old = pin_of(card).digits
    session, pad = opened(line.reader)
    keypad.press("12", "cancel")
    with pytest.raises(PinCancelled):
        verify_at_pad(session, pad, RULES)
    keypad.press(old, "ok", "000000", "ok", "000000", "ok")
    with pytest.raises(PinForbidden):
        change_at_pad(session, pad, RULES)
    keypad.press(old, "ok", "975318", "ok", "975319", "ok")
    with pytest.raises(PinMismatch):
        change_at_pad(session, pad, RULES)
    assert pin_of(card).digits == old
    assert session.pin_tries() == 3


def test_a_default_pin_is_told(line: Line, keypad: VirtualKeypad, card: Path) -> None:
    session, pad = opened(line.reader)
    keypad.press(pin_of(card).digits, "ok")
    assert verify_at_pad(session, pad, PinRules(forbidden=("000000", pin_of(card).digits))) is True


def test_an_entry_ends_from_another_thread_and_the_reader_can_be_asked_meanwhile(
    line: Line, keypad: VirtualKeypad
) -> None:
    session, pad = opened(line.reader)
    ended = list[Exception]()

    def enter() -> None:
        try:
            verify_at_pad(session, pad, RULES)
        except PinCancelled as error:
            ended.append(error)

    pad.cancel()
    thread = threading.Thread(target=enter)
    thread.start()
    wait_until("the pad", lambda: waits(keypad))
    assert line.reader.card_present()
    pad.cancel()
    thread.join(10)
    assert [type(error) for error in ended] == [PinCancelled]
    assert session.pin_tries() == 3


def test_an_entry_can_be_ended_before_the_reader_hears_of_it(
    start_reader: StartReader, link: Path, keypad: VirtualKeypad
) -> None:
    start_reader(keypad=keypad)
    shared = SerialLink(str(link), silence_s=3.0)
    reader = SerialReader(str(link), link=shared)
    reader.connect()
    pad = reader.pin_pad
    assert pad is not None
    ended: list[int] = []
    header = CommandApdu(0x00, 0x20, 0x00, 0x00)
    thread = threading.Thread(target=lambda: ended.append(pad.verify(header, PadLimits(6, 12, 30)).sw))
    with shared.busy:  # as while another slot is at work
        thread.start()
        wait_until("the entry", lambda: pad.waiting)
        pad.cancel()
    thread.join(10)
    assert ended == [SW_CANCELLED]
    reader.close()


def test_taking_the_card_ends_an_entry(line: Line, keypad: VirtualKeypad, card: Path) -> None:
    session, pad = opened(line.reader)

    def take() -> None:
        wait_until("the pad", lambda: waits(keypad))
        card.unlink()

    thread = threading.Thread(target=take)
    thread.start()
    with pytest.raises(CardRemoved):
        verify_at_pad(session, pad, RULES)
    thread.join()
    assert not line.reader.card_present()


def test_a_reader_has_a_pad_once_it_has_said_so(start_reader: StartReader, link: Path, keypad: VirtualKeypad) -> None:
    reader = SerialReader(str(link), silence_s=3.0)
    assert pad_of(reader) is None
    process = start_reader()
    reader.connect()
    assert pad_of(reader) is None
    process.stop()
    start_reader(keypad=keypad)
    reader.close()
    reader.connect()
    assert pad_of(reader) is not None
    reader.close()
