"""A counter at our own reader with keys, from the card put in to the PIN in the chip."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.virtual.chips import chip_at
from hardware.virtual.keypad import VirtualKeypad
from hardware.virtual.processes import wait_until
from hardware.virtual.reader import CPYTHON, ReaderProcess
from hardware.virtual.slot import VirtualSlot
from host_bridge.readers.serial import SerialReader
from protocols.ccid.keypad import GREEN
from tests.host_bridge.counter.till import Till

FRESH = {"pin": "000000"}
"""The simulated city's default PIN."""


@pytest.fixture
def till(pharmacy: Till, keypad: VirtualKeypad, tmp_path: Path) -> Iterator[Till]:
    """The pharmacy's till, whose reader is started after its counter."""
    folder, link = tmp_path / "reader-slot", tmp_path / "reader"
    folder.mkdir()
    pharmacy.slot = folder / "slot.card"
    pharmacy.reader = SerialReader(str(link), silence_s=3.0)
    pharmacy.counter = pharmacy.make_counter("990101")
    pharmacy.counter.start()
    process = ReaderProcess(VirtualSlot(folder, chip_at), keypad=keypad, link=link, interpreter=CPYTHON)
    process.start()
    yield pharmacy
    pharmacy.counter.stop()
    pharmacy.reader.close()
    process.stop()


def pad_of(till: Till) -> str:
    return "" if till.view.pin is None else till.view.pin.pad


def waits(till: Till, keypad: VirtualKeypad) -> bool:
    return pad_of(till) == "waiting" and bool(keypad.lamps & GREEN)


def test_a_default_pin_is_changed_at_the_keys_and_then_pays(till: Till, keypad: VirtualKeypad) -> None:
    till.person("pharmacy", poll=False, card=FRESH)
    wait_until("the pad", lambda: waits(till, keypad))
    keypad.press("000000", "ok")
    wait_until("the refusal", lambda: till.stage() == "refused")
    assert till.view.refusal is not None
    assert till.view.refusal.number == "-35"
    till.counter.begin_change()
    keypad.press("000000", "ok", "314159", "ok", "314159", "ok")
    wait_until("the pad again", lambda: till.stage() == "pin" and waits(till, keypad))
    keypad.press("314159", "ok")
    wait_until("the bill", lambda: till.stage() == "bill")


def test_a_card_taken_out_while_the_pad_waits_ends_the_visit(till: Till, keypad: VirtualKeypad) -> None:
    till.person("pharmacy", poll=False)
    wait_until("the pad", lambda: waits(till, keypad))
    till.slot.unlink()
    wait_until("an empty counter", lambda: till.stage() == "idle")
    wait_until("the lamp to go out", lambda: not keypad.lamps & GREEN)


def test_a_clerk_ends_an_entry(till: Till, keypad: VirtualKeypad) -> None:
    till.person("pharmacy", poll=False)
    wait_until("the pad", lambda: waits(till, keypad))
    till.counter.cancel()
    assert till.stage() != "pin"
    wait_until("the lamp to go out", lambda: not keypad.lamps & GREEN)
