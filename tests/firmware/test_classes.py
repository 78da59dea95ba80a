"""Which voltage a card gets (ISO/IEC 7816-3, class selection; `reader.md A.2` step 7, `B.1`, `B.3`)."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from firmware.limits import standard_limits
from firmware.slot import Slot
from firmware.slot_error import SlotError
from protocols.ccid.messages import ICC_ACTIVE, ICC_INACTIVE, ICC_POWER_ON, XFR_BLOCK
from protocols.iso7816.atr import CLASS_A, CLASS_B, CLASS_C, EVERY_CLASS, classes_of
from tests.firmware.conftest import Misbehave, OpenHost
from tests.firmware.recorded_line import RecordedLine
from tests.firmware.rig import ANSWER, READ, Host, well
from tests.firmware.test_faults_on_the_line import QUICK, READ_VERSION, VERSION, fault

A, B, C = CLASS_A, CLASS_B, CLASS_C
AUTOMATIC, V5, V3, V1_8 = "000000", "010000", "020000", "030000"
"""bPowerSelect and the two bytes after it."""
BAD_POWER_SELECT, CLASS_NOT_SUPPORTED, MUTE = 0x07, 0xF5, 0xFE
PLAIN = bytes.fromhex("3B00")
ONLY_A, ONLY_B, A_AND_B = (bytes.fromhex(atr) for atr in ("3B80801F011E", "3B80801F021D", "3B80801F031C"))
"""T=15 and its TA; 80 xor 80 xor 1F xor 01 = 1E."""
NOISE = b"\x00"


class Case(NamedTuple):
    """Answers to reset by class, the board's classes, those asked for, those tried in order; then ATR or bError."""

    atrs: Mapping[int, bytes]
    board: int
    asked: int
    tried: list[int]
    ends: bytes | int


CASES = {
    "the lowest first": Case({A: PLAIN, B: PLAIN, C: PLAIN}, EVERY_CLASS, EVERY_CLASS, [C], PLAIN),
    "the next where the card is mute": Case({A: PLAIN, B: PLAIN}, EVERY_CLASS, EVERY_CLASS, [C, B], PLAIN),
    "up to the highest": Case({A: PLAIN}, EVERY_CLASS, EVERY_CLASS, [C, B, A], PLAIN),
    "the next where it makes no sense": Case({B: NOISE, A: PLAIN}, A | B, EVERY_CLASS, [B, A], PLAIN),
    "none but the board's": Case({A: PLAIN, B: PLAIN, C: PLAIN}, B, EVERY_CLASS, [B], PLAIN),
    "the one asked for": Case({A: PLAIN, B: PLAIN, C: PLAIN}, EVERY_CLASS, A, [A], PLAIN),
    "not the board's": Case({A: PLAIN, B: PLAIN, C: PLAIN}, B, A, [], CLASS_NOT_SUPPORTED),
    "one that the card does not tell": Case({B: ONLY_A, A: ONLY_A}, A | B, EVERY_CLASS, [B, A], ONLY_A),
    "one that it tells": Case({B: A_AND_B, A: A_AND_B}, A | B, EVERY_CLASS, [B], A_AND_B),
    "the card tells another than the board's": Case({B: ONLY_A}, B, EVERY_CLASS, [B], CLASS_NOT_SUPPORTED),
    "the card tells another than asked for": Case({A: ONLY_B, B: ONLY_B}, A | B, A, [A], CLASS_NOT_SUPPORTED),
    "mute in all, three times": Case({}, EVERY_CLASS, EVERY_CLASS, [C, B, A] * 3, MUTE),
}


@pytest.mark.parametrize("name", CASES)
def test_class_selection(clock_of: Callable[[RecordedLine], None], name: str) -> None:
    case = CASES[name]
    line = RecordedLine(case.atrs, classes=case.board)
    clock_of(line)
    slot = Slot(line, standard_limits(0), lambda: True)
    if isinstance(case.ends, bytes):
        assert slot.power_on(case.asked) == case.ends
        assert slot.icc == ICC_ACTIVE
    else:
        with pytest.raises(SlotError) as raised:
            slot.power_on(case.asked)
        assert (raised.value.error, slot.icc) == (case.ends, ICC_INACTIVE)
        assert (line.values("contacts") or [0])[-1] == 0
    assert line.values("class") == case.tried


def test_the_class_is_set_while_vcc_is_off_after_a_rest(
    clock_of: Callable[[RecordedLine], None],
) -> None:
    line = RecordedLine({A: PLAIN})
    clock_of(line)
    Slot(line, standard_limits(0), lambda: True).power_on()
    contacts = 0
    rested = [("wait", 40000)]  # 10 ms at 4 MHz
    for index, (what, value) in enumerate(line.done):
        if what == "contacts":
            contacts = value
        elif what == "class":
            assert contacts == 0
            assert index == 0 or line.done[index - 1 : index] == rested


def test_a_reset_in_another_class_is_a_cold_one(clock_of: Callable[[RecordedLine], None]) -> None:
    line = RecordedLine(PLAIN)
    clock_of(line)
    slot = Slot(line, standard_limits(0), lambda: True)
    for asked in (B, EVERY_CLASS, B, A, C):
        slot.power_on(asked)
    assert line.values("class") == [B, A, C]
    cold, warm = [1, 5, 7], [5, 7]
    off = [5, 1, 0]
    assert line.values("contacts") == [*cold, *warm, *warm, *off, *cold, *off, *cold]


def test_libccid_finds_the_voltage_of_a_bare_board(open_host: OpenHost) -> None:
    """It asks for 5 V, then 1.8 V, then 3 V, and for a reset of the active card again so."""
    card = well()
    host, slot = open_host(card)
    for round_ in range(2):
        for special in (V5, V1_8):
            answer = host.ask(ICC_POWER_ON, special=special)
            assert (answer.failed, answer.error) == (True, CLASS_NOT_SUPPORTED)
            assert answer.icc == (ICC_ACTIVE if round_ else ICC_INACTIVE)
        assert not host.ask(ICC_POWER_ON, special=V3).failed
        assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]
    assert (slot.classes, card.resets) == ([CLASS_B], 2)


def test_a_power_select_that_means_nothing_is_named(open_host: OpenHost) -> None:
    host, slot = open_host(well())
    answer = host.ask(ICC_POWER_ON, special="040000")
    assert (answer.failed, answer.error) == (True, BAD_POWER_SELECT)
    assert slot.contacts == []


@pytest.mark.parametrize(("mute_in", "asked"), [("C", AUTOMATIC), ("AC", V3)])
def test_a_virtual_card_answers_in_its_classes_alone(misbehave: Misbehave, mute_in: str, asked: str) -> None:
    process = misbehave(fault(phase="atr", does="mute", classes=mute_in), "classes=ABC", *QUICK)
    host = Host(process.path)
    try:
        for special in {V5: "A", V3: "B", V1_8: "C"}.items():
            if special[1] in mute_in:
                answer = host.ask(ICC_POWER_ON, special=special[0])
                assert (answer.failed, answer.error) == (True, MUTE)
        assert not host.ask(ICC_POWER_ON, special=asked).failed
        assert host.ask(XFR_BLOCK, READ_VERSION.to_tpdu().hex()).data == VERSION.to_bytes()
    finally:
        host.close()


def test_classes_have_letters() -> None:
    assert [classes_of(letters) for letters in ("", "A", "BC", "ABC")] == [0, 1, 6, 7]
    with pytest.raises(ValueError, match="substring not found"):
        classes_of("D")
