"""T=1 at block level: the slot moves one block at a time, the host the rest (`reader.md A.5`, `B.5`; CCID 6.1.7)."""

from collections.abc import Callable

import pytest

from firmware.limits import standard_limits
from firmware.slot import Slot
from firmware.slot_error import SlotError
from protocols.ccid.messages import (
    GET_PARAMETERS,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_INACTIVE,
    ICC_POWER_ON,
    RESET_PARAMETERS,
    SET_PARAMETERS,
    XFR_BLOCK,
)
from protocols.ccid.serial_frame import MORE_TIME
from tests.firmware.conftest import OpenHost
from tests.firmware.recorded_line import Heard, RecordedLine
from tests.firmware.rig import ANSWER, READ, ScriptedCard

BAD_LENGTH, AT_PROTOCOL, AT_FI_DI = 0x01, 7, 10
DEACTIVATED, PARITY, MUTE = 0xF3, 0xFD, 0xFE
T1 = "010000"
"""bProtocolNum and the two bytes after it."""

ONLY_T1 = bytes.fromhex("3B808131FE458B")
"""IFSC 254, BWI 4, CWI 5; 80 xor 81 xor 31 xor FE xor 45 = 8B."""
ONLY_T1_CRC = bytes.fromhex("3B808171FE4501CA")
T1_AT_96 = bytes.fromhex("3B90968131FE450D")
"""90 xor 96 xor 81 xor 31 xor FE xor 45 = 0D."""
T0_OR_T1 = bytes.fromhex("3B80800101")
N_255 = bytes.fromhex("3BC0FF8131FE4534")
"""TC1 FF; C0 xor FF xor 81 xor 31 xor FE xor 45 = 34."""
TOLD = "11100045 00FE00"
"""372/1, LRC, N = 0, BWI 4 and CWI 5, no clock stop, IFSC 254, NAD 0."""
TOLD_CRC = "11110045 00FE00"

ASK = bytes.fromhex("00C101FE3E")
SAY = bytes.fromhex("00E101FE1E")
SAY_CRC = bytes.fromhex("00E101FE0000")
"""The slot does not look at the EDC."""
BWT_MS, CWT_MS = 1429.5, 4.0
"""11 etu + 2^4 x 960 x 372 clocks, and 11 + 2^5 etu, at 4 MHz and 372/1."""
BWT_96_MS = 1428.5
"""The block waiting time does not shrink with D."""


@pytest.fixture
def power_on(clock_of: Callable[[RecordedLine], None]) -> Callable[..., tuple[Slot, RecordedLine]]:
    def start(atr: bytes, *answers: Heard) -> tuple[Slot, RecordedLine]:
        line = RecordedLine(atr, answers)
        clock_of(line)
        slot = Slot(line, standard_limits(0), lambda: True)
        assert slot.power_on() == atr
        return slot, line

    return start


Start = Callable[..., tuple[Slot, RecordedLine]]


def error_of(slot: Slot, block: bytes, extension: int = 0) -> int:
    with pytest.raises(SlotError) as raised:
        slot.exchange(block, extension)
    return raised.value.error


@pytest.mark.parametrize(
    ("atr", "answer"),
    [(ONLY_T1, SAY), (ONLY_T1, SAY[:-1] + b"\xff"), (ONLY_T1_CRC, SAY_CRC)],
    ids=["LRC", "bad", "CRC"],
)
def test_a_block_comes_back_as_the_card_sent_it(power_on: Start, atr: bytes, answer: bytes) -> None:
    slot, line = power_on(atr, answer, answer)
    ask = ASK if atr is ONLY_T1 else ASK[:-1] + b"\x54\x4e"
    for _ in range(2):
        assert slot.exchange(ask) == answer
    assert line.sent == [ask, ask]


