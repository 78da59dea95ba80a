"""Times and limits of the answer to reset, at the clock (`reader.md B.1`, `B.3`; 4 MHz, so 1 etu is 93 us)."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from firmware.limits import standard_limits
from firmware.slot import Slot
from firmware.slot_error import SlotError
from tests.firmware.recorded_line import Heard, Pause, RecordedLine
from tests.firmware.rig import ANSWER, READ

OVERRUN, PARITY, MUTE, BAD_TS, BAD_TCK = 0xFC, 0xFD, 0xFE, 0xF8, 0xF7
START_MS, GAP_MS, TOTAL_MS = 10, 893, 1786
"""40 000 clocks; 9600 and 19 200 etu of 372 clocks."""

PLAIN = bytes.fromhex("3B0241FF")
WITH_TCK = bytes.fromhex("3B80801F031C")
LONGEST = bytes.fromhex("3BFF 111111F0 111111F0 111111F0 11111100 000102030405060708090A0B0C0D0E")
"""32 characters after TS."""
TOO_LONG = bytes.fromhex("3BFF 111111F0 111111F0 111111F0 11111180 00 000102030405060708090A0B0C0D0E")
"""33 of them, which is known at the fourth TD."""


def paused(atr: bytes, *pauses: tuple[int, int]) -> Heard:
    """Pauses of so many ms before the n-th character."""
    found: list[int | Pause | None] = []
    for at, value in enumerate(atr):
        found += [Pause(ms) for before, ms in pauses if before == at]
        found.append(value)
    return found


def damaged(atr: bytes, at: int) -> Heard:
    return [None if index == at else value for index, value in enumerate(atr)]


class Bad(NamedTuple):
    """What the card says, and what the host hears of it."""

    says: Heard
    error: int


GOOD: dict[str, tuple[Heard, bytes]] = {
    "at once": (PLAIN, PLAIN),
    "begins at the last moment": (paused(PLAIN, (0, START_MS)), PLAIN),
    **{f"longest gap before {at}": (paused(PLAIN, (at, GAP_MS)), PLAIN) for at in range(1, len(PLAIN))},
    "longest in all": (paused(PLAIN, (1, GAP_MS), (3, GAP_MS)), PLAIN),
    "a check character": (WITH_TCK, WITH_TCK),
    "32 characters after TS": (LONGEST, LONGEST),
    "32 characters in longest time": (paused(LONGEST, (1, GAP_MS), (32, GAP_MS)), LONGEST),
    "more than it says": (PLAIN + b"\x90\x00", PLAIN),
}
BAD = {
    "silent": Bad(b"", MUTE),
    "begins too late": Bad(paused(PLAIN, (0, START_MS + 1)), MUTE),
    **{f"too long a gap before {at}": Bad(paused(PLAIN, (at, GAP_MS + 1)), MUTE) for at in range(1, len(PLAIN))},
    "too long in all": Bad(paused(PLAIN, (1, 600), (2, 600), (3, TOTAL_MS - 1199)), MUTE),
    **{f"stops before {at}": Bad(LONGEST[:at], MUTE) for at in (1, 2, 17, 32)},
    **{f"damaged at {at}": Bad(damaged(WITH_TCK, at), PARITY) for at in range(len(WITH_TCK))},
    "inverse convention": Bad(b"\x03\x00", BAD_TS),
    "noise": Bad(b"\x00\xff\x3b", BAD_TS),
    "wrong check character": Bad(WITH_TCK[:-1] + b"\x1d", BAD_TCK),
    "no check character": Bad(WITH_TCK[:-1], MUTE),
    "33 characters after TS": Bad(TOO_LONG, OVERRUN),
    "the same, cut off where that is known": Bad(TOO_LONG[:18], OVERRUN),
    "babbles": Bad(b"\x3b" + b"\xff" * 1000, OVERRUN),
}

Start = Callable[..., tuple[Slot, RecordedLine]]


@pytest.fixture
def slot_of(clock_of: Callable[[RecordedLine], None]) -> Start:
    def start(*atrs: Heard) -> tuple[Slot, RecordedLine]:
        line = RecordedLine(list(atrs), [ANSWER], classes=2)
        clock_of(line)
        return Slot(line, standard_limits(0), lambda: True), line

    return start


@pytest.mark.parametrize("name", GOOD)
def test_a_card_may_answer_so(slot_of: Start, name: str) -> None:
    says, atr = GOOD[name]
    slot, _ = slot_of(says)
    assert slot.power_on() == atr
    if atr != LONGEST:  # its TA2 leaves the speed open
        assert slot.exchange(READ) == ANSWER[1:]


@pytest.mark.parametrize("name", BAD)
def test_a_card_may_not_answer_so(slot_of: Start, name: str) -> None:
    """Not even the second and third time."""
    bad = BAD[name]
    slot, line = slot_of(*[bad.says] * 3)
    with pytest.raises(SlotError) as raised:
        slot.power_on()
    assert raised.value.error == bad.error
    assert line.values("contacts")[-3:] == [5, 1, 0]


@pytest.mark.parametrize("error", [PARITY, BAD_TS, BAD_TCK, OVERRUN])
def test_an_answer_that_makes_no_sense_is_asked_for_once_more(slot_of: Start, error: int) -> None:
    """By a warm reset (ssc-card.md 2); then the card is left."""
    says = next(bad.says for bad in BAD.values() if bad.error == error)
    slot, line = slot_of(says, PLAIN)
    assert slot.power_on() == PLAIN
    assert line.values("contacts") == [1, 5, 7, 5, 7]
    slot, line = slot_of(says, says, PLAIN)
    with pytest.raises(SlotError):
        slot.power_on()
    assert line.values("contacts") == [1, 5, 7, 5, 7, 5, 1, 0]


def test_rst_is_low_for_400_clocks_before_every_answer(slot_of: Start) -> None:
    slot, line = slot_of(PLAIN, PLAIN)
    slot.power_on()
    slot.power_on()
    rises = [index for index, done in enumerate(line.done) if done == ("contacts", 7)]
    assert len(rises) == 2
    for index in rises:
        falls = max(at for at in range(index) if line.done[at] == ("contacts", 5))
        assert sum(value for what, value in line.done[falls:index] if what == "wait") >= 400
