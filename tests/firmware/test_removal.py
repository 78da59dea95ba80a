"""A card that leaves in the middle: its contacts are dead at once, and the next card is never taken for it."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from firmware.limits import standard_limits
from firmware.slot import Slot
from firmware.slot_error import SlotError
from protocols.ccid.messages import ICC_ABSENT, ICC_INACTIVE
from protocols.ccid.parameters import T0Parameters
from tests.firmware.recorded_line import Heard, RecordedLine
from tests.firmware.rig import ANSWER, READ

DEACTIVATED, MUTE = 0xF3, 0xFE
PLAIN, OFFERS_96, ONLY_T1 = (bytes.fromhex(atr) for atr in ("3B00", "3B1096", "3B808131FE458B"))
OTHER = bytes.fromhex("3B0141")
SELECT = bytes.fromhex("00A4020002EF05")
PPS_96 = bytes.fromhex("FF109679")
BLOCK = bytes.fromhex("00C101FE3E")
COLD, OFF = [1, 5, 7], [5, 1, 0]
"""VCC 1, RST 2, CLK 4: RST goes first, then CLK, then VCC."""


class Case(NamedTuple):
    """The card's answers to reset and to what is sent until it leaves; then what the host asks meanwhile."""

    atr: bytes
    answers: list[Heard]
    ask: Callable[[Slot], object]
    dark: bool = False


CASES = {
    "in the answer to reset": Case(PLAIN[:1], [], lambda slot: slot.power_on()),
    "in a warm reset": Case(PLAIN, [], lambda slot: slot.power_on()),
    "in the PPS of the host": Case(OFFERS_96, [PPS_96[:2]], lambda slot: slot.exchange(PPS_96)),
    "in the PPS of the reader": Case(
        OFFERS_96, [PPS_96[:2]], lambda slot: slot.set_parameters(T0Parameters(0x96, 0, 10))
    ),
    "before the procedure byte": Case(PLAIN, [b""], lambda slot: slot.exchange(READ)),
    "in the data that it sends": Case(PLAIN, [ANSWER[:4]], lambda slot: slot.exchange(READ)),
    "in the data that it takes": Case(PLAIN, [b"\xa4", b""], lambda slot: slot.exchange(SELECT)),
    "between two bytes that it takes": Case(PLAIN, [b"\x5b", b""], lambda slot: slot.exchange(SELECT)),
    "in the status word": Case(PLAIN, [ANSWER[:-1]], lambda slot: slot.exchange(READ)),
    "in a block": Case(ONLY_T1, [b"\x00\xe1"], lambda slot: slot.exchange(BLOCK)),
    "while it is restarted": Case(PLAIN, [b"\x12"], lambda slot: slot.exchange(READ), dark=True),
}


@pytest.mark.parametrize("present", [False, True], ids=["pulled", "exchanged"])
@pytest.mark.parametrize("name", CASES)
def test_its_contacts_are_dead_at_once_and_the_next_card_is_another(
    clock_of: Callable[[RecordedLine], None], name: str, present: bool
) -> None:
    case = CASES[name]
    in_reset = "reset" in name
    line = RecordedLine([case.atr, *([b"\x3b"] if "warm" in name else []), OTHER], case.answers)
    clock_of(line)
    slot = Slot(line, standard_limits(0), lambda: True)
    if not in_reset or "warm" in name:
        slot.power_on()
    line.leaves(present=present, dark=case.dark)
    with pytest.raises(SlotError):
        case.ask(slot)
    assert line.gone
    assert line.values("contacts")[-3:] == OFF
    assert line.off_ms == [0 if case.dark else line.left_ms]
    assert slot.icc == (ICC_INACTIVE if present else ICC_ABSENT)

    driven = len(line.done)
    for ask in (lambda: slot.exchange(READ), slot.reset_parameters):
        with pytest.raises(SlotError) as raised:
            ask()
        assert raised.value.error == (DEACTIVATED if present else MUTE)
    assert (len(line.sent), len(line.done)) == (line.sent_then, driven), "the next card is left in the dark"
    line.present = True
    line.done.clear()
    assert slot.power_on() == OTHER
    assert line.values("contacts") == COLD