@pytest.mark.parametrize("extension", [0, 1, 3, 255])
@pytest.mark.parametrize(("atr", "bwt"), [(ONLY_T1, BWT_MS), (T1_AT_96, BWT_96_MS)], ids=["372/1", "512/32"])
def test_a_card_is_mute_only_after_its_block_waiting_time(
    power_on: Start, atr: bytes, bwt: float, extension: int
) -> None:
    slot, line = power_on(atr, *([bytes.fromhex("FF119678")] if atr is T1_AT_96 else []))
    if atr is T1_AT_96:
        assert slot.exchange(bytes.fromhex("FF119678")) == bytes.fromhex("FF119678")
        assert slot.parameters.fi_di == 0x96
    started = line.now_ms
    assert error_of(slot, ASK, extension) == MUTE
    limit = bwt * (extension or 1)
    assert limit <= line.off_ms[0] - started <= limit * 1.01 + 2
    assert slot.icc == ICC_ACTIVE


def test_a_block_that_stops_in_the_middle_is_damaged(power_on: Start) -> None:
    for count in range(1, len(SAY)):
        slot, line = power_on(ONLY_T1, SAY[:count], SAY)
        started = line.now_ms
        assert error_of(slot, ASK) == PARITY
        assert CWT_MS <= line.now_ms - started <= CWT_MS + 2
        assert slot.exchange(ASK) == SAY, "the card is still powered"


@pytest.mark.parametrize("at", range(len(SAY)))
def test_a_damaged_character_is_told_when_the_card_is_silent(power_on: Start, at: int) -> None:
    damaged = [None if index == at else value for index, value in enumerate(SAY)]
    slot, line = power_on(ONLY_T1, damaged, SAY)
    started = line.now_ms
    assert error_of(slot, ASK) == PARITY
    assert line.now_ms - started >= CWT_MS
    assert slot.exchange(ASK) == SAY
    assert line.values("contacts")[-1] != 0


def test_a_card_that_never_stops_is_damaged_too(power_on: Start) -> None:
    slot, _ = power_on(ONLY_T1, [None, *bytes(1000)])
    assert error_of(slot, ASK) == PARITY


@pytest.mark.parametrize("block", ["", "00C1", "00C101", "00" * 260], ids=len)
def test_what_is_no_block_is_refused_before_the_card(power_on: Start, block: str) -> None:
    slot, line = power_on(ONLY_T1)
    assert error_of(slot, bytes.fromhex(block)) == BAD_LENGTH
    assert line.sent == []


def test_t1_has_no_error_signal_and_its_own_guard_time(power_on: Start) -> None:
    """During the reset there is one, and for T=0."""
    _, line = power_on(N_255)
    assert (line.values("error signal"), line.values("guard")) == ([1, 0], [0, 255])
    _, line = power_on(bytes.fromhex("3B00"))
    assert (line.values("error signal"), line.values("guard")) == ([1, 1], [0, 0])


@pytest.mark.parametrize("away", [True, False], ids=["pulled", "exchanged"])
def test_a_card_that_leaves_within_its_block_is_gone(power_on: Start, away: bool) -> None:
    slot, line = power_on(ONLY_T1, SAY[:2])
    line.leaves(present=not away)
    assert error_of(slot, ASK) == (MUTE if away else DEACTIVATED)
    assert slot.icc == (ICC_ABSENT if away else ICC_INACTIVE)
    assert line.values("contacts")[-3:] == [5, 1, 0]


def test_a_block_that_is_not_well_made_is_for_the_card_to_refuse(power_on: Start) -> None:
    again = bytes.fromhex("00810081")
    slot, line = power_on(ONLY_T1, again)
    assert slot.exchange(READ) == again
    assert line.sent == [READ]


# Parameters


def test_parameters_are_those_of_the_atr(open_host: OpenHost) -> None:
    for atr, told in ((ONLY_T1, TOLD), (ONLY_T1_CRC, TOLD_CRC)):
        host, _ = open_host(ScriptedCard({}, atrs=(atr,)))
        host.ask(ICC_POWER_ON)
        for kind in (GET_PARAMETERS, RESET_PARAMETERS):
            answer = host.ask(kind)
            assert (answer.failed, answer.last, answer.data) == (False, 1, bytes.fromhex(told))


def test_parameters_change_and_are_reset(open_host: OpenHost) -> None:
    card = ScriptedCard({}, atrs=(ONLY_T1,))
    host, _ = open_host(card)
    host.ask(ICC_POWER_ON)
    wanted = bytes.fromhex("1111FF9F00 2000")
    answer = host.ask(SET_PARAMETERS, wanted.hex(), special=T1)
    assert (answer.failed, answer.last, answer.data) == (False, 1, wanted)
    assert host.ask(GET_PARAMETERS).data == wanted
    assert host.ask(RESET_PARAMETERS).data == bytes.fromhex(TOLD)
    assert card.taken == b""


