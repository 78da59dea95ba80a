"""The PIN's two doors, the pad and the keys of this computer: one set of rules, one set of errors."""

from collections.abc import Callable

import pytest

from host_bridge.card import errors
from host_bridge.card.pin_entry import (
    PinRules,
    change_at_pad,
    change_typed,
    pad_of,
    verify_at_pad,
    verify_typed,
)
from host_bridge.card.session import CardSession
from host_bridge.readers.reader import CardMute, CardRemoved, ReaderError, ReaderUnavailable
from host_bridge.readers.virtual import VirtualReader
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.sscard.pad import PadAnswer, PadLimits
from protocols.texts.catalogue import texts

ATR = Atr.from_bytes(bytes.fromhex("3B6D0000008154310086609901") + bytes(4))
SELECTED = ResponseApdu(bytes.fromhex("6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860101"), 0x9000)
RULES = PinRules(min_digits=6, forbidden=("000000", "290036"))


class Chip:
    """Selects, and answers every other command with one status word."""

    atr = ATR

    def __init__(self, sw: int = 0x9000) -> None:
        self.sw, self.seen = sw, list[str]()

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        if command.ins == 0xA4:
            return SELECTED
        self.seen.append(command.to_bytes().hex().upper())
        return ResponseApdu(b"", self.sw)

    def reset(self) -> Atr:
        return ATR

    def disconnect(self) -> None:
        return


class Leaving(Chip):
    """Takes the command, and is gone before its answer."""

    def __init__(self, error: ReaderError) -> None:
        super().__init__()
        self.error = error

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        answer = super().transmit(command)
        if self.seen:
            raise self.error
        return answer


class Pad:
    """Gives one answer and notes what it was asked."""

    def __init__(self, sw: int = 0x9000, *, was_forbidden: bool | None = None) -> None:
        self.answer, self.asked = PadAnswer(sw, was_forbidden), list[tuple[str, PadLimits]]()

    def verify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
        self.asked.append((header.to_bytes().hex().upper(), limits))
        return self.answer

    modify = verify

    def cancel(self) -> None:
        return


def digits(old: bytes, new: bytes, repeat: bytes) -> tuple[bytearray, bytearray, bytearray]:
    return bytearray(old), bytearray(new), bytearray(repeat)


def test_change_sends_9_4_and_wipes_everything() -> None:
    chip, secrets = Chip(), digits(b"123456", b"654321", b"654321")
    change_typed(CardSession(chip), *secrets, RULES)
    assert chip.seen == ["805E010007123456FF654321"]
    assert secrets == digits(bytes(6), bytes(6), bytes(6))


@pytest.mark.parametrize(
    ("old", "new", "repeat", "error"),
    [
        (b"123456", b"654321", b"654322", errors.PinMismatch),
        (b"123456", b"654321", b"65432", errors.PinMismatch),
        (b"123456", b"65432", b"65432", errors.PinFormat),
        (b"123456", b"", b"", errors.PinFormat),
        (b"123456", b"6543x1", b"6543x1", errors.PinFormat),
        (b"123456", b"6" * 17, b"6" * 17, errors.PinFormat),
        (b"123", b"654321", b"654321", errors.PinFormat),
        (b"123456", b"000000", b"000000", errors.PinForbidden),
        (b"123456", b"290036", b"290036", errors.PinForbidden),
    ],
)
def test_a_change_that_may_not_be_never_reaches_the_card(
    old: bytes, new: bytes, repeat: bytes, error: type[errors.CardError]
) -> None:
    chip, secrets = Chip(), digits(old, new, repeat)
    with pytest.raises(error) as caught:
        change_typed(CardSession(chip), *secrets, RULES)
    assert chip.seen == []
    assert not any(map(any, secrets))
    assert not [pin for pin in (old, new) if pin and pin.decode() in f"{caught.value!r} {caught.value.facts}"]


