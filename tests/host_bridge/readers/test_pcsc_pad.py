"""A PIN at our reader's keys through stock pcscd and libccid's profile GemPCPinPad (`reader.md A.7`)."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.virtual.keypad import VirtualKeypad
from hardware.virtual.processes import wait_until
from hardware.virtual.reader import MICROPYTHON
from host_bridge.card.errors import PinCancelled, PinFormat, PinWrong
from host_bridge.card.pin_entry import PinRules, change_at_pad, pad_of, verify_at_pad
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.pcsc_service import MODIFY_PIN_DIRECT, VERIFY_PIN_DIRECT, PcscService
from host_bridge.readers.reader import CardRemoved, Reader
from protocols.ccid.keypad import GREEN
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.pad import PadLimits
from tests.host_bridge.readers.conftest import StartReader, opened, pin_of
from tests.pcscd import Pcscd, card_present

pytestmark = pytest.mark.parametrize("interpreter", [MICROPYTHON], indirect=True)
RULES = PinRules(min_digits=6, forbidden=("000000",))
NEW_PIN = "975318"
VERIFY = CommandApdu(0x00, 0x20, 0x00, 0x00)


@pytest.fixture
def reader(daemon: Pcscd, start_reader: StartReader, link: Path, keypad: VirtualKeypad) -> Iterator[Reader]:
    start_reader(keypad=keypad)
    name = daemon.start_serial(link, "GemPCPinPad")
    wait_until("the card", lambda: card_present(name))
    found = open_reader(f"pcsc:{name}")
    yield found
    found.close()


def test_a_pin_is_verified_and_changed_through_pcscd(reader: Reader, keypad: VirtualKeypad, card: Path) -> None:
    old = pin_of(card).digits
    session, pad = opened(reader)
    keypad.press("9999", "ok")
    with pytest.raises(PinWrong):
        verify_at_pad(session, pad, RULES)
    keypad.press(old, "ok")
    assert verify_at_pad(session, pad, RULES) is None, "the centre's word counts"
    assert session.read_file("DF04", "EF05")
    keypad.press(old, "ok", NEW_PIN, "ok", NEW_PIN, "ok")
    change_at_pad(session, pad, RULES)
    assert pin_of(card).digits == NEW_PIN


def test_what_comes_to_no_pin_has_the_words_of_part_10(reader: Reader, keypad: VirtualKeypad) -> None:
    session, pad = opened(reader)
    keypad.press("12", "cancel")
    with pytest.raises(PinCancelled):
        verify_at_pad(session, pad, RULES)
    keypad.press("123", "ok")
    with pytest.raises(PinFormat):
        verify_at_pad(session, pad, RULES)
    assert pad.verify(VERIFY, PadLimits(4, 16, 1)).sw == 0x6400
    assert session.pin_tries() == 3


def test_taking_the_card_ends_an_entry_and_the_reader_can_be_asked_meanwhile(
    reader: Reader, keypad: VirtualKeypad, card: Path
) -> None:
    session, pad = opened(reader)
    present = list[bool]()

    def take() -> None:
        wait_until("the pad", lambda: bool(keypad.lamps & GREEN))
        present.append(reader.card_present())
        card.unlink()

    thread = threading.Thread(target=take)
    thread.start()
    with pytest.raises(CardRemoved):
        verify_at_pad(session, pad, RULES)
    thread.join()
    assert present == [True]


def test_the_driver_tells_what_the_pad_can(reader: Reader) -> None:
    """As our firmware says in its feature block (reader.md A.7)."""
    service, name = PcscService(), reader.address.removeprefix("pcsc:")
    handle = service.connect(name)
    features = service.features(handle)
    assert {VERIFY_PIN_DIRECT, MODIFY_PIN_DIRECT} <= set(features)
    assert service.most_digits(handle, features) == 16
    assert service.most_digits(handle, {}) is None
    service.disconnect(handle)
    service.close()


def test_a_reader_without_keys_has_no_pad(daemon: Pcscd, start_reader: StartReader, link: Path) -> None:
    start_reader()
    name = daemon.start_serial(link, "GemPCTwin")
    wait_until("the card", lambda: card_present(name))
    reader = open_reader(f"pcsc:{name}")
    reader.connect()
    assert pad_of(reader) is None
    reader.close()
