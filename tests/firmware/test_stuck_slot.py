"""A slot whose card went mute or senseless powers it off and on by itself (`peers.md B7`, `C1`)."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from firmware.limits import standard_limits
from firmware.slot import Slot
from firmware.slot_error import SlotError
from protocols.ccid.messages import ICC_ACTIVE, ICC_INACTIVE
from tests.firmware.recorded_line import Heard, RecordedLine
from tests.firmware.rig import ANSWER, READ

PARITY, MUTE, PROCEDURE_BYTE, ABORTED, HARDWARE = 0xFD, 0xFE, 0xF4, 0xFF, 0xFB
PLAIN = bytes.fromhex("3B00")
ONLY_T1 = bytes.fromhex("3B808131FE458B")
BLOCK = bytes.fromhex("00C101FE3E")
COLD, WARM, OFF = [1, 5, 7], [5, 7], [5, 1, 0]
"""VCC 1, RST 2, CLK 4."""
DARK_MS = (200, 1000)


class Case(NamedTuple):
    """Answers to the resets and to the command; bError; contacts after the power-on; what was counted."""

    atrs: list[bytes]
    answer: Heard
    error: int
    contacts: list[int]
    counted: tuple[int, int]


CASES = {
    "mute": Case([PLAIN, PLAIN], b"", MUTE, OFF + COLD, (1, 1)),
    "mute in the middle": Case([PLAIN, PLAIN], ANSWER[:3], MUTE, OFF + COLD, (1, 1)),
    "no procedure byte": Case([PLAIN, PLAIN], b"\x12", PROCEDURE_BYTE, OFF + COLD, (1, 1)),
    "unreadable": Case([PLAIN, PLAIN], [None], PARITY, OFF + COLD, (1, 1)),
    "mute block": Case([ONLY_T1, ONLY_T1], b"", MUTE, OFF + COLD, (1, 1)),
    "revived by the second restart": Case([PLAIN, b"", PLAIN], b"", MUTE, OFF + COLD + OFF + COLD, (2, 1)),
    "senseless, then answers to a warm reset": Case([PLAIN, b"\x00", PLAIN], b"", MUTE, OFF + COLD + WARM, (1, 1)),
    "dead": Case([PLAIN], b"", MUTE, (OFF + COLD) * 2 + OFF, (2, 0)),
}


@pytest.fixture
def open_slot(clock_of: Callable[[RecordedLine], None]) -> Callable[..., tuple[Slot, RecordedLine]]:
    def start(case: Case, busy: Callable[[], bool] = lambda: True) -> tuple[Slot, RecordedLine]:
        line = RecordedLine(list(case.atrs), [case.answer, ANSWER], classes=2)
        clock_of(line)
        slot = Slot(line, standard_limits(0), busy)
        slot.power_on()
        line.done.clear()
        return slot, line

    return start


Open = Callable[..., tuple[Slot, RecordedLine]]


def error_of(call: Callable[[], object]) -> int:
    with pytest.raises(SlotError) as raised:
        call()
    return raised.value.error


@pytest.mark.parametrize("name", CASES)
def test_a_stuck_card_is_restarted_and_nothing_else(open_slot: Open, name: str) -> None:
    case = CASES[name]
    slot, line = open_slot(case)
    command = BLOCK if case.atrs[0] == ONLY_T1 else READ
    assert error_of(lambda: slot.exchange(command)) == case.error
    assert line.values("contacts") == case.contacts
    assert (slot.restarts, slot.revived) == case.counted
    dark = sum(DARK_MS[: slot.restarts]) * 4000
    assert sum(count for count in line.values("wait") if count > 400) == dark
    assert line.sent == [command], "it is never sent again"
    for _ in range(2):
        assert slot.icc == ICC_ACTIVE
        assert error_of(lambda: slot.exchange(command)) == MUTE
        assert error_of(slot.reset_parameters) == MUTE
    assert line.sent == [command]


def test_the_host_powers_on_and_goes_on(open_slot: Open) -> None:
    slot, line = open_slot(Case([PLAIN, PLAIN, PLAIN], b"", MUTE, [], (1, 1)))
    assert error_of(lambda: slot.exchange(READ)) == MUTE
    line.done.clear()
    assert slot.power_on() == PLAIN
    assert line.values("contacts") == WARM
    assert slot.exchange(READ) == ANSWER[1:]


def test_a_card_that_does_not_answer_to_reset_is_restarted(clock_of: Callable[[RecordedLine], None]) -> None:
    line = RecordedLine([b"", b"", PLAIN], classes=2)
    clock_of(line)
    slot = Slot(line, standard_limits(0), lambda: True)
    assert slot.power_on() == PLAIN
    assert (slot.restarts, slot.revived) == (2, 1)
    line = RecordedLine(b"", classes=2)
    clock_of(line)
    slot = Slot(line, standard_limits(0), lambda: True)
    assert error_of(slot.power_on) == MUTE
    assert (slot.restarts, slot.revived, slot.icc) == (2, 0, ICC_INACTIVE)
    assert line.values("contacts") == (COLD + OFF) * 3


def test_an_abort_and_overcurrent_restart_nothing(open_slot: Open) -> None:
    case = Case([PLAIN, PLAIN], b"", ABORTED, OFF, (0, 0))
    slot, line = open_slot(case, lambda: False)
    assert error_of(lambda: slot.exchange(READ)) == ABORTED
    assert (line.values("contacts"), slot.restarts) == (OFF, 0)
    slot, line = open_slot(case)
    line.overcurrent = True
    for _ in range(2):
        assert error_of(lambda: slot.exchange(READ)) == HARDWARE
    assert (line.values("contacts"), slot.restarts, slot.icc, line.sent) == (OFF, 0, ICC_ACTIVE, [])


def test_a_host_that_waits_no_more_ends_the_restarts(open_slot: Open) -> None:
    """It is asked every 0.3 s; the card has its second of waiting time first."""
    told: list[bool] = []

    def busy() -> bool:
        told.append(True)
        return len(told) < 4

    slot, line = open_slot(Case([PLAIN], b"", MUTE, [], (0, 0)), busy)
    assert error_of(lambda: slot.exchange(READ)) == MUTE
    assert line.values("contacts")[-3:] == OFF
    assert slot.restarts < len(DARK_MS)