@pytest.mark.parametrize(
    ("sw", "error", "tries"),
    [
        (0x63C2, errors.PinWrong, 2),
        (0x63C0, errors.PinLocked, 0),
        (0x6983, errors.PinLocked, 0),
        (0x6A80, errors.UnexpectedStatus, None),
        (0x9303, errors.ApplicationBlocked, None),
    ],
)
def test_a_refused_change_is_about_the_old_pin(sw: int, error: type[errors.CardError], tries: int | None) -> None:
    doors: list[Callable[[], object]] = [
        lambda: change_typed(CardSession(Chip(sw)), *digits(b"123456", b"654321", b"654321"), RULES),
        lambda: change_at_pad(CardSession(Chip()), Pad(sw), RULES),
    ]
    for door in doors:
        with pytest.raises(error) as caught:
            door()
        assert getattr(caught.value, "tries", None) == tries


GONE = pytest.mark.parametrize("error", [CardRemoved("x"), CardMute("x"), ReaderUnavailable("x")])


@GONE
def test_a_change_without_answer_may_have_been_made(error: ReaderError) -> None:
    entered = digits(b"135790", b"314159", b"314159")
    with pytest.raises(errors.PinOutcomeUnknown):
        change_typed(CardSession(Leaving(error)), *entered, RULES)
    assert not any(map(any, entered))


@GONE
def test_a_change_at_the_pad_without_answer_may_have_been_made(error: ReaderError) -> None:
    class LeavingPad(Pad):
        def modify(self, header: CommandApdu, limits: PadLimits) -> PadAnswer:
            raise error

    with pytest.raises(errors.PinOutcomeUnknown):
        change_at_pad(CardSession(Chip()), LeavingPad(), RULES)


@GONE
def test_a_verification_without_answer_changed_nothing(error: ReaderError) -> None:
    with pytest.raises(type(error)):
        verify_typed(CardSession(Leaving(error)), bytearray(b"135790"), RULES)


def test_a_typed_default_pin_is_told_after_the_chip_has_taken_it() -> None:
    assert verify_typed(CardSession(Chip()), bytearray(b"000000"), RULES) is True
    assert verify_typed(CardSession(Chip()), bytearray(b"135790"), RULES) is False
    wrong = bytearray(b"000000")
    with pytest.raises(errors.PinWrong):
        verify_typed(CardSession(Chip(0x63C1)), wrong, RULES)
    assert wrong == bytearray(6)


def test_the_pad_gets_limits_and_packed_forbidden_pins() -> None:
    chip, pad = Chip(), Pad(was_forbidden=True)
    assert verify_at_pad(CardSession(chip), pad, RULES) is True
    change_at_pad(CardSession(chip), pad, RULES)
    forbidden = (bytes.fromhex("000000"), bytes.fromhex("290036"))
    assert pad.asked == [("00200000", PadLimits(4, 16, 30, forbidden)), ("805E0100", PadLimits(6, 16, 30, forbidden))]
    assert chip.seen == []  # the pad alone sends PINs


@pytest.mark.parametrize(
    ("answer", "error", "number"),
    [
        (PadAnswer(0x6400), errors.PinTimedOut, "-32"),
        (PadAnswer(0x6401), errors.PinCancelled, "-31"),
        (PadAnswer(0x6402), errors.PinMismatch, "-34"),
        (PadAnswer(0x6403), errors.PinFormat, "-33"),
        (PadAnswer(0x6403, was_forbidden=True), errors.PinForbidden, "-36"),
        (PadAnswer(0x63C1), errors.PinWrong, "-51"),
        (PadAnswer(0x6983), errors.PinLocked, "-52"),
    ],
)
def test_what_a_pad_answers_has_the_drivers_numbers(
    answer: PadAnswer, error: type[errors.CardError], number: str
) -> None:
    """ssc-card.md 7."""
    pad = Pad(answer.sw, was_forbidden=answer.was_forbidden)
    doors: list[Callable[[], object]] = [
        lambda: verify_at_pad(CardSession(Chip()), pad, RULES),
        lambda: change_at_pad(CardSession(Chip()), pad, RULES),
    ]
    for door in doors:
        with pytest.raises(error) as caught:
            door()
        assert texts()[caught.value.key].number == number


def test_only_a_reader_with_keys_has_a_pad() -> None:
    assert pad_of(VirtualReader("/nowhere/x.card")) is None
    assert pad_of(VirtualReader("/nowhere/x.card#pad")) is not None