BAD_PARAMETERS = {
    "T=0": ("1100000A00", "000000", AT_PROTOCOL),
    "T=2": (TOLD, "020000", AT_PROTOCOL),
    "too short": ("1100000A00", T1, BAD_LENGTH),
    "reserved F": ("7110004500FE00", T1, AT_FI_DI),
    "a speed that was not agreed on": ("9610004500FE00", T1, AT_FI_DI),
    "TCCKS of T=0": ("1100004500FE00", T1, 11),
    "inverse convention": ("1112004500FE00", T1, 11),
    "BWI A": ("111000A500FE00", T1, 13),
    "clock stop": ("1110004504FE00", T1, 14),
    "IFSC 0": ("11100045000000", T1, 15),
    "IFSC 255": ("1110004500FF00", T1, 15),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_a_bad_parameter_is_named_and_changes_nothing(open_host: OpenHost, name: str) -> None:
    data, special, offset = BAD_PARAMETERS[name]
    host, _ = open_host(ScriptedCard({len(ASK): SAY}, atrs=(ONLY_T1,)))
    host.ask(ICC_POWER_ON)
    host.ask(SET_PARAMETERS, TOLD, special=T1)
    answer = host.ask(SET_PARAMETERS, data, special=special)
    assert (answer.failed, answer.error, answer.icc, answer.data) == (True, offset, ICC_ACTIVE, b"")
    assert host.ask(GET_PARAMETERS).data == bytes.fromhex(TOLD)
    assert host.ask(XFR_BLOCK, ASK.hex()).data == SAY


DEFAULT_T1 = "1110004D002000"
"""What holds where the ATR tells nothing of T=1."""


@pytest.mark.parametrize("by_host", [True, False], ids=["PPS by the host", "PPS by the reader"])
def test_a_card_that_offers_both_speaks_what_was_agreed(open_host: OpenHost, by_host: bool) -> None:
    pps = "FF01FE" if by_host else "FF1111FF"
    size = len(pps) // 2
    card = ScriptedCard({size: bytes.fromhex(pps), size + len(ASK): SAY}, atrs=(T0_OR_T1,))
    host, _ = open_host(card)
    host.ask(ICC_POWER_ON)
    assert host.ask(GET_PARAMETERS).last == 0
    if by_host:
        assert host.ask(XFR_BLOCK, pps).data.hex().upper() == pps
    answer = host.ask(SET_PARAMETERS, DEFAULT_T1, special=T1)
    assert (answer.failed, answer.last, answer.data.hex().upper()) == (False, 1, DEFAULT_T1)
    assert card.taken.hex().upper() == pps
    assert host.ask(XFR_BLOCK, ASK.hex()).data == SAY


def test_a_card_that_refuses_t1_is_used_in_t0(open_host: OpenHost) -> None:
    card = ScriptedCard({5: ANSWER}, atrs=(T0_OR_T1,))
    host, _ = open_host(card, "atr_gap=10", "slack=300")
    host.ask(ICC_POWER_ON)
    answer = host.ask(SET_PARAMETERS, DEFAULT_T1, special=T1)
    assert (answer.failed, answer.error, answer.icc) == (True, AT_PROTOCOL, ICC_ACTIVE)
    assert host.ask(GET_PARAMETERS).last == 0
    assert host.ask(XFR_BLOCK, READ.hex()).data == ANSWER[1:]


def test_the_host_hears_that_a_block_takes_long_and_may_extend_it(open_host: OpenHost) -> None:
    host, _ = open_host(ScriptedCard({}, atrs=(ONLY_T1,)), "waiting=20", "slack=100")
    for extension, at_least in (("010000", 1), ("040000", 4)):
        host.ask(ICC_POWER_ON)
        host.send(XFR_BLOCK, ASK.hex(), special=extension)
        kinds, answer = host.heard()
        assert (answer.failed, answer.error) == (True, MUTE)
        assert kinds.count(MORE_TIME) >= at_least
