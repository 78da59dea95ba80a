"""The simulated PIN pad: keys in, status words out, digits nowhere."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from hardware.virtual.pin_pad import VirtualPinPad
from hardware.virtual.pressed_keys import FileKeys
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard.pad import MAX_FORBIDDEN, PadAnswer, PadLimits

VERIFY, CHANGE = CommandApdu(0x00, 0x20, 0x00, 0x00), CommandApdu(0x80, 0x5E, 0x01, 0x00)
LIMITS = PadLimits(min_digits=4, max_digits=16, timeout_s=30)
DEFAULTS = (bytes.fromhex("000000"), bytes.fromhex("888888"))
FORBIDDING = LIMITS._replace(forbidden=DEFAULTS)


class Chip:
    """Takes one PIN, and notes what arrives."""

    def __init__(self, sw: int = 0x9000) -> None:
        self.sw, self.seen = sw, list[str]()

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        self.seen.append(command.to_bytes().hex().upper())
        return ResponseApdu(b"", self.sw)


class Clock:
    """Goes on only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def keys(*pressed: str) -> Callable[[], str | None]:
    """`135790` stands for its digits, other words for one key each; then nobody presses any."""
    waiting = [key for word in pressed for key in (word if word.isdecimal() else (word,))]
    return lambda: waiting.pop(0) if waiting else None


def make_pad(chip: Chip, pressed: Iterable[str], clock: Clock | None = None, *, compares: bool = True) -> VirtualPinPad:
    clock = clock or Clock()
    return VirtualPinPad(chip.transmit, keys(*pressed), compares=compares, monotonic=clock, wait=clock.wait)


def test_verify_sends_the_digits_packed_below_the_header() -> None:
    chip = Chip()
    assert make_pad(chip, ["123456", "ok"]).verify(VERIFY, LIMITS) == PadAnswer(0x9000, was_forbidden=False)
    assert chip.seen == ["0020000003123456"]  # ssc-card.md 5
    make_pad(chip, ["12345", "ok"]).verify(VERIFY, LIMITS)
    assert chip.seen[1] == "002000000312345F"


def test_modify_asks_for_the_new_pin_twice() -> None:
    chip = Chip()
    pad = make_pad(chip, ["123456", "ok", "654321", "ok", "654321", "ok"])
    assert pad.modify(CHANGE, LIMITS) == PadAnswer(0x9000)
    assert chip.seen == ["805E010007123456FF654321"]  # ssc-card.md 9.4


@pytest.mark.parametrize(
    ("pressed", "sw"),
    [
        (["123456"], 0x6400),
        ([], 0x6400),
        (["123", "cancel"], 0x6401),
        (["123", "ok"], 0x6403),
        (["123456", "clear", "ok"], 0x6403),
    ],
)
def test_what_comes_to_no_pin_never_reaches_the_chip(pressed: list[str], sw: int) -> None:
    chip = Chip()
    assert make_pad(chip, pressed).verify(VERIFY, FORBIDDING) == PadAnswer(sw)
    assert chip.seen == []


@pytest.mark.parametrize(
    ("pressed", "answer"),
    [
        (["123456", "ok", "654321", "ok", "654322", "ok"], PadAnswer(0x6402)),
        (["123456", "ok", "65432", "ok"], PadAnswer(0x6403)),
        (["123456", "ok", "000000", "ok", "000000", "ok"], PadAnswer(0x6403, was_forbidden=True)),
        (["123456", "ok", "654321", "ok"], PadAnswer(0x6400)),
        (["123456", "ok", "cancel"], PadAnswer(0x6401)),
    ],
)
def test_a_change_that_may_not_be_never_reaches_the_chip(pressed: list[str], answer: PadAnswer) -> None:
    chip = Chip()
    assert make_pad(chip, pressed).modify(CHANGE, FORBIDDING._replace(min_digits=6)) == answer
    assert chip.seen == []


def test_a_short_old_pin_can_be_changed_to_a_long_one() -> None:
    chip = Chip()
    pad = make_pad(chip, ["1234", "ok", "654321", "ok", "654321", "ok"])
    assert pad.modify(CHANGE, LIMITS._replace(min_digits=6)).sw == 0x9000
    assert chip.seen == ["805E0100061234FF654321"]


def test_a_forbidden_pin_is_told_only_beside_9000() -> None:
    for sw, told in ((0x9000, True), (0x63C2, None), (0x6983, None)):
        assert make_pad(Chip(sw), ["000000", "ok"]).verify(VERIFY, FORBIDDING) == PadAnswer(sw, told)
    assert make_pad(Chip(), ["000001", "ok"]).verify(VERIFY, FORBIDDING).was_forbidden is False
    assert make_pad(Chip(), ["000000", "ok"], compares=False).verify(VERIFY, FORBIDDING).was_forbidden is None


def test_the_flag_is_rate_limited_and_its_list_is_short() -> None:
    """Otherwise whoever asks often, or with long lists, finds a PIN out."""
    clock = Clock()
    pad = make_pad(Chip(), ["000000", "ok"] * 5, clock)
    told = [pad.verify(VERIFY, FORBIDDING).was_forbidden for _ in range(4)]
    assert told == [True, True, True, None]
    clock.now += 61
    assert pad.verify(VERIFY, FORBIDDING).was_forbidden is True
    many = LIMITS._replace(forbidden=(bytes(3),) * MAX_FORBIDDEN + DEFAULTS[1:])
    assert make_pad(Chip(), ["888888", "ok"]).verify(VERIFY, many).was_forbidden is False


def test_an_entry_is_cancelled_from_outside() -> None:
    clock = Clock()
    pad = VirtualPinPad(Chip().transmit, lambda: None, monotonic=clock, wait=lambda _: pad.cancel())
    assert pad.verify(VERIFY, LIMITS) == PadAnswer(0x6401)
    assert clock.now == 0.0


def test_keys_from_a_file_are_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "x.keys"
    pressed = FileKeys(path)
    assert pressed() is None
    path.write_text("1234\ncancel\n")
    assert [pressed() for _ in range(7)] == ["1", "2", "3", "4", "ok", "cancel", None]
    assert not path.exists()
